"""Intensities of a volume on a common scale, case by case."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS


class IntensityTransform(BaseTransform):
    """Base: each channel by itself."""

    deterministic = True

    def transform(self, results: dict) -> dict:
        results['img'] = np.stack([self.scale(channel) for channel in results['img']])
        return results

    def scale(self, channel: np.ndarray) -> np.ndarray:
        """A channel, float32, on its new scale."""
        raise NotImplementedError


@TRANSFORMS.register_module()
class WindowIntensity(IntensityTransform):
    """A window of values, such as Hounsfield units of CT, to a range; what lies outside is clipped.

    Args:
        low, high: of the window: -125 and 275 for abdominal organs (TransUNet), -175 and 250 (UNETR on BTCV).
        to: values of ``low`` and ``high`` afterwards; None only clips.
    """

    def __init__(self, low: float, high: float, to: tuple[float, float] | None = (0.0, 1.0)):
        if low >= high:
            raise ValueError(f'low={low} is not below high={high}')
        self.low, self.high, self.to = low, high, to

    def scale(self, channel):
        clipped = channel.clip(self.low, self.high)
        return clipped if self.to is None else to_range(clipped, self.low, self.high, self.to)


@TRANSFORMS.register_module()
class PercentileIntensity(IntensityTransform):
    """Two percentiles to a range; what lies outside is clipped.

    Args:
        low, high: percentiles.
        to: their values afterwards.
        nonzero: only voxels other than 0 count.
    """

    def __init__(
        self, low: float = 0.5, high: float = 99.5, to: tuple[float, float] = (0.0, 1.0), nonzero: bool = False
    ):
        self.low, self.high, self.to, self.nonzero = low, high, to, nonzero

    def scale(self, channel):
        low, high = np.percentile(counted(channel, self.nonzero), (self.low, self.high))
        return to_range(channel.clip(low, high), low, high, self.to)


@TRANSFORMS.register_module()
class ZScore(IntensityTransform):
    """Mean 0 and deviation 1 of each channel.

    Args:
        nonzero: only voxels other than 0 count, and only they change (skull-stripped MR).
        mean, std: of the data set, one number a channel or one for all (CT, after `WindowIntensity`); None: of the
            case.
    """

    def __init__(
        self,
        nonzero: bool = False,
        mean: Sequence[float] | float | None = None,
        std: Sequence[float] | float | None = None,
    ):
        if (mean is None) != (std is None):
            raise ValueError(f'mean={mean} and std={std} are given together or not at all')
        self.nonzero, self.mean, self.std = nonzero, mean, std

    def transform(self, results: dict) -> dict:
        if self.mean is None:
            return super().transform(results)
        axes = (-1, *(1,) * (results['img'].ndim - 1))
        mean, std = (np.asarray(each, np.float32).reshape(axes) for each in (self.mean, self.std))
        results['img'] = (results['img'] - mean) / std
        return results

    def scale(self, channel):
        values = counted(channel, self.nonzero)
        scaled = (channel - values.mean(dtype=np.float64)) / max(values.std(dtype=np.float64), 1e-8)
        return np.where(channel != 0, scaled, 0).astype(np.float32) if self.nonzero else scaled.astype(np.float32)


def counted(channel: np.ndarray, nonzero: bool) -> np.ndarray:
    """The values that count; all of them where none is other than 0."""
    values = channel[channel != 0] if nonzero else channel
    return values if values.size else channel


def to_range(values: np.ndarray, low: float, high: float, to: tuple[float, float]) -> np.ndarray:
    """Linearly, ``low`` and ``high`` to the ends of ``to``."""
    share = (values - low) / max(high - low, 1e-8)
    return (to[0] + share * (to[1] - to[0])).astype(np.float32)
