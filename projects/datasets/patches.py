"""Patches of an image as objects to be found: UP-DETR's at random places, DETReg's on proposals.

A patch is cut from the image as it was loaded, resized to a square and augmented as in SimCLR; the image itself is
not. The pipeline is: boxes (`RandomPatchBoxes` or `ProposalBoxes`, or `AnnotatedPatches` of annotated objects), flips,
crops and resizes of the image, patches of the boxes that are left (`CutPatches`), `PackPatches`.
"""

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.datasets.transforms import PackDetInputs
from mmdet.structures.bbox import HorizontalBoxes
from PIL import Image, ImageEnhance, ImageFilter

from ..registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomPatchBoxes(BaseTransform):
    """Boxes of random size at random places (UP-DETR, section 3.1). An image too small for one is skipped.

    Args:
        num: boxes.
        margin: a side is at least this long and at least this much shorter than the image's, in pixels.
        label: of all boxes; the official code has two classes and gives the second.
    """

    def __init__(self, num: int = 10, margin: int = 8, label: int = 1):
        self.num, self.margin, self.label = num, margin, label

    def transform(self, results: dict) -> dict | None:
        height, width = results['img_shape'][:2]
        if min(height, width) <= 2 * self.margin:
            return None
        spans = [self._spans(side) for side in (width, height)]
        return with_boxes(results, np.stack([spans[0][0], spans[1][0], spans[0][1], spans[1][1]], axis=1), self.label)

    def _spans(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        length = np.random.randint(self.margin, side - self.margin + 1, self.num)
        start = np.random.randint(0, side - length)  # the last column of the image is never reached, as there
        return start, start + length


def with_boxes(results: dict, boxes: np.ndarray, label: int) -> dict:
    """The sample with these boxes (N 4, xyxy pixels) as its only objects, and what their patches are cut from."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    results['gt_bboxes'] = HorizontalBoxes(boxes.copy())  # which transforms change in place
    results['gt_bboxes_labels'] = np.full(len(boxes), label, np.int64)
    results['gt_ignore_flags'] = np.zeros(len(boxes), bool)
    results['gt_instances_ids'] = np.arange(len(boxes))  # which mmdet's crops filter as they filter boxes
    results['patch_source'] = (results['img'], boxes)
    return results


@TRANSFORMS.register_module()
class AnnotatedPatches(BaseTransform):
    """The patches are those of the annotated objects, which stay as they are, with labels and masks."""

    def transform(self, results: dict) -> dict:
        boxes = results['gt_bboxes'].numpy().copy()
        results['gt_instances_ids'] = np.arange(len(boxes))
        results['patch_source'] = (results['img'], boxes)
        return results


@TRANSFORMS.register_module()
class CutPatches(BaseTransform):
    """The patches of the boxes that are left, N 3 size size uint8 in ``gt_patches``.

    Args:
        size: side of a patch in pixels; the aspect ratio is not kept.
        augment: probabilities of jittered colours, of grey and of blur (SimCLR: 0.8, 0.2, 0.5).
        minimum: an image with fewer boxes is skipped.
    """

    def __init__(self, size: int = 128, augment: tuple[float, float, float] = (0.8, 0.2, 0.5), minimum: int = 1):
        self.size, self.augment, self.minimum = size, augment, minimum

    def transform(self, results: dict) -> dict | None:
        image, boxes = results.pop('patch_source')
        kept = results['gt_instances_ids']
        if len(kept) < self.minimum:
            return None
        picture = Image.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        patches = [simclr(cut(picture, box, self.size), *self.augment) for box in boxes[kept]]
        stacked = (
            np.stack([np.asarray(patch)[..., ::-1] for patch in patches])
            if patches
            else np.empty((0, self.size, self.size, 3), np.uint8)
        )
        results['gt_patches'] = np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))
        return results


def cut(picture: Image.Image, box: np.ndarray, size: int) -> Image.Image:
    """xyxy pixels of an image, at least one of them, as a square."""
    left, top, right, bottom = (int(round(float(side))) for side in box)
    left, top = min(left, picture.width - 1), min(top, picture.height - 1)
    box = (left, top, max(right, left + 1), max(bottom, top + 1))
    return picture.crop(box).resize((size, size), Image.Resampling.BILINEAR)


def simclr(patch: Image.Image, jitter: float = 0.8, grey: float = 0.2, blur: float = 0.5) -> Image.Image:
    """SimCLR's augmentation (https://arxiv.org/abs/2002.05709) in the strength of UP-DETR: colours, grey, blur."""
    if np.random.rand() < jitter:
        for step in np.random.permutation([brightness, contrast, saturation, hue]):
            patch = step(patch)
    if np.random.rand() < grey:
        patch = patch.convert('L').convert('RGB')
    if np.random.rand() < blur:
        patch = patch.filter(ImageFilter.GaussianBlur(np.random.uniform(0.1, 2.0)))
    return patch


def brightness(patch: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(patch).enhance(np.random.uniform(0.6, 1.4))


def contrast(patch: Image.Image) -> Image.Image:
    return ImageEnhance.Contrast(patch).enhance(np.random.uniform(0.6, 1.4))


def saturation(patch: Image.Image) -> Image.Image:
    return ImageEnhance.Color(patch).enhance(np.random.uniform(0.6, 1.4))


def hue(patch: Image.Image) -> Image.Image:
    channels = np.array(patch.convert('HSV'))
    channels[..., 0] += np.uint8(int(np.random.uniform(-0.1, 0.1) * 255) % 256)  # the circle wraps around
    return Image.fromarray(channels, 'HSV').convert('RGB')


@TRANSFORMS.register_module()
class PackPatches(PackDetInputs):
    """mmdet's `PackDetInputs`, which also packs the patches: ``gt_instances.patches``, N 3 H W uint8."""

    def transform(self, results: dict) -> dict:
        packed = super().transform(results)
        patches = results['gt_patches'][~results['gt_ignore_flags']]  # the others are not among the instances
        packed['data_samples'].gt_instances.patches = torch.from_numpy(patches)
        return packed
