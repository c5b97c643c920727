"""Inputs of images, volumes and cubes as one batch: normalised, padded to whole multiples, for any number of axes."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from ..layers.patch import tupled
from ..registry import MODELS


@MODELS.register_module()
class SegmentPreprocessor(BaseDataPreprocessor):
    """Inputs C *size become B C *size; each sample gets ``img_shape``, ``pad_shape`` and ``batch_input_shape``.

    The truth stays in the samples as it is: the segmentor fills it up with 255 (ignored) where the input was padded.

    Args:
        mean, std: of each channel, or one number for all; None: inputs are normalised already (volumes);
            ``mean='image'``: each channel of an input by its own (microscopes, whose exposure differs).
        bgr_to_rgb: turn the order of three channels round.
        size_divisor: batches are padded at the end of each axis to a multiple; one number for all axes or one for each.
        size_offset: sides are such multiples plus this: what a net of valid convolutions can take.
        size: sides to pad to at least.
        pad_value: of padding, after normalisation.
        channels: one-channel inputs are repeated to so many (TransUNet, Swin-Unet); None: they stay.
    """

    def __init__(
        self,
        mean: Sequence[float] | float | str | None = None,
        std: Sequence[float] | float | None = None,
        bgr_to_rgb: bool = False,
        size_divisor: int | Sequence[int] = 1,
        size_offset: int = 0,
        size: int | Sequence[int] | None = None,
        pad_value: float = 0.0,
        channels: int | None = None,
        non_blocking: bool = False,
    ):
        super().__init__(non_blocking)
        self.by_image = mean == 'image'
        if isinstance(mean, str) and not self.by_image:
            raise ValueError(f"mean={mean!r}; numbers, 'image' or None")
        if self.by_image and std is not None:
            raise ValueError(f"std={std} beside mean='image', which is the image's deviation, too; leave it out")
        if (mean is None) != (std is None) and not self.by_image:
            raise ValueError(f'mean={mean} and std={std} are given together or not at all')
        self.normalises = mean is not None and not self.by_image
        if self.normalises:
            for name, value in (('mean', mean), ('std', std)):
                values = torch.tensor(value if isinstance(value, Sequence) else [value], dtype=torch.float32)
                self.register_buffer(name, values, persistent=False)
        self.bgr_to_rgb, self.channels = bgr_to_rgb, channels
        self.size_divisor, self.size_offset, self.size, self.pad_value = size_divisor, size_offset, size, pad_value

    def forward(self, data: dict, training: bool = False) -> dict:
        data = self.cast_data(data)
        inputs, samples = data['inputs'], data.get('data_samples')
        inputs = [self.normalise(one) for one in inputs]
        shape = self.padded([one.shape[1:] for one in inputs])

        for one, sample in zip(inputs, samples or []):
            size = tuple(one.shape[1:])
            sample.set_metainfo(dict(img_shape=size, pad_shape=shape, batch_input_shape=shape))
        return dict(inputs=torch.stack([self.pad(one, shape) for one in inputs]), data_samples=samples)

    def normalise(self, one: Tensor) -> Tensor:
        """C *size, float32."""
        one = one.float()
        if self.bgr_to_rgb and len(one) == 3:
            one = one.flip(0)
        if self.channels and len(one) == 1:
            one = one.expand(self.channels, *one.shape[1:])
        if self.by_image:
            std, mean = torch.std_mean(one.flatten(1), 1, correction=0)
            return ((one.flatten(1) - mean[:, None]) / std.clamp(min=1e-8)[:, None]).view_as(one)
        if not self.normalises:
            return one
        if len(self.mean) not in (1, len(one)):
            raise ValueError(f'an input has {len(one)} channels, the data_preprocessor a mean of {len(self.mean)}')
        axes = (-1, *(1,) * (one.ndim - 1))
        return (one - self.mean.view(axes)) / self.std.view(axes)

    def padded(self, sizes: Sequence[Sequence[int]]) -> tuple[int, ...]:
        """Sides of the batch."""
        dims = len(sizes[0])
        least = tupled(self.size, dims) if self.size else (0,) * dims
        largest = [max(*sides, least[axis]) for axis, sides in enumerate(zip(*sizes))]
        offset = self.size_offset
        return tuple(
            -(-(side - offset) // each) * each + offset for side, each in zip(largest, tupled(self.size_divisor, dims))
        )

    def pad(self, one: Tensor, shape: Sequence[int]) -> Tensor:
        padding = [each for new, old in zip(shape, one.shape[1:]) for each in (new - old, 0)]
        return F.pad(one, padding[::-1], value=self.pad_value) if any(padding) else one
