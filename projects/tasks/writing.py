"""What models of images and texts say: captions, answers, words in place of masks; what is true of two images."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image

from ..registry import TASKS
from ..visualization.bars import bars
from ..visualization.pictures import Objects, draw_objects
from .classification import Classification
from .modalities import Modalities


class Said(Modalities):
    """Base: a record has ``text``, what the model says, and ``score``, where it has one."""

    predictions = ('pred_text',)
    annotation = 'texts'

    def truth(self, sample) -> str:
        """What is right, in one line; empty where nobody knows."""
        return ' | '.join(list(sample.get('gt_texts') or ())[:3])

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        record = dict(text=sample.get('pred_text'))
        if sample.get('pred_score') is not None:
            record['score'] = round(float(sample.get('pred_score')), 4)
        if sample.get('question') is not None:
            record['question'] = sample.get('question')
        return record

    def summary(self, record: dict) -> str:
        return repr(record['text'])

    def annotations(self, info: dict, load: Callable) -> list[tuple[int, float | None]]:
        return [(0, None) for _ in info.get('texts', ())]

    def views(self, image: np.ndarray, sample, prefix: str, classes, score_thr) -> list[tuple[str, Image.Image]]:
        said = self.truth(sample) if prefix == 'gt' else sample.get('pred_text')
        return (
            [] if not said else [(f'{"ground truth" if prefix == "gt" else "prediction"}: {said}', self.plain(image))]
        )


@TASKS.register_module('caption')
class Caption(Said):
    """Texts written of images."""

    truths = ('gt_texts',)
    metrics = ('CIDEr', 'BLEU-4')

    def add_truth(self, model, sample, inputs, random):
        sample.gt_texts = [inputs['text']] if isinstance(inputs.get('text'), str) else []


@TASKS.register_module('vqa')
class Vqa(Said):
    """Answers to questions about images."""

    truths = ('gt_answers',)
    metrics = ('accuracy',)

    def truth(self, sample) -> str:
        return ' | '.join(dict.fromkeys(sample.get('gt_answers') or ()))

    def add_truth(self, model, sample, inputs, random):
        known = [getattr(one, 'answers', None) for one in model.objectives.values()]
        answer = next((one[0] for one in known if one), 'yes')
        sample.gt_answers, sample.gt_answer_weights = [answer], [1.0]
        sample.gt_label = torch.tensor(0)


@TASKS.register_module('fill_mask')
class FillMask(Said):
    """Words in place of masks; of pre-training."""

    truths = ('gt_texts',)
    metrics = ('loss',)

    def add_truth(self, model, sample, inputs, random):
        sample.gt_texts = [inputs['text']] if isinstance(inputs.get('text'), str) else []
        sample.gt_label = torch.randint(2, (), generator=random)


class Labelled(Modalities, Classification):
    """Base: classes of what is seen together; records and drawings are those of classification."""

    sample = Modalities.sample
    truths, predictions = Classification.truths, Classification.predictions
    annotation = Classification.annotation


@TASKS.register_module('classes')
class Classes(Labelled):
    """Classes of images by a model of several modalities."""

    metrics = Classification.metrics

    def add_truth(self, model, sample, inputs, random):
        sample.gt_label = torch.randint(model.objectives['classes'].num_classes, (), generator=random)


@TASKS.register_module('nlvr2')
class Nlvr2(Labelled):
    """Is a sentence true of two images: label 1, or 0."""

    metrics = ('accuracy',)

    def add_truth(self, model, sample, inputs, random):
        sample.gt_label = torch.randint(2, (), generator=random)


@TASKS.register_module('choice')
class Choice(Labelled):
    """The best of several texts (VCR). A tiny batch has four each."""

    metrics = ('accuracy',)

    def item(self, model, size, count, random):
        inputs, sample = super().item(model, size, count, random)
        inputs['text'] = [f'{inputs["text"]} {index}' for index in range(4)]
        return inputs, sample

    def add_truth(self, model, sample, inputs, random):
        sample.gt_label = torch.randint(4, (), generator=random)


@TASKS.register_module('grounding')
class Grounding(Modalities):
    """Which regions phrases mean: a record has ``regions``, the best of each phrase."""

    truths = ('gt_phrases',)
    predictions = ('pred_phrase_regions',)
    metrics = ('R@1',)

    def add_truth(self, model, sample, inputs, random):
        sample.gt_phrases, sample.gt_phrase_regions = torch.tensor([1]), torch.eye(1, len(inputs['regions']))

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        return dict(regions=sample.get('pred_phrase_regions').argmax(-1).tolist())

    def summary(self, record: dict) -> str:
        return f'regions {record["regions"]}'

    def annotations(self, info: dict, load: Callable) -> list[tuple[int, float | None]]:
        return [(0, None) for _ in info.get('phrases', ())]

    def views(self, image: np.ndarray, sample, prefix: str, classes, score_thr) -> list[tuple[str, Image.Image]]:
        if prefix == 'gt':
            return [(next(iter(sample.get('gt_texts') or ()), 'no sentence'), self.plain(image))]
        looks = [row.max(0) for row in sample.get('pred_phrase_regions', ())]
        rows = [(f'phrase {number}: region {int(best)}', float(value)) for number, (value, best) in enumerate(looks)]
        return [('image', self.plain(image)), *([('the best region of each phrase', bars(rows))] if rows else [])]


@TASKS.register_module('referring')
class Referring(Modalities):
    """The one box in an image that a phrase means: a record has ``phrase`` and ``box``, xyxy in pixels of the image."""

    truths = ('gt_box',)
    predictions = ('pred_box',)
    metrics = ('acc@0.5', 'iou')
    side = 'sqrt(width x height) of the boxes, in pixels of the files'

    def add_truth(self, model, sample, inputs, random):
        near, far = 0.5 * torch.rand(2, generator=random), 0.5 + 0.5 * torch.rand(2, generator=random)
        sample.gt_texts, sample.gt_box = [inputs['text']], torch.cat([near, far])

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        height, width = sample.get('ori_shape')
        box = sample.get('pred_box').cpu() * torch.tensor([width, height, width, height])
        return dict(phrase=phrase_of(sample), box=[round(float(value), 2) for value in box])

    def summary(self, record: dict) -> str:
        return f'{record["phrase"]!r} at {", ".join(f"{value:.0f}" for value in record["box"])}'

    def annotations(self, info: dict, load: Callable) -> list[tuple[int, float | None]]:
        left, top, right, bottom = info['gt_bboxes'][0]
        return [(0, float((right - left) * (bottom - top)) ** 0.5)]

    def views(self, image: np.ndarray, sample, prefix: str, classes, score_thr) -> list[tuple[str, Image.Image]]:
        box, phrase = sample.get(f'{prefix}_box'), phrase_of(sample)
        if box is None:
            return []
        height, width = image.shape[:2]
        corners = np.asarray(box.detach().cpu()) * (width, height, width, height)
        drawn = draw_objects(image, Objects(corners[None], np.zeros(1, int)), [phrase])
        return [(f'{"ground truth" if prefix == "gt" else "prediction"}: {phrase}', drawn)]


def phrase_of(sample: dict) -> str:
    return next(iter(sample.get('gt_texts') or ()), 'no phrase')
