"""Convolutions over the places of a spectral cube and transformers over its bands (SpecTr,
https://arxiv.org/abs/2103.03604; journal version of 2023).

What differs from the official codes: pooling halves bands, rows and columns, whatever the size, where they pool to a
configured size with rows and columns swapped; convolutions do not pad the bands (``band_padding=1`` does as the demo of
2021 does, whose first level grows by two bands a convolution). Pooling can spare the places, and norms can be left out.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...registry import MODELS
from .attention import SpectralTransformer

GROUPS = 8


def group_norm(channels: int, num_groups: int | None = GROUPS) -> nn.Module:
    """Of so many groups, or of one where there are fewer channels; None: no norm."""
    if num_groups is None:
        return nn.Identity()
    return nn.GroupNorm(num_groups if channels >= num_groups else 1, channels)


class BandNorm(nn.Module):
    """A group norm of each band by itself; all bands share its factors. B C S H W."""

    def __init__(self, channels: int, num_groups: int | None = GROUPS):
        super().__init__()
        self.norm = group_norm(channels, num_groups)

    def forward(self, x: Tensor) -> Tensor:
        bands = x.transpose(1, 2)
        return self.norm(bands.flatten(0, 1)).view(bands.shape).transpose(1, 2)


class CubeConv(nn.Module):
    """A convolution with norm and ReLU.

    Args:
        band_norm: a norm of each band before the convolution ('scr', 2023); else a group norm of the cube after it
            ('cgr', 2021).
        num_groups: of the norm; None: a bias in its place.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        padding: Sequence[int],
        band_norm: bool,
        num_groups: int | None = GROUPS,
    ):
        super().__init__()
        self.band_norm = band_norm
        self.conv = nn.Conv3d(in_channels, out_channels, kernel, padding=padding, bias=num_groups is None)
        self.norm = BandNorm(in_channels, num_groups) if band_norm else group_norm(out_channels, num_groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.norm(x)).relu() if self.band_norm else self.norm(self.conv(x)).relu()


@MODELS.register_module()
class CubeConvs(nn.Sequential):
    """Two convolutions of a cube with group norm and ReLU: a block of the way up."""

    def __init__(
        self, in_channels: int, out_channels: int, dims: int = 3, kernel_size: int = 3, num_groups: int | None = GROUPS
    ):
        how = ((kernel_size,) * 3, (kernel_size // 2,) * 3, False, num_groups)
        super().__init__(CubeConv(in_channels, out_channels, *how), CubeConv(out_channels, out_channels, *how))


@MODELS.register_module()
class SpectralEncoder(BaseModule):
    """B S H W, bands as channels -> maps B C S/stride H/stride W/stride.

    Args:
        in_channels: number of bands.
        channels: of the levels, fine to coarse.
        band_norm: see :class:`CubeConv`.
        band_padding: see above.
        num_groups: of the norms, 8 in the official code, whose narrowest map has 64 channels; None: no norms ('cr').
            A norm forgets what all of a patch has in common, its brightness, and with a group for each channel also how
            much of it is of one material.
        pool_places: whether pooling halves rows and columns, too; else bands alone, so that a transformer sees the
            spectrum of each pixel, not the largest of several.
        transformer: of the levels from the second; its ``embed_dims`` are those of the level.
    """

    def __init__(
        self,
        in_channels: int = 60,
        channels: Sequence[int] = (64, 128, 256, 512),
        band_norm: bool = False,
        band_padding: int = 0,
        num_groups: int | None = GROUPS,
        pool_places: bool = True,
        num_heads: int = 8,
        num_layers: int = 1,
        dropout: float = 0.1,
        bounded: bool = True,
        layer_scale: float | None = None,
        positions: bool = True,
        out_norm: bool = True,
        chunk: int = 0,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.in_channels, self.channels = in_channels, tuple(channels)
        self.strides = tuple((2**i,) * 3 if pool_places else (2**i, 1, 1) for i in range(len(channels)))
        self.convs, self.transformers = nn.ModuleList(), nn.ModuleList()
        for i, (before, out) in enumerate(zip((1, *channels), channels)):
            middle = max(out // 2, before)
            padding = (0 if i else band_padding, 1, 1)
            how = dict(kernel=(1, 3, 3), padding=padding, band_norm=band_norm, num_groups=num_groups)
            self.convs.append(nn.Sequential(CubeConv(before, middle, **how), CubeConv(middle, out, **how)))
            self.transformers.append(
                SpectralTransformer(
                    out, num_layers, num_heads, dropout, bounded, layer_scale, positions, out_norm, chunk, with_cp
                )
                if i
                else nn.Identity()
            )

    tiny = dict(num_heads=2)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = images[:, None], []
        size = images.shape[1:]
        for index, (convs, transformer) in enumerate(zip(self.convs, self.transformers)):
            if index:
                x = F.adaptive_max_pool3d(
                    x, [max(1, side // stride) for side, stride in zip(size, self.strides[index])]
                )
            x = transformer(convs(x))
            maps.append(x)
        return maps

    def check_size(self, size: Sequence[int]):
        bands, *places = self.strides[-1]
        if self.in_channels < bands or min(size) < min(places):
            raise ValueError(
                f'a cube of {self.in_channels} bands and {size[0]}x{size[1]} pixels is too small for its '
                f'{len(self.channels)} levels; at least {bands} bands and {places[0]}x{places[1]} pixels'
            )
