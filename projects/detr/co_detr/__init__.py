"""Co-DETR (https://arxiv.org/abs/2211.12860): heads of one-to-many detectors that train beside the decoder."""

from . import checkpoint, collaborators, group  # noqa: F401  importing registers the parts
