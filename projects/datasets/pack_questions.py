"""What leaves the pipeline of questions and of pairs of images."""

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from ..registry import TRANSFORMS
from .pack_multimodal import PackMultimodal


@TRANSFORMS.register_module()
class PackQuestion(PackMultimodal):
    """The question as the input ``text``, answers into the sample.

    Args:
        answers: also hand them on as the input ``answer``, all of an item, for models that write them.
    """

    def __init__(self, answers: bool = False, keys: Sequence[str] = (), meta: Sequence[str] = ('question',)):
        super().__init__('none', keys, meta)
        self.answers = answers

    def transform(self, results: dict) -> dict:
        packed = super().transform(results)
        inputs, sample = packed['inputs'], packed['data_samples']
        inputs['text'] = results['question']
        if 'answers' in results:
            sample.gt_answers, sample.gt_answer_weights = list(results['answers']), list(results['answer_weights'])
            sample.gt_all_answers = list(results['all_answers'])
            if self.answers:
                inputs['answer'] = list(results['answers'])
        return packed


@TRANSFORMS.register_module()
class OnBothImages(BaseTransform):
    """The same transforms on the images of ``img_path`` and ``second_path``; ``img`` is then 2 H W C.

    Args:
        transforms: configs, the first of which loads an image.
    """

    def __init__(self, transforms: Sequence[dict]):
        self.transforms = [TRANSFORMS.build(cfg) for cfg in transforms]

    def transform(self, results: dict) -> dict:
        first, second = (self.run(dict(results, img_path=results[key])) for key in ('img_path', 'second_path'))
        return dict(first, img=np.stack([first['img'], second['img']]), img_path=results['img_path'])

    def run(self, results: dict) -> dict:
        for transform in self.transforms:
            results = transform(results)
        return results


@TRANSFORMS.register_module()
class PackImagePair(PackMultimodal):
    """2 H W C -> the input ``image``, 2 C H W; the sentence as ``text``."""

    def transform(self, results: dict) -> dict:
        packed = super().transform({key: value for key, value in results.items() if key != 'img'})
        both = np.ascontiguousarray(results['img'].transpose(0, 3, 1, 2))
        packed['inputs']['image'] = torch.from_numpy(both)
        return packed
