"""Deformable convolution (https://arxiv.org/abs/1703.06211), also modulated (v2, https://arxiv.org/abs/1811.11168).

A convolution whose kernel taps are moved by learned offsets: bilinear samples, zeros outside, then a matrix product.
Offsets and masks are laid out as in mmcv and torchvision, whose ops are compiled; ours is plain torch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .kernels.precision import at_least_float
from .kernels.variants import Variant, Variants
from .mmcv import compiled

Pair = tuple[int, int]


def deform_conv2d(
    features: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    deform_groups: int = 1,
) -> Tensor:
    """Deformable convolution, B O h w; pairs are (vertical, horizontal).

    Args:
        features: B C H W.
        offset: B deform_groups*kh*kw*2 h w: (y, x) of each tap, in cells.
        weight: O C/groups kh kw.
        mask: B deform_groups*kh*kw h w: factor of each tap; without it the first form.
        bias: O.
    """
    op = VARIANTS.choose(features.device, features.dtype)
    return op(features, offset, weight, mask, bias, stride, padding, dilation, groups, deform_groups)


def deform_conv2d_reference(
    features: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    deform_groups: int,
) -> Tensor:
    """As `deform_conv2d`, on any device."""
    taps = _sampled_taps(features, offset, weight.shape[2:], stride, padding, dilation, deform_groups)
    if mask is not None:
        taps = taps * mask.unflatten(1, (deform_groups, 1, -1)).flatten(4)  # B G C/G K h*w

    columns = taps.reshape(len(features), groups, -1, taps.shape[-1])  # B groups C/groups*K h*w
    output = weight.unflatten(0, (groups, -1)).flatten(2) @ columns  # B groups O/groups h*w
    output = output.view(len(features), -1, *offset.shape[2:])
    return output if bias is None else output + bias[:, None, None]


def _sampled_taps(
    features: Tensor, offset: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, deform_groups: int
) -> Tensor:
    """The features under each tap of each output cell: B deform_groups C/deform_groups K h*w.

    Positions are at least float32 whatever the autocast: a half has no room for a third of a cell on a large map.
    """
    height, width = features.shape[2:]
    (offset,) = at_least_float(offset)
    offset = offset.unflatten(1, (deform_groups, kernel[0], kernel[1], 2))  # B G kh kw 2 h w
    y = offset[..., 0, :, :] + _tap_positions(offset, kernel, 0, stride, padding, dilation)
    x = offset[..., 1, :, :] + _tap_positions(offset, kernel, 1, stride, padding, dilation)

    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    grid = grid.flatten(0, 1).flatten(1, 2).flatten(2, 3)  # B*G K h*w 2
    images = features.unflatten(1, (deform_groups, -1)).flatten(0, 1).to(grid.dtype)
    taps = F.grid_sample(images, grid, padding_mode='zeros', align_corners=False).to(features.dtype)
    return taps.unflatten(0, (-1, deform_groups))


def _tap_positions(offset: Tensor, kernel: Pair, axis: int, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    """Undisturbed position of each tap along one axis, shaped to add to offsets B G kh kw h w."""
    cells = torch.arange(offset.shape[-2 + axis], dtype=offset.dtype, device=offset.device) * stride[axis]
    taps = torch.arange(kernel[axis], dtype=offset.dtype, device=offset.device) * dilation[axis] - padding[axis]
    position = taps[:, None] + cells
    return position[:, None, :, None] if axis == 0 else position[None, :, None, :]


def _example():
    features, offset, weight = torch.randn(1, 64, 32, 32), 2 * torch.randn(1, 18, 32, 32), torch.randn(64, 64, 3, 3)
    tensors = features, offset, weight, torch.rand(1, 9, 32, 32), torch.randn(64)
    return lambda *tensors: deform_conv2d(*tensors, padding=(1, 1)), tuple(t.requires_grad_() for t in tensors)


VARIANTS = Variants(
    'deform_conv2d', example=_example, mmcv=compiled.DEFORM_CONV2D, reference=Variant(lambda: deform_conv2d_reference)
)
