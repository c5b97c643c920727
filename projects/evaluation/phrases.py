"""Grounding of phrases: is a region that a phrase means among the best."""

from collections.abc import Sequence

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
