"""UNETR: a plain ViT that a convolutional decoder reads at four depths."""

from . import decoder, encoder, weights  # noqa: F401  importing registers the parts
