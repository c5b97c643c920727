"""RoIAlign (https://arxiv.org/abs/1703.06870)."""
