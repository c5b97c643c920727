"""Accuracy of classification."""

from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric

from ..registry import METRICS


@METRICS.register_module()
class TopKAccuracy(BaseMetric):
    """Share of images, in percent, whose class is among the ``k`` with the highest scores: ``top1``, ``top5`` ...;
    classes of equal score count by their order.

    Args:
        topk: the numbers k.

    Raises:
        ValueError: k classes are more than there are.
    """

    def __init__(self, topk: Sequence[int] = (1,), **kwargs):
        super().__init__(**kwargs)
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)

    def names(self) -> list[str]:
        """As the numbers are called, with the prefix."""
        return [f'{self.prefix}/{key}' if self.prefix else key for key in self._keys()]

    def _keys(self) -> list[str]:
        return [f'top{k}' for k in self.topk]

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        for sample in data_samples:
            scores, label = sample['pred_scores'], int(sample['gt_label'])
            if max(self.topk) > len(scores):
                raise ValueError(f'topk={self.topk}, but the model tells {len(scores)} classes apart')
            order = torch.argsort(scores, descending=True, stable=True)
            self.results.append(int((order == label).nonzero()[0, 0]))

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        places = torch.tensor(results)
        return {name: round(100 * (places < k).float().mean().item(), 4) for name, k in zip(self._keys(), self.topk)}
