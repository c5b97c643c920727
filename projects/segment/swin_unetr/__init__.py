"""Swin UNETR: a Swin Transformer of any number of axes under UNETR's decoder."""

from . import encoder, weights  # noqa: F401  importing registers the parts
