"""SMCA-DETR (https://arxiv.org/abs/2101.07448): attention within a Gaussian around each query."""

from . import checkpoint, encoder, gaussian  # noqa: F401  importing registers the parts
