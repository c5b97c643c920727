"""What leaves the pipeline for a model of several modalities."""

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from ..registry import TRANSFORMS
from ..structures import MultimodalSample, TextList

TEXTS = ('all', 'random', 'first', 'none')


@TRANSFORMS.register_module()
class PackMultimodal(BaseTransform):
    """``inputs``, a dict of modalities, and a `MultimodalSample`, with ``gt_label``, ``gt_texts`` where they are known,
    and ``gt_box``, the first of ``gt_bboxes`` in shares of the image's sides.

    Args:
        texts: 'all' of an item, in evaluation; in training a 'random' one, or the 'first'; 'none'.
        keys: other entries of an item that are inputs, as arrays or strings (``question``, ``audio``).
        meta: other entries that go into the sample.
    """

    META = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'text_ids', 'question_id')

    def __init__(self, texts: str = 'all', keys: Sequence[str] = (), meta: Sequence[str] = ()):
        if texts not in TEXTS:
            raise ValueError(f'texts={texts!r} is unknown; choose from {", ".join(map(repr, TEXTS))}')
        self.texts, self.keys, self.meta = texts, tuple(keys), (*self.META, *meta)

    @cache_randomness
    def one_of(self, texts: Sequence[str]) -> str:
        return texts[np.random.randint(len(texts))]

    def transform(self, results: dict) -> dict:
        inputs = {}
        if 'img' in results:
            image = results['img'] if results['img'].ndim == 3 else results['img'][..., None]
            inputs['image'] = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        if self.texts != 'none' and 'texts' in results:
            texts = results['texts']
            inputs['text'] = dict(all=TextList, first=lambda all: all[0], random=self.one_of)[self.texts](texts)
        for key in self.keys:
            value = results[key]
            inputs[key] = torch.from_numpy(value) if isinstance(value, np.ndarray) else value

        sample = MultimodalSample(metainfo={key: results[key] for key in self.meta if key in results})
        if 'texts' in results:
            sample.gt_texts = list(results['texts'])
        if 'gt_label' in results:
            sample.gt_label = torch.tensor(results['gt_label'])
        if 'gt_bboxes' in results:
            height, width = results['img_shape'][:2]
            box = torch.as_tensor(results['gt_bboxes'][0], dtype=torch.float32)
            sample.gt_box = box / box.new_tensor([width, height, width, height])
        return dict(inputs=inputs, data_samples=sample)
