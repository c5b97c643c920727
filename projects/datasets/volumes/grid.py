"""Transforms of the grid: orientation, spacing, crop, pad. Each moves ``img`` and the label maps and keeps ``affine``
true, from which predictions find their way back."""

from collections.abc import Callable, Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from scipy import ndimage

from ...registry import TRANSFORMS
from .geometry import optional, spacing_of
from .loading import set_grid

ANISOTROPIC = 3.0  # ratio of spacings from which on nnU-Net treats the coarse axis apart


def move(results: dict, image: Callable, label: Callable, matrix: np.ndarray) -> dict:
    """Apply ``image`` to every channel and ``label`` to every label map.

    Args:
        matrix: of the new grid: voxel i of it lies at ``matrix`` i of the old one (4 4).
    """
    results['img'] = np.stack([image(channel) for channel in results['img']])
    for key in results.get('seg_fields', ()):
        results[key] = label(results[key])
    if results.get('affine') is None:  # an augmentation has bent the grid
        results['img_shape'] = results['img'].shape[1:]
        return results
    return set_grid(results, results['affine'] @ matrix)


@TRANSFORMS.register_module()
class Orientation(BaseTransform):
    """Turn and flip axes so that they point as named.

    Args:
        axes: where D, H and W point to: 'SAR' is a NIfTI file in RAS. MONAI's checkpoints, whose arrays are x, y, z,
            want 'RAS'.
    """

    deterministic = True

    def __init__(self, axes: str = 'SAR'):
        if len(axes) != 3 or {frozenset(p) for p in ('RL', 'AP', 'SI')} != {
            next((frozenset(p) for p in ('RL', 'AP', 'SI') if axis in p), None) for axis in axes
        }:
            raise ValueError(f"axes={axes!r}; one of R L, one of A P, one of S I, as 'SAR'")
        self.axes = axes

    def transform(self, results: dict) -> dict:
        orientations = optional('nibabel', 'orientation').orientations
        now = orientations.io_orientation(results['affine'])
        turn = orientations.ornt_transform(now, orientations.axcodes2ornt(self.axes))
        matrix = orientations.inv_ornt_aff(turn, results['img'].shape[1:])

        def turned(array):
            return orientations.apply_orientation(array, turn)

        return move(results, turned, turned, matrix)


@TRANSFORMS.register_module()
class Spacing(BaseTransform):
    """Resample to a spacing; the middle of the volume stays where it is.

    Args:
        spacing: millimetres along D, H and W; None keeps that of an axis.
        order: of the spline for the image, 0 to 3.
        label_order: 1 interpolates each label and takes the largest (nnU-Net), 0 takes the nearest.
        coarse_order: along an axis that is at least ``anisotropy`` times as coarse as the finest, before or after; one
            such axis is resampled apart from the others, as nnU-Net does. Within the plane ``order`` holds.
        anisotropy: see there.
    """

    deterministic = True

    def __init__(
        self,
        spacing: Sequence[float | None],
        order: int = 3,
        label_order: int = 1,
        coarse_order: int = 0,
        anisotropy: float = ANISOTROPIC,
    ):
        self.spacing, self.order, self.label_order = tuple(spacing), order, label_order
        self.coarse_order, self.anisotropy = coarse_order, anisotropy

    def transform(self, results: dict) -> dict:
        old = np.array(spacing_of(results['affine']))
        new = np.array([o if n is None else n for n, o in zip(self.spacing, old)])
        if np.allclose(old, new, rtol=1e-4):
            return results
        shape = np.array(results['img'].shape[1:])
        sizes = np.maximum(np.round(shape * old / new).astype(int), 1)
        scale = new / old
        offset = (shape - 1) / 2 - scale * (sizes - 1) / 2
        coarse = coarse_axis(old, self.anisotropy)
        coarse = coarse_axis(new, self.anisotropy) if coarse is None else coarse

        def image(channel):
            return resample(channel, scale, offset, sizes, self.order, coarse, self.coarse_order)

        def label(classes):
            return resample_label(classes, scale, offset, sizes, self.label_order, coarse)

        matrix = np.diag([*scale, 1.0])
        matrix[:3, 3] = offset
        return move(results, image, label, matrix)


