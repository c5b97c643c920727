"""A decoder that grows a map level by level and joins it with the encoder's (U-Net and all that grew from it)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..layers.conv_block import ACT, NORM, UpConv, conv_norm_act, crop_or_pad
from ..layers.patch import tupled
from ..registry import MODELS, build_part
from .conv_encoder import DoubleConv, chain
from .restore import enlarge


@MODELS.register_module()
class TransposedUp(UpConv):
    """A transposed convolution whose kernel is its stride, or linear interpolation and a convolution of kernel 1."""

    def __init__(self, in_channels, out_channels, scale=2, dims=2, interpolate=False, bias=True):
        super().__init__(in_channels, out_channels, scale, dims, interpolate, bias)
        self.channels = out_channels


@MODELS.register_module()
class InterpolateUp(nn.Module):
    """Linear interpolation; the channels stay.

    Args:
        align_corners: whether the first and last pixels keep their places (TransUNet).
    """

    def __init__(self, in_channels: int, scale: int | Sequence[int] = 2, dims: int = 2, align_corners: bool = False):
        super().__init__()
        self.channels, self.scale, self.align_corners = in_channels, tupled(scale, dims), align_corners

    def forward(self, x: Tensor) -> Tensor:
        size = tuple(side * scale for side, scale in zip(x.shape[2:], self.scale))
        return enlarge(x, size, self.align_corners)


@MODELS.register_module()
class NearestUp(nn.Module):
    """Nearest neighbours, then a convolution with norm and activation."""

    def __init__(
        self, in_channels, out_channels, scale=2, dims=2, norm: dict | None = NORM, act: dict | None = ACT, bias='auto'
    ):
        super().__init__()
        self.channels, self.scale = out_channels, tuple(map(float, tupled(scale, dims)))
        self.conv = conv_norm_act(in_channels, out_channels, dims=dims, norm=norm, act=act, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=self.scale, mode='nearest'))


@MODELS.register_module()
class ConcatLevel(nn.Module):
    """Enlarge, join with the encoder's map, and a block.

    Args:
        up: what enlarges.
        block: from the joined channels to those of the level.
        skip_first: whether the encoder's channels come before the enlarged ones.
        crops: whether the encoder's map is cropped to the enlarged one (valid convolutions); else the enlarged map is
            padded or cropped to the encoder's (odd sizes).
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        scale: int | Sequence[int] = 2,
        dims: int = 2,
        up: dict = dict(type=TransposedUp),
        block: dict = dict(type=DoubleConv),
        skip_first: bool = True,
        crops: bool = False,
    ):
        super().__init__()
        self.up = build_part(up, in_channels=in_channels, out_channels=out_channels, scale=scale, dims=dims)
        joined = self.up.channels + skip_channels
        self.block = build_part(block, in_channels=joined, out_channels=out_channels, dims=dims, crops=crops)
        self.skip_first, self.crops = skip_first, crops

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = self.up(x)
        return self.block(joined(x, skip, self.skip_first, self.crops))


def joined(x: Tensor, skip: Tensor | None, skip_first: bool = True, crops: bool = False) -> Tensor:
    """An enlarged map and the encoder's side by side, brought to one size."""
    if skip is None:
        return x
    if x.shape[2:] != skip.shape[2:]:
        x, skip = (x, crop_or_pad(skip, x.shape[2:])) if crops else (crop_or_pad(x, skip.shape[2:]), skip)
    return torch.cat([skip, x] if skip_first else [x, skip], dim=1)


@MODELS.register_module()
class UpDecoder(BaseModule):
    """From the coarsest map up.

    Args:
        in_channels, strides: of the maps, fine to coarse; set by the segmentor.
        stem: parts for the coarsest map, one after the other, each with its ``out_channels``.
        channels: of the levels, coarse to fine; default: those of the encoder's maps. More levels than maps to join go
            on without joining.
        level: called as ``level(x, skip)``; skip is None where there is no map, ``skip_channels`` then 0. One config
            for all levels, or one for each.
        num_outputs: how many of the finest levels are features, for deep supervision.
        num_skips: how many maps are joined, the coarsest first; default: all.
        crops: see :class:`ConcatLevel`.
        with_cp: recompute each level in the backward pass to save memory.

    >>> decoder = UpDecoder([8, 16, 32], [1, 2, 4])
    >>> levels = [torch.zeros(1, 8, 12, 16), torch.zeros(1, 16, 6, 8), torch.zeros(1, 32, 3, 4)]
    >>> decoder(levels)[0].shape[2:]
    torch.Size([12, 16])
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[int | Sequence[int]],
        channels: Sequence[int] | None = None,
        stem: Sequence[dict] = (),
        level: dict | Sequence[dict] = dict(type=ConcatLevel),
        num_outputs: int = 1,
        num_skips: int | None = None,
        crops: bool = False,
        dims: int = 2,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        skips = list(in_channels[-2::-1])
        channels = list(channels or skips)
        if not 1 <= num_outputs <= len(channels) or len(channels) < len(skips):
            raise ValueError(
                f'{len(channels)} levels of channels {channels} cannot join {len(skips)} maps and give {num_outputs} '
                'outputs'
            )
        self.num_skips = len(skips) if num_skips is None else num_skips
        skips = [each if i < self.num_skips else 0 for i, each in enumerate(skips)]
        skips += [0] * (len(channels) - len(skips))
        scales = [
            tuple(b // a for a, b in zip(tupled(fine, dims), tupled(coarse, dims)))
            for fine, coarse in zip(strides[-2::-1], strides[:0:-1])
        ]
        scales += [(2,) * dims] * (len(channels) - len(scales))
        self.stem, width = chain(stem, in_channels[-1], dims)
        self.levels = nn.ModuleList(
            build_part(
                each, in_channels=before, skip_channels=skip, out_channels=out, scale=scale, dims=dims, crops=crops
            )
            for each, before, skip, out, scale in zip(
                [level] * len(channels) if isinstance(level, dict) else level,
                (width, *channels),
                skips,
                channels,
                scales,
            )
        )
        self.crops, self.with_cp = crops, with_cp
        self.channels = tuple(channels[::-1][:num_outputs])

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps fine to coarse -> features, the finest first."""
        x, features = self.stem(maps[-1]), []
        skips = list(maps[-2::-1])
        for index, level in enumerate(self.levels):
            skip = skips[index] if index < min(len(skips), self.num_skips) else None
            cp = self.with_cp and torch.is_grad_enabled()
            x = checkpoint(level, x, skip, use_reentrant=False) if cp else level(x, skip)
            features.append(x)
        return features[::-1][: len(self.channels)]
