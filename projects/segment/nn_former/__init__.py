"""nnFormer: local and global attention over a volume, and attention to the skip instead of joining it."""

from . import decoder, encoder, weights  # noqa: F401  importing registers the parts
