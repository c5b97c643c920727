"""Slices of volumes for 2-D models, as TransUNet and its followers train; `mmparts.SliceInference` joins them."""

import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...structures.labels import IGNORE
from .patches import generator


@TRANSFORMS.register_module()
class RandomSlice(BaseTransform):
    """One slice across the first axis as an image: ``img`` (H W C) and ``gt_seg_map`` (H W), for mmseg's transforms.

    Args:
        foreground: chance that the slice is one of those that hold foreground.
    """

    def __init__(self, foreground: float = 0.0):
        self.foreground = foreground

    def transform(self, results: dict) -> dict:
        rng = generator(results)
        choices = np.arange(results['img'].shape[1])
        if self.foreground and rng.random() < self.foreground:
            label = results['gt_seg_map']
            shown = np.flatnonzero(((label != 0) & (label != IGNORE)).any((1, 2)))
            choices = shown if len(shown) else choices
        number = int(rng.choice(choices))
        results['img'] = np.ascontiguousarray(np.moveaxis(results['img'][:, number], 0, -1))
        for key in results.get('seg_fields', ()):
            results[key] = np.ascontiguousarray(results[key][number])
        results.update(slice=number, img_shape=results['img'].shape[:2], ori_shape=results['img'].shape[:2])
        for key in ('affine', 'class_places'):
            results.pop(key, None)
        return results
