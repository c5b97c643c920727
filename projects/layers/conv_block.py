"""Blocks of convolution, norm and activation in 1, 2 or 3 dimensions, on mmcv's ConvModule (channels first)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.registry import MODELS as ROOT
from torch import Tensor, nn

NORM = dict(type='BN')
ACT = dict(type='ReLU', inplace=True)


def conv_norm_act(
    in_channels: int,
    out_channels: int,
    kernel_size: int | Sequence[int] = 3,
    dims: int = 2,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str | None = None,
    norm: dict | None = NORM,
    act: dict | None = ACT,
    order: Sequence[str] = ('conv', 'norm', 'act'),
    **kwargs,
) -> ConvModule:
    """One :class:`mmcv.cnn.ConvModule`.

    Args:
        dims: axes of the map.
        padding: default: 'same' for odd kernels (half the kernel); 0 for valid convolutions (U-Net).
        norm, act: mmcv configs; ``BN``, ``IN`` and ``SyncBN`` of the right number of axes are found by ``dims``.
        order: of the three steps; pre-activation blocks are ``('norm', 'act', 'conv')``.
    """
    if padding is None:
        sides = (kernel_size,) * dims if isinstance(kernel_size, int) else kernel_size
        padding = tuple(side // 2 for side in sides)
    return ConvModule(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=padding,
        conv_cfg=dict(type=f'Conv{dims}d'),
        norm_cfg=norm_of(norm, dims),
        act_cfg=act,
        order=tuple(order),
        **kwargs,
    )


def norm_of(norm: dict | None, dims: int) -> dict | None:
    """A norm's config for so many axes: ``BN`` becomes ``BN3d``; others stay."""
    if norm is None or norm['type'] not in ('BN', 'IN'):
        return norm
    return dict(norm, type=f'{norm["type"]}{dims}d')


class ConvBlock(nn.Sequential):
    """Several :func:`conv_norm_act` one after the other; two of them are U-Net's double convolution.

    Args:
        strides: of the first; the others have 1.
        num_convs: how many.
        others: those of :func:`conv_norm_act`.
    """

    def __init__(self, in_channels: int, out_channels: int, num_convs: int = 2, stride=1, **kwargs):
        convs = [conv_norm_act(in_channels, out_channels, stride=stride, **kwargs)]
        convs += [conv_norm_act(out_channels, out_channels, **kwargs) for _ in range(num_convs - 1)]
        super().__init__(*convs)


class ResidualConvBlock(nn.Module):
    """A :class:`ConvBlock` without its last activation, plus its input, then the activation (ResNet).

    The input passes a convolution of kernel 1 with a norm where channels or stride change.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_convs: int = 2,
        stride=1,
        dims: int = 2,
        norm: dict | None = NORM,
        act: dict | None = ACT,
        **kwargs,
    ):
        super().__init__()
        shared = dict(dims=dims, norm=norm, **kwargs)
        body = [conv_norm_act(in_channels, out_channels, stride=stride, act=act, **shared)]
        body += [conv_norm_act(out_channels, out_channels, act=act, **shared) for _ in range(num_convs - 2)]
        body += [conv_norm_act(out_channels, out_channels, act=None, **shared)]
        self.body = nn.Sequential(*body)
        strided = stride != 1 if isinstance(stride, int) else any(each != 1 for each in stride)
        self.shortcut = (
            conv_norm_act(in_channels, out_channels, 1, dims=dims, stride=stride, norm=norm, act=None)
            if strided or in_channels != out_channels
            else nn.Identity()
        )
        self.act = ROOT.build(act) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + self.shortcut(x))


class UpConv(nn.Module):
    """Twice (or ``scale`` times) the size: a transposed convolution, or interpolation and a convolution.

    Args:
        scale: one number for all axes or one for each.
        interpolate: interpolate linearly and convolve with kernel 1, instead of a transposed convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int | Sequence[int] = 2,
        dims: int = 2,
        interpolate: bool = False,
        bias: bool = True,
    ):
        super().__init__()
        self.scale = (scale,) * dims if isinstance(scale, int) else tuple(scale)
        self.mode = ('linear', 'bilinear', 'trilinear')[dims - 1] if interpolate else None
        if interpolate:
            self.conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1](in_channels, out_channels, 1, bias=bias)
        else:
            up = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dims - 1]
            self.conv = up(in_channels, out_channels, self.scale, stride=self.scale, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.mode:
            scale = tuple(map(float, self.scale))
            x = F.interpolate(x, scale_factor=scale, mode=self.mode, align_corners=False)
        return self.conv(x)


def crop_or_pad(x: Tensor, size: Sequence[int]) -> Tensor:
    """B C *old -> B C *size about the centre: cropped where it is larger (valid convolutions), zero-padded where it is
    smaller (odd sizes)."""
    padding = []
    for old, new in zip(x.shape[2:], size):
        before = (new - old) // 2 if new > old else -((old - new) // 2)
        padding += [before, new - old - before]
    pairs = [padding[i : i + 2] for i in range(0, len(padding), 2)]
    flat = [each for pair in reversed(pairs) for each in pair]
    return F.pad(x, flat) if any(flat) else x


def join(*maps: Tensor) -> Tensor:
    """Maps B C *size of one batch side by side, all brought to the size of the first: a skip connection."""
    size = maps[0].shape[2:]
    return torch.cat([each if each.shape[2:] == size else crop_or_pad(each, size) for each in maps], dim=1)
