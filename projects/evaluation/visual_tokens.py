"""How a codebook is used."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import chain

from mmengine.evaluator import BaseMetric

from ..registry import METRICS


@METRICS.register_module()
class CodeUsage(BaseMetric):
    """Of samples with ``pred_tokens``: ``codes``, how many different ones all images have; ``perplexity``, how many it
    would be if each were as frequent (the exponential of the entropy); ``most_frequent``, the share in percent of the
    most frequent one, which is what telling always the same would get right."""

    def names(self) -> list[str]:
        """As the numbers are called, with the prefix."""
        return [f'{self.prefix}/{key}' if self.prefix else key for key in ('codes', 'perplexity', 'most_frequent')]

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        self.results += [sample['pred_tokens'].flatten().tolist() for sample in data_samples]

    def compute_metrics(self, results: list[list[int]]) -> dict[str, float]:
        counts = Counter(chain.from_iterable(results)).values()
        total = sum(counts)
        entropy = -sum(count / total * math.log(count / total) for count in counts)
        return dict(
            codes=len(counts), perplexity=round(math.exp(entropy), 2), most_frequent=round(100 * max(counts) / total, 2)
        )
