"""Swin-Unet: windows on the way down and up, no convolution but at both ends."""

from . import decoder, encoder, weights  # noqa: F401  importing registers the parts
