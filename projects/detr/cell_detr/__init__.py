"""Cell-DETR (https://arxiv.org/abs/2011.09763): masks of cells, made of attention."""

from . import backbone, checkpoint, head, mask_decoder, modulated_conv, pade  # noqa: F401  importing registers the parts
