"""Images and texts: which belong together, and what an image shows by the names of classes."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image

from ..registry import TASKS
from ..visualization.bars import bars
from .classification import Classification
from .findings_retrieval import IMAGE, TEXTS, RetrievalFindings, settled
from .modalities import Modalities


@TASKS.register_module('retrieval')
class Retrieval(Modalities):
    """A record has ``texts`` and the ``similarities`` of the image with each of them, cosines."""

    truths = ('gt_texts',)
    input_is_truth = True  # the texts to compare with
    predictions = ('pred_embeddings',)
    metrics = ('text R@1', 'image R@1')
    annotation = 'texts'

    def add_truth(self, model, sample, inputs, random):
        sample.gt_texts = [inputs['text']] if isinstance(inputs.get('text'), str) else []

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        return dict(texts=list(sample.get('gt_texts') or ()), similarities=similarities(sample))

    def summary(self, record: dict) -> str:
        found = [f'{value:.2f} {text}' for text, value in zip(record['texts'], record['similarities'])]
        return '; '.join(found) or 'no text to compare with'

    def annotations(self, info: dict, load: Callable) -> list[tuple[int, float | None]]:
        return [(0, None) for _ in info.get('texts', ())]

    findings = RetrievalFindings

    def evidence(self, sample: dict, info: dict) -> dict | None:
        """With both embeddings, until all are there to be compared."""
        found, texts = sample.get('pred_embeddings') or {}, list(sample.get('gt_texts') or ())
        if not {'image', 'text'} <= set(found) or not texts:
            return None
        image, several = found['image'].float().cpu(), found['text'].float().cpu()
        kept = {IMAGE: image, TEXTS: several[None] if several.ndim == 1 else several}
        return dict(image=sample.get('img_path'), id=sample.get('img_id'), texts=texts, **kept)

    settled = staticmethod(settled)

    def restored(self, evidence: dict):
        sample = self.sample(metainfo=dict(img_path=evidence['image'], img_id=evidence['id']))
        sample.gt_texts = evidence['texts']
        sample.set_metainfo(dict(similarities=evidence['similarities']))
        return sample

    def views(self, image: np.ndarray, sample, prefix: str, classes, score_thr) -> list[tuple[str, Image.Image]]:
        texts = list(sample.get('gt_texts') or ())
        if prefix == 'gt':
            return [(texts[0] if texts else 'no text', self.plain(image))]
        rows = list(zip(texts, similarities(sample)))
        return [('similarity of its texts', bars(rows, lowest=-1.0))] if rows else []


def similarities(sample: dict) -> list[float]:
    """Of the image of a sample, or its sound, with each of its texts."""
    if sample.get('similarities'):  # of an evidence
        return sample.get('similarities')
    found = sample.get('pred_embeddings') or {}
    other = next((name for name in ('image', 'audio') if name in found), None)
    if other is None or 'text' not in found:
        return []
    texts = found['text'] if found['text'].ndim == 2 else found['text'][None]
    return [round(value, 4) for value in (texts.float() @ found[other].float()).tolist()]


@TASKS.register_module('zero-shot')
class ZeroShot(Modalities, Classification):
    """Classification by names; records and drawings are those of classes."""

    sample = Modalities.sample
    truths, predictions = Classification.truths, Classification.predictions
    metrics, annotation = Classification.metrics, Classification.annotation

    def add_truth(self, model, sample, inputs, random):
        sample.gt_label = torch.randint(max(1, model.inference.num_classes), (), generator=random)

    def views(self, image: np.ndarray, sample, prefix: str, classes, score_thr) -> list[tuple[str, Image.Image]]:
        if prefix == 'gt' or classes is None or 'pred_scores' not in sample:
            return Classification.views(self, image, sample, prefix, classes, score_thr)
        record = self.fields(sample, classes, score_thr)
        return [('prediction', self.plain(image)), ('scores', bars(list(zip(record['names'], record['scores']))))]
