"""Cell-DETR (https://arxiv.org/abs/2011.09763): masks of cells, made of attention."""

from . import backbone, branches, checkpoint, mask_decoder, modulated_conv, pade, terms  # noqa: F401  importing registers the parts
