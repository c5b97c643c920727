"""Multi-scale deformable attention (https://arxiv.org/abs/2010.04159)."""
