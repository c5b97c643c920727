"""Grounding of phrases: is a region that a phrase means among the best; does a box lie on what a phrase means."""

from collections.abc import Sequence

from mmdet.structures.bbox import bbox_overlaps
from mmengine.evaluator import BaseMetric

from ..registry import METRICS


@METRICS.register_module()
class PhraseRecall(BaseMetric):
    """``R@k``: share, in percent, of phrases one of whose regions is among the k that they look at most; ``bound``, of
    phrases that have one (https://arxiv.org/abs/1908.03557, section 4.4).

    Samples have ``gt_phrase_regions`` (P R, above 0 what is right) and ``pred_phrase_regions`` (P R or more).
    """

    def __init__(self, ks: Sequence[int] = (1, 5, 10), **kwargs):
        super().__init__(**kwargs)
        self.ks = tuple(ks)

    def names(self) -> list[str]:
        """As the numbers are called, with the prefix."""
        return [f'{self.prefix}/{key}' if self.prefix else key for key in self._keys()]

    def _keys(self) -> list[str]:
        return [*(f'R@{k}' for k in self.ks), 'bound']

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        for sample in data_samples:
            right = sample['gt_phrase_regions'].cpu() > 0
            order = (
                sample['pred_phrase_regions'].cpu()[:, : right.shape[1]].argsort(dim=1, descending=True, stable=True)
            )
            hits = right.gather(1, order)
            self.results += [[bool(row[:k].any()) for k in (*self.ks, len(row))] for row in hits]

    def compute_metrics(self, results: list) -> dict[str, float]:
        shares = [100 * sum(column) / len(column) for column in zip(*results)] or [0.0] * (len(self.ks) + 1)
        return {key: round(value, 4) for key, value in zip(self._keys(), shares)}


@METRICS.register_module()
class PhraseBoxes(BaseMetric):
    """``acc@0.5``: share, in percent, of phrases whose box overlaps the right one with an IoU of at least 0.5, as
    RefCOCO counts; ``iou``, the mean. A box without area has an IoU of 0.

    Samples have ``gt_box`` and ``pred_box``, 4: left, top, right, bottom in the same unit.

    Args:
        threshold: the least IoU.
    """

    def __init__(self, threshold: float = 0.5, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold

    def names(self) -> list[str]:
        """As the numbers are called, with the prefix."""
        return [f'{self.prefix}/{key}' if self.prefix else key for key in self._keys()]

    def _keys(self) -> list[str]:
        return [f'acc@{self.threshold:g}', 'iou']

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        for sample in data_samples:
            found, right = (sample[key].detach().cpu().double()[None] for key in ('pred_box', 'gt_box'))
            upright = bool((found[:, :2] < found[:, 2:]).all())
            self.results.append(float(bbox_overlaps(found, right, eps=1e-12)) if upright else 0.0)

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        count = max(len(results), 1)
        values = (sum(value >= self.threshold for value in results) / count, sum(results) / count)
        return {key: round(100 * value, 4) for key, value in zip(self._keys(), values)}
