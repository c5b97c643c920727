"""Deformable convolution v3 (https://arxiv.org/abs/2211.05778)."""
