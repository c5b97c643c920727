"""SimMIM: the pixels of masked squares (https://arxiv.org/abs/2111.09886; code microsoft/SimMIM, Swin-Transformer).

The mask token stands in place of masked patch embeddings, before positions are added; a convolution of kernel 1 on the
last map gives the pixels of each of its places.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..registry import MODELS
from .masking import MaskingObjective


@MODELS.register_module()
class SimMIM(MaskingObjective):
    """
    Args:
        mask_size: pixels of the side of a masked square.
        ratio: share of squares that are masked, rounded up, without replacement.
        norm_window: side of the window in which target pixels are normalised by their neighbours' mean and deviation
            (47 for Swin v2); None: pixels as the preprocessor would normalise them are asked for.
        mean, std: what pixels are normalised by; ImageNet's.
    """

    def __init__(
        self,
        embed_dims: int,
        channels: int,
        patch_stride: int,
        stride: int,
        mask_size: int = 32,
        ratio: float = 0.6,
        norm_window: int | None = None,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if mask_size % patch_stride:
            raise ValueError(f'mask_size={mask_size} is no multiple of the patches, {patch_stride} pixels')
        self.mask_size, self.patch_stride, self.stride = mask_size, patch_stride, stride
        self.ratio, self.norm_window = ratio, norm_window
        self.mask_token = nn.Parameter(torch.zeros(embed_dims))
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        self.decoder = nn.Sequential(nn.Conv2d(channels, 3 * stride**2, 1), nn.PixelShuffle(stride))
        for name, values in (('mean', mean), ('std', std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def check(self, size):
        unit = math.lcm(self.mask_size, self.stride)
        if any(side % unit for side in size):
            right = 'x'.join(str(-(-side // unit) * unit) for side in size)
            raise ValueError(f'image {"x".join(map(str, size))} is no multiple of {unit}; crop or pad it to {right}')

    def corrupt(self, patches):
        batch, height, width, _ = patches.shape
        repeat = self.mask_size // self.patch_stride
        rows, columns = height // repeat, width // repeat
        count = math.ceil(self.ratio * rows * columns)
        squares = torch.rand(batch, rows * columns, device=patches.device).argsort(1) < count
        mask = squares.view(batch, rows, columns).repeat_interleave(repeat, 1).repeat_interleave(repeat, 2)
        return torch.where(mask[..., None], self.mask_token.to(patches.dtype), patches), mask

    def loss(self, features, pixels, asked):
        target = self.target(pixels)
        mask = self._pixels_of(asked)
        error = (self.decoder(features).float() - target).abs() * mask
        return dict(loss=error.sum() / (mask.sum() + 1e-5) / target.shape[1])

    def target(self, pixels: Tensor) -> Tensor:
        """What is asked for, of the images in [0, 1]."""
        target = (pixels.float() - self.mean) / self.std
        return target if self.norm_window is None else normed_by_neighbours(target, self.norm_window)

    def paint(self, features, pixels, asked):
        made = self.decoder(features).float()
        if self.norm_window is not None:  # what was asked for has no brightness of its own: that of the image around
            target = (pixels.float() - self.mean) / self.std
            mean, deviation = neighbours(target, self.norm_window)
            made = made * deviation + mean
        return torch.where(self._pixels_of(asked) > 0, made * self.std + self.mean, pixels)

    def _pixels_of(self, asked: Tensor) -> Tensor:
        """B H W of patches -> B 1 H W of pixels, 0 or 1."""
        side = self.patch_stride
        return asked.repeat_interleave(side, 1).repeat_interleave(side, 2)[:, None].float()


def neighbours(images: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Mean and (unbiased) deviation in a window around each pixel; what lies outside the image is not counted."""
    pad = window // 2

    def box(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, window, stride=1, padding=pad, count_include_pad=False)

    count = F.avg_pool2d(torch.ones_like(images), window, 1, pad, count_include_pad=True) * window**2
    mean = box(images)
    variance = (box(images.square()) - mean.square()) * (count / (count - 1))
    return mean, (variance.clamp(min=0) + 1e-6).sqrt()


def normed_by_neighbours(images: Tensor, window: int) -> Tensor:
    mean, deviation = neighbours(images, window)
    return (images - mean) / deviation
