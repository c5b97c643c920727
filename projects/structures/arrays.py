"""Samples of what is no single image: pairs of frames, texts, clips with sound, sets."""

from mmengine.structures import BaseDataElement


class FlowSample(BaseDataElement):
    """Fields: ``gt_flow``, 2 H W in pixels (right, down); ``gt_valid``, H W bool, where it is known (absent:
    everywhere); ``pred_flow``, 2 H W."""


class TextSample(BaseDataElement):
    """Fields: ``asked``, T bool: where ids were masked; ``gt_ids``, T; ``pred_ids``, T: those that were asked for
    filled in, all else as it was given; ``given_ids``, T."""


class ClipSample(BaseDataElement):
    """Fields: ``gt_video``, 3 T H W, uint8; ``gt_audio``, samples in -1..1; ``gt_label``; ``pred_*`` the same as a
    model restores them, and ``pred_scores``, K."""


class SetSample(BaseDataElement):
    """Fields: ``gt_labels``, one for each element of a set, or one for all; ``pred_labels`` and ``pred_scores`` (Q
    K)."""
