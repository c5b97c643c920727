"""DAB-DETR (https://arxiv.org/abs/2201.12329): queries that are anchor boxes; and what DN-DETR adds to its decoder."""

from . import attention, checkpoint, level_gates, queries  # noqa: F401  importing registers the parts
