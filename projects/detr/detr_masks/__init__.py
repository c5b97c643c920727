"""DETR with masks (https://arxiv.org/abs/2005.12872, section 4.4)."""

from . import branch, checkpoint, encoder, mask_decoder, terms  # noqa: F401  importing registers the parts
