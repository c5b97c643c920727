"""Panoptic and semantic annotations as instances: every segment, object or stuff, is a mask with a label, which is how
Mask2Former and Mask DINO are trained.
"""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.fileio import get

from ..registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadPanopticMap(BaseTransform):
    """The segment of every pixel, from the colours of a COCO panoptic map: R + 256 G + 256^2 B; in ``panoptic_map``.

    Takes ``seg_map_path`` of mmdet's ``CocoPanopticDataset``; without one, as of a picture to predict, does nothing.
    (mmdet's own loader needs panopticapi.)

    Args:
        backend_args: where the map is read.

    Raises:
        OSError: the map cannot be read.
        ValueError: the map is not of the image's size.
    """

    def __init__(self, backend_args: dict | None = None):
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        path, shape = results.get('seg_map_path'), results['ori_shape']
        if path is None:
            return results
        bytes_ = np.frombuffer(get(path, backend_args=self.backend_args), np.uint8)
        colours = cv2.imdecode(bytes_, cv2.IMREAD_COLOR) if len(bytes_) else None
        if colours is None:
            raise OSError(f'cannot read the panoptic map {path}')
        if colours.shape[:2] != tuple(shape):
            height, width = colours.shape[:2]
            raise ValueError(f'{path} is {width}x{height} pixels, its image {shape[1]}x{shape[0]}')
        results['panoptic_map'] = colours.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)  # B, G, R
        return results


@TRANSFORMS.register_module()
class LoadForeground(BaseTransform):
    """A map of instances (8 or 16 bit, 0 is background) as one class: ``gt_seg_map`` of 0 and 1, from ``seg_map_path``.

    (mmseg's loader keeps the lower 8 bits, so that the 256th instance is background.)

    Args:
        backend_args: where the map is read.

    Raises:
        OSError: the map cannot be read.
    """

    def __init__(self, backend_args: dict | None = None):
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        path = results.get('seg_map_path')
        if path is None:  # an image to predict
            return results
        numbers = cv2.imdecode(np.frombuffer(get(path, backend_args=self.backend_args), np.uint8), cv2.IMREAD_UNCHANGED)
        if numbers is None or numbers.ndim != 2:
            raise OSError(f'cannot read the map {path}, an image of one channel')
        results['gt_seg_map'] = (numbers > 0).astype(np.uint8)
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results


@TRANSFORMS.register_module()
class PanopticInstances(BaseTransform):
    """The segments of ``panoptic_map`` as instances, by ``segments_info`` of mmdet's ``CocoPanopticDataset``; to be
    applied before the image changes its size. Crowds are left out.

    Args:
        things: labels below are objects; a segment with such a label that is no thing is a crowd of them.

    Raises:
        KeyError: the sample has no map.
    """

    def __init__(self, things: int = 80):
        self.things = things

    def transform(self, results: dict) -> dict:
        if 'panoptic_map' not in results:
            raise KeyError(
                f'{results.get("img_path")} has no panoptic map; put LoadPanopticMap before '
                'PanopticInstances, and `seg` in the data_prefix of the data set'
            )
        segments = [each for each in results['segments_info'] if each['is_thing'] or each['category'] >= self.things]
        return with_masks(
            results,
            [results['panoptic_map'] == each['id'] for each in segments],
            [each['category'] for each in segments],
        )


@TRANSFORMS.register_module()
class SemanticInstances(BaseTransform):
    """Every class of a semantic map becomes an instance; to be applied when the map has its final size.

    Args:
        num_classes: labels are below.
        ignore_index: label of pixels that belong to no class.

    Raises:
        ValueError: a label beyond the classes.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255):
        self.num_classes, self.ignore_index = num_classes, ignore_index

    def transform(self, results: dict) -> dict:
        labels = results['gt_seg_map']
        found = [label for label in np.unique(labels).tolist() if label != self.ignore_index]
        beyond = [label for label in found if not 0 <= label < self.num_classes]
        if beyond:
            raise ValueError(
                f'{results.get("seg_map_path")} has the label {beyond[-1]}, but the {self.num_classes} '
                f'classes are 0 to {self.num_classes - 1}, and {self.ignore_index} is for pixels of none. '
                'If 0 is for those and 1 the first class, set reduce_zero_label=True in LoadAnnotations'
            )
        return with_masks(results, [labels == label for label in found], found)


def with_masks(results: dict, masks: list[np.ndarray], labels: list[int]) -> dict:
    """The sample with these segments, those without a pixel left out, in boxes that just hold them."""
    kept = [(mask, label) for mask, label in zip(masks, labels) if mask.any()]
    shape = results['img_shape'][:2]
    boxes = [box_around(mask) for mask, _ in kept]
    results['gt_masks'] = BitmapMasks([mask.astype(np.uint8) for mask, _ in kept], *shape)
    results['gt_bboxes'] = HorizontalBoxes(np.array(boxes, np.float32).reshape(-1, 4))
    results['gt_bboxes_labels'] = np.array([label for _, label in kept], np.int64)
    results['gt_ignore_flags'] = np.zeros(len(kept), bool)
    return results


def box_around(mask: np.ndarray) -> tuple[int, int, int, int]:
    """xyxy of the pixels of a mask that has some."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
