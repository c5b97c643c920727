"""From the last layer's predictions to detections: which (query, class) pairs are reported.

Called as ``select(logits N K, boxes N 4)``; returns scores, labels and boxes.
"""
import torch
from torch import Tensor

from ..registry import TASK_UTILS


@TASK_UTILS.register_module()
class TopKSelection:
    """The best pairs over all queries and classes of a sigmoid head; a query may report several classes."""

    def __init__(self, num: int = 100):
        self.num = num

    def __call__(self, logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores, index = logits.sigmoid().flatten().topk(min(self.num, logits.numel()))
        query = torch.div(index, logits.shape[-1], rounding_mode='floor')
        return scores, index % logits.shape[-1], boxes[query]


@TASK_UTILS.register_module()
class BestClassSelection:
    """Every query with its best class, "no object" left out, of a softmax head (DETR)."""

    def __call__(self, logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores, labels = logits.softmax(-1)[:, :-1].max(-1)
        return scores, labels, boxes
