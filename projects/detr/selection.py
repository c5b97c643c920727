"""From the last layer's predictions to detections: which (query, class) pairs are reported.

Called as ``select(logits N K, boxes N 4)``; returns scores, labels and queries.
"""

import torch
from mmcv.ops import batched_nms
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor

from ..registry import TASK_UTILS
from .roles import Selection


@TASK_UTILS.register_module()
class TopKSelection(Selection):
    """The best pairs over all queries and classes of a sigmoid head; a query may report several classes."""

    no_object, reads = False, ()

    def __init__(self, num: int = 100):
        self.num = num

    def __call__(self, logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores, index = logits.sigmoid().flatten().topk(min(self.num, logits.numel()))
        return scores, index % logits.shape[-1], torch.div(index, logits.shape[-1], rounding_mode='floor')


@TASK_UTILS.register_module()
class SoftNMSSelection(Selection):
    """The best pairs of query and class, of which doubles of one class lose in score (Co-DINO).

    Args:
        num: pairs, see :class:`TopKSelection`.
        iou_threshold: boxes that overlap a better one by more have their score multiplied by 1 - IoU.
        min_score: pairs below are dropped.
    """

    no_object, reads = False, ()

    def __init__(self, num: int = 300, iou_threshold: float = 0.8, min_score: float = 1e-3):
        self.top = TopKSelection(num)
        self.nms = dict(type='soft_nms', iou_threshold=iou_threshold, min_score=min_score)

    def __call__(self, logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores, labels, query = self.top(logits, boxes)
        found, kept = batched_nms(bbox_cxcywh_to_xyxy(boxes[query]).clamp(0, 1), scores, labels, self.nms)
        return found[:, 4], labels[kept], query[kept]


@TASK_UTILS.register_module()
class BestClassSelection(Selection):
    """Every query with its best class, "no object" left out, of a softmax head (DETR)."""

    no_object, reads = True, ()

    def __call__(self, logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores, labels = logits.softmax(-1)[:, :-1].max(-1)
        return scores, labels, torch.arange(len(scores), device=scores.device)
