"""An image with what is said of it as a whole."""

from mmengine.structures import BaseDataElement


class ImageSample(BaseDataElement):
    """Fields: ``gt_label``, the number of its class; ``pred_scores`` (K) and ``pred_label``; ``pred_image``, 3 H W,
    uint8: what a pre-trainer says of masked places; ``pred_tokens``, h w, numbers of the codes of its patches."""
