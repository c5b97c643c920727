"""Pre-training of detectors without labels: UP-DETR (https://arxiv.org/abs/2011.09094) and DETReg (https://arxiv.org/abs/2106.04550)."""

from . import detector, detreg, pre_norm, up_detr  # noqa: F401  importing registers the parts