def coarse_axis(spacing: np.ndarray, anisotropy: float) -> int | None:
    """The one axis that is so much coarser than the finest; None if there is none or more than one."""
    coarse = np.flatnonzero(spacing / spacing.min() >= anisotropy)
    return int(coarse[0]) if len(coarse) == 1 else None


def resample(
    values: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    shape: Sequence[int],
    order: int,
    coarse: int | None = None,
    coarse_order: int = 0,
) -> np.ndarray:
    """Values (float32) at ``scale`` i + ``offset`` of each new voxel i; beyond the border as at the border."""
    values = np.asarray(values, np.float32)
    steps = [(np.ones(3, bool), order)]
    if coarse is not None and coarse_order != order:
        along = np.arange(3) == coarse
        steps = [(~along, order), (along, coarse_order)]
    for axes, degree in steps:
        s, o = np.where(axes, scale, 1.0), np.where(axes, offset, 0.0)
        if (s == 1).all() and (o == 0).all():
            continue
        sizes = tuple(int(n) for n in np.where(axes, shape, values.shape))
        values = ndimage.affine_transform(values, s, o, sizes, order=degree, mode='nearest')
    return values


def resample_label(
    classes: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    shape: Sequence[int],
    order: int,
    coarse: int | None = None,
) -> np.ndarray:
    """Class numbers: the nearest, or the class whose mask is largest there."""
    if order == 0:
        nearest = ndimage.affine_transform(classes, scale, offset, tuple(map(int, shape)), order=0, mode='nearest')
        return nearest.astype(classes.dtype)
    best = np.zeros(tuple(map(int, shape)), np.float32)
    result = np.zeros(best.shape, classes.dtype)
    for value in np.unique(classes):
        share = resample(classes == value, scale, offset, shape, order, coarse)
        result[share > best] = value
        np.maximum(best, share, out=best)
    return result


@TRANSFORMS.register_module()
class CropForeground(BaseTransform):
    """Cut off what surrounds the foreground of the image: where some channel is above a threshold.

    Args:
        threshold: 0 suits skull-stripped MR; for CT in HU take about -500.
        margin: voxels that stay around it.
    """

    deterministic = True

    def __init__(self, threshold: float = 0.0, margin: int = 0):
        self.threshold, self.margin = threshold, margin

    def transform(self, results: dict) -> dict:
        shown = (results['img'] > self.threshold).any(0)
        if not shown.any():
            return results
        (box,) = ndimage.find_objects(shown.astype(np.uint8))
        box = tuple(
            slice(max(each.start - self.margin, 0), min(each.stop + self.margin, size))
            for each, size in zip(box, shown.shape)
        )
        return crop(results, box)


def crop(results: dict, box: tuple[slice, ...]) -> dict:
    """A part of the volume."""
    matrix = np.eye(4)
    matrix[:3, 3] = [each.start for each in box]

    def cut(array):
        return array[box]

    return move(results, cut, cut, matrix)


@TRANSFORMS.register_module()
class PadVolume(BaseTransform):
    """Fill up on both sides to a size, or to multiples of a number.

    Args:
        size: at least so many voxels along D, H and W.
        divisor: of the sizes; after ``size``.
        value: of the image there; 'min' takes the smallest value of each channel, which suits HU.
        label: class number there; 255 is ignored by losses and metrics.
    """

    deterministic = True

    def __init__(self, size: Sequence[int] | None = None, divisor: int = 1, value: float | str = 0.0, label: int = 0):
        self.size, self.divisor, self.value, self.label = size, divisor, value, label

    def transform(self, results: dict) -> dict:
        shape = results['img'].shape[1:]
        wanted = [max(pair) for pair in zip(shape, self.size or shape)]
        wanted = [-(-length // self.divisor) * self.divisor for length in wanted]
        return pad(results, wanted, self.value, self.label)


def pad(results: dict, wanted: Sequence[int], value: float | str, label: int) -> dict:
    """Fill up on both sides to at least ``wanted``."""
    missing = [max(w - n, 0) for w, n in zip(wanted, results['img'].shape[1:])]
    if not any(missing):
        return results
    widths = [(m // 2, m - m // 2) for m in missing]
    matrix = np.eye(4)
    matrix[:3, 3] = [-near for near, _ in widths]

    def image(channel):
        return np.pad(channel, widths, constant_values=channel.min() if value == 'min' else value)

    def classes(array):
        return np.pad(array, widths, constant_values=label)

    return move(results, image, classes, matrix)
