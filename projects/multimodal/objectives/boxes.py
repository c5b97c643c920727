"""The one box in an image that a phrase means (referring expressions: RefCOCO), read off what both are together.

As in ONE-PEACE (https://arxiv.org/abs/2305.11172; OFA-Sys/ONE-PEACE): four numbers of a head, through a sigmoid the
corners of the box in shares of the image's sides. Its loss is the sum of absolute differences and one minus the
generalised IoU; the latter of boxes whose corners are in order alone. Where no box of a batch is, the official loss is
no number; ours is without that part.
"""

import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

from ...registry import MODELS
from ..states import States
from .classes import JointReader


@MODELS.register_module()
class PhraseBox(JointReader):
    """Samples have ``gt_box``, 4: left, top, right, bottom in shares of the image's sides.

    Args:
        kwargs: see :class:`JointReader`.
    """

    def __init__(self, **kwargs):
        super().__init__(4, **kwargs)

    def boxes(self, states: States) -> Tensor:
        """B 4, float32."""
        return self.logits(states).float().sigmoid()

    def forward(self, states: States) -> dict[str, Tensor]:
        boxes = self.boxes(states)
        targets = torch.stack([sample.gt_box for sample in states.samples]).to(boxes)
        upright = (boxes[:, :2] < boxes[:, 2:]).all(1)
        overlaps = bbox_overlaps(boxes.detach(), targets, is_aligned=True)
        return dict(
            loss_box=F.l1_loss(boxes, targets, reduction='none').sum(1).mean(),
            loss_giou=mean_of(1 - bbox_overlaps(boxes, targets, mode='giou', is_aligned=True), upright),
            accuracy=(upright & (overlaps >= 0.5)).float().mean(),
        )


def mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """Of the chosen ones of B; 0 where none is."""
    return values.where(chosen, 0).sum() / chosen.sum().clamp(min=1)
