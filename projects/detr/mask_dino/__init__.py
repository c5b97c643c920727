"""Mask DINO (https://arxiv.org/abs/2206.02777), and what it takes from Mask2Former."""

from . import checkpoint, checkpoint_mask2former, detector, head, pixel_decoder, queries, terms  # noqa: F401  importing registers the parts
