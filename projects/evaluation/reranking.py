"""Retrieval in two steps: the best by embeddings, put in order by a model that looks at both (BLIP,
https://arxiv.org/abs/2201.12086, section 5.1; ALBEF)."""

from collections.abc import Callable, Sequence

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from ..registry import HOOKS, METRICS
from .retrieval import RetrievalRecall, joined, recalls

BATCH = 64  # pairs at a time


@METRICS.register_module()
class RerankedRecall(RetrievalRecall):
    """As `RetrievalRecall`, but the `best` of each query are put in order by cosine + matching logit; the others come
    after them. Samples are those of `mmparts.MatchedEmbeddings`; `mmparts.MatcherHook` gives the metric the model.

    Args:
        best: how many of each query; BLIP 256 on COCO, 128 on Flickr30K.
    """

    match: Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor] | None = None

    def __init__(self, best: int = 256, **kwargs):
        super().__init__(**kwargs)
        if best < max(self.ks):
            raise ValueError(f'best={best} of each query are put in order, and R@{max(self.ks)} asks for more')
        self.best = best

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        before = len(self.results)
        super().process(data_batch, data_samples)
        for place, sample in enumerate(data_samples, before):
            self.results[place] = (self.results[place], sample['pred_tokens'], list(sample['pred_ids']))

    def compute_metrics(self, results: list) -> dict[str, float]:
        if self.match is None:
            raise RuntimeError(
                "RerankedRecall has no model to match with; add default_hooks=dict(matcher=dict(type='mmparts."
                "MatcherHook')), and inference=dict(type='mmparts.MatchedEmbeddings') to the model"
            )
        images, texts, owner = joined([found for found, _, _ in results])
        first = {number: place for place, ((number, *_), *_) in reversed(list(enumerate(results)))}
        tokens = [results[place][1] for place in sorted(first.values())]
        ids = [each for _, _, own in results for each in own]
        cosines = images @ texts.T
        of_texts = reranked(cosines, self.best, lambda i, t: self.match([tokens[n] for n in i], [ids[n] for n in t]))
        of_images = reranked(cosines.T, self.best, lambda t, i: self.match([tokens[n] for n in i], [ids[n] for n in t]))
        return dict(zip(self._keys(), recalls(of_texts, owner, self.ks, of_images.T)))


@HOOKS.register_module()
class MatcherHook(Hook):
    """Hands the model to metrics that match pairs (``match``) before they count.

    Raises:
        ValueError: a metric matches, and the model's inference cannot.
    """

    def before_val_epoch(self, runner: Runner):
        self._hand(runner, runner.val_loop.evaluator.metrics)

    def before_test_epoch(self, runner: Runner):
        self._hand(runner, runner.test_loop.evaluator.metrics)

    def _hand(self, runner: Runner, metrics: Sequence):
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for metric in metrics:
            if not isinstance(metric, RerankedRecall):
                continue
            if not hasattr(getattr(model, 'inference', None), 'matcher'):
                raise ValueError(
                    'RerankedRecall matches texts with images, which the model does not; write '
                    "inference=dict(type='mmparts.MatchedEmbeddings')"
                )
            metric.match = model.inference.matcher(model)


def reranked(cosines: Tensor, best: int, match: Callable[[list[int], list[int]], Tensor]) -> Tensor:
    """Q K: cosine + match of the ``best`` keys of each query, and what keeps the others behind them, in their order."""
    found = cosines - 2 - 1e4
    for query, keys in enumerate(cosines.topk(min(best, cosines.shape[1]), dim=1).indices):
        for some in keys.split(BATCH):
            scores = match([query] * len(some), some.tolist())
            found[query, some] = cosines[query, some] + scores
    return found
