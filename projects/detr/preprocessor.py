"""Normalisation of images with any number of channels; mmdet's takes one or three."""

from collections.abc import Sequence

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from torch import Tensor

from ..registry import MODELS


@MODELS.register_module()
class ChannelPreprocessor(DetDataPreprocessor):
    """mmdet's `DetDataPreprocessor` for C channels, as of satellites and microscopes.

    Args:
        mean, std: C numbers each.
        bgr_to_rgb, rgb_to_bgr: for three channels only; of others nobody knows which are colours.

    Raises:
        ValueError: numbers that do not fit each other, or an image with another number of channels.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        *args,
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        **kwargs,
    ):
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise ValueError(f'mean={mean} and std={std}: one number a channel each, those of std above 0')
        if (bgr_to_rgb or rgb_to_bgr) and len(mean) != 3:
            raise ValueError(f'bgr_to_rgb turns three channels round; mean has {len(mean)}')
        super().__init__(None, None, *args, bgr_to_rgb=bgr_to_rgb, rgb_to_bgr=rgb_to_bgr, **kwargs)
        for name, values in (('mean', mean), ('std', std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1), False)
        self._enable_normalize = True

    def forward(self, data: dict, training: bool = False) -> dict:
        for image in data['inputs']:
            self._check(image)
        return super().forward(data, training)

    def _check(self, image: Tensor) -> None:
        if image.shape[0] != len(self.mean):
            raise ValueError(
                f'an image has {image.shape[0]} channels, the mean of the preprocessor {len(self.mean)}; '
                "LoadCheckedImage(color_type='unchanged') loads as many as the file has, 'grayscale' one, 'color' three"
            )
