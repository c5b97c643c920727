"""Random transforms of volumes of any number of axes, seeded by the visit of the case: the set that nnU-Net uses."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from mmcv.transforms import BaseTransform
from scipy import ndimage

from ...registry import TRANSFORMS
from .grid import ANISOTROPIC, coarse_axis, move
from .patches import generator


class RandomTransform(BaseTransform):
    """Base: applied with a chance.

    Args:
        prob: the chance.
    """

    def __init__(self, prob: float = 0.5):
        if not 0 <= prob <= 1:
            raise ValueError(f'prob={prob}; a chance from 0 to 1')
        self.prob = prob

    def transform(self, results: dict) -> dict:
        rng = generator(results)
        return self.apply(results, rng) if rng.random() < self.prob else results

    def apply(self, results: dict, rng: np.random.Generator) -> dict:
        """The transform itself; all random numbers from ``rng``."""
        raise NotImplementedError


@TRANSFORMS.register_module()
class RandomMirror(RandomTransform):
    """Flip each axis with a chance. Names of sides (left kidney, right kidney) do not survive a flip from left to
    right: leave that axis out.

    Args:
        axes: spatial axes, 0 is D. Checkpoints store them, and averaging over mirrors at inference keeps to them.
        prob: of each axis.
    """

    def __init__(self, axes: Sequence[int] = (0, 1, 2), prob: float = 0.5):
        super().__init__(prob)
        self.mirror_axes = tuple(axes)

    def transform(self, results: dict) -> dict:
        rng = generator(results)
        chosen = [axis for axis in self.mirror_axes if rng.random() < self.prob]
        if not chosen:
            return results
        matrix = np.eye(4)
        for axis in chosen:
            matrix[axis, [axis, 3]] = -1, results['img'].shape[axis + 1] - 1

        def flip(array):
            return np.flip(array, chosen)

        return move(results, flip, flip, matrix)


@TRANSFORMS.register_module()
class RandomSpatial(RandomTransform):
    """Rotate, scale and bend, all in one interpolation. Rotations are in millimetres, so that anisotropic volumes keep
    their shapes; where one axis is much coarser than the others, they stay within the plane.

    Args:
        angle: largest rotation in degrees, in each plane.
        scale: range of the zoom; above 1 enlarges.
        elastic: (largest displacement, spacing of the control points) in voxels; None: no bending.
        probs: chances of rotation, scaling, bending.
        order: of the interpolation of the image; labels take the nearest.
        anisotropy: ratio of spacings from which on an axis is coarse.
        value, label: beyond the border; see `PadVolume`.
    """

    def __init__(
        self,
        angle: float = 30.0,
        scale: tuple[float, float] = (0.7, 1.4),
        elastic: tuple[float, float] | None = None,
        probs: tuple[float, float, float] = (0.2, 0.2, 0.2),
        order: int = 1,
        anisotropy: float = ANISOTROPIC,
        value: float = 0.0,
        label: int = 0,
    ):
        super().__init__(1.0)
        self.angle, self.scale, self.elastic, self.probs = angle, scale, elastic, probs
        self.order, self.anisotropy, self.value, self.label = order, anisotropy, value, label

    def apply(self, results, rng):
        turn, zoom, bend = rng.random(3) < self.probs
        shape = results['img'].shape[1:]
        spacing = np.array(results.get('spacing', np.ones(len(shape))))
        matrix = np.eye(len(shape))
        if turn:
            matrix = rotation(rng, self.angle, spacing, self.anisotropy) @ matrix
        if zoom:
            matrix = matrix / rng.uniform(*self.scale)
        shift = None
        if bend and self.elastic is not None:
            shift = displacement(rng, shape, *self.elastic)
        if not turn and not zoom and shift is None:
            return results
        results['img'] = np.stack(
            [sample(channel, matrix, shift, self.order, self.value) for channel in results['img']]
        )
        for key in results.get('seg_fields', ()):
            results[key] = sample(results[key], matrix, shift, 0, self.label)
        results['affine'] = None  # no longer a grid of the file
        return results


def rotation(rng: np.random.Generator, angle: float, spacing: np.ndarray, anisotropy: float) -> np.ndarray:
    """A random rotation, from voxels to voxels."""
    axes = len(spacing)
    coarse = coarse_axis(spacing, anisotropy)
    matrix = np.eye(axes)
    for first, second in combinations([axis for axis in range(axes) if axis != coarse], 2):
        theta = np.deg2rad(rng.uniform(-angle, angle))
        plane = np.eye(axes)
        plane[[first, first, second, second], [first, second, first, second]] = (
            np.cos(theta),
            -np.sin(theta),
            np.sin(theta),
            np.cos(theta),
        )
        matrix = plane @ matrix
    return matrix * spacing / spacing[:, None]


def displacement(rng: np.random.Generator, shape: Sequence[int], size: float, step: float) -> np.ndarray:
    """A smooth displacement, axes first, in voxels: random at control points, splines between."""
    points = [max(int(np.ceil(length / step)) + 1, 2) for length in shape]
    coarse = rng.uniform(-size, size, (len(shape), *points)).astype(np.float32)
    zoom = [length / count for length, count in zip(shape, points)]
    return np.stack([ndimage.zoom(each, zoom, order=3, mode='nearest', grid_mode=True) for each in coarse])


def sample(values: np.ndarray, matrix: np.ndarray, shift: np.ndarray | None, order: int, beyond: float) -> np.ndarray:
    """``values`` at ``matrix`` (i - middle) + middle + shift of each voxel i."""
    middle = (np.array(values.shape) - 1) / 2
    offset = middle - matrix @ middle
    if shift is None:
        moved = ndimage.affine_transform(values, matrix, offset, order=order, cval=beyond)
    else:
        places = np.tensordot(matrix, np.indices(values.shape, np.float32), 1)
        places += offset.reshape(-1, *[1] * values.ndim) + shift
        moved = ndimage.map_coordinates(values, places, order=order, cval=beyond)
    return moved.astype(values.dtype, copy=False)


@TRANSFORMS.register_module()
class RandomNoise(RandomTransform):
    """Gaussian noise.

    Args:
        std: range of its deviation.
    """

    def __init__(self, std: tuple[float, float] = (0.0, 0.1), prob: float = 0.1):
        super().__init__(prob)
        self.std = std

    def apply(self, results, rng):
        noise = rng.standard_normal(results['img'].shape, np.float32) * np.float32(rng.uniform(*self.std))
        results['img'] = results['img'] + noise
        return results


@TRANSFORMS.register_module()
class RandomBlur(RandomTransform):
    """Gaussian blur.

    Args:
        sigma: range, in voxels.
    """

    def __init__(self, sigma: tuple[float, float] = (0.5, 1.0), prob: float = 0.2):
        super().__init__(prob)
        self.sigma = sigma

    def apply(self, results, rng):
        sigma = rng.uniform(*self.sigma)
        results['img'] = np.stack([ndimage.gaussian_filter(channel, sigma) for channel in results['img']])
        return results


@TRANSFORMS.register_module()
class RandomBrightness(RandomTransform):
    """Multiply all values.

    Args:
        factor: range.
    """

    def __init__(self, factor: tuple[float, float] = (0.75, 1.25), prob: float = 0.15):
        super().__init__(prob)
        self.factor = factor

    def apply(self, results, rng):
        results['img'] = results['img'] * np.float32(rng.uniform(*self.factor))
        return results


@TRANSFORMS.register_module()
class RandomContrast(RandomTransform):
    """Multiply distances to the mean, within the old range.

    Args:
        factor: range.
    """

    def __init__(self, factor: tuple[float, float] = (0.75, 1.25), prob: float = 0.15):
        super().__init__(prob)
        self.factor = factor

    def apply(self, results, rng):
        factor = np.float32(rng.uniform(*self.factor))
        axes = tuple(range(1, results['img'].ndim))
        mean, low, high = (getattr(results['img'], name)(axis=axes, keepdims=True) for name in ('mean', 'min', 'max'))
        results['img'] = ((results['img'] - mean) * factor + mean).clip(low, high)
        return results


@TRANSFORMS.register_module()
class RandomGamma(RandomTransform):
    """A power of the values between smallest and largest; mean and deviation stay.

    Args:
        gamma: range of the exponent.
        invert: chance that the negative is taken.
    """

    def __init__(self, gamma: tuple[float, float] = (0.7, 1.5), prob: float = 0.3, invert: float = 0.25):
        super().__init__(prob)
        self.gamma, self.invert = gamma, invert

    def apply(self, results, rng):
        gamma, sign = rng.uniform(*self.gamma), -1 if rng.random() < self.invert else 1
        results['img'] = np.stack([sign * self._power(sign * channel, gamma) for channel in results['img']])
        return results

    @staticmethod
    def _power(channel: np.ndarray, gamma: float) -> np.ndarray:
        low, spread = channel.min(), max(float(np.ptp(channel)), 1e-7)
        powered = ((channel - low) / spread) ** np.float32(gamma)
        powered = (powered - powered.mean()) / max(float(powered.std()), 1e-7)
        return powered * channel.std() + channel.mean()


@TRANSFORMS.register_module()
class RandomLowResolution(RandomTransform):
    """A coarser scan: down by nearest neighbours and up again by splines.

    Args:
        zoom: range of the coarser size, as a share.
    """

    def __init__(self, zoom: tuple[float, float] = (0.5, 1.0), prob: float = 0.25):
        super().__init__(prob)
        self.zoom = zoom

    def apply(self, results, rng):
        shape = np.array(results['img'].shape[1:])
        small = np.maximum(np.round(shape * rng.uniform(*self.zoom)), 1).astype(int)
        channels = []
        for channel in results['img']:
            coarse = ndimage.zoom(channel, small / shape, order=0, mode='nearest', grid_mode=True)
            channels.append(
                ndimage.zoom(coarse, shape / np.array(coarse.shape), order=3, mode='nearest', grid_mode=True)
            )
        results['img'] = np.stack(channels)
        return results
