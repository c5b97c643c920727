"""Deformable convolution v3 as loops over cells, groups and points, and random inputs away from cell borders."""

import itertools
import math

import torch

from mmparts.ops.dcnv3.api import VARIANTS, dcnv3, kernel_taps


def loop(
    value,
    offset,
    mask,
    kernel_size=3,
    stride=1,
    padding=1,
    dilation=1,
    offset_scale=1.0,
    remove_center=False,
    softmax=False,
):
    """The definition read off InternImage's equation and its CUDA kernel; differentiable."""
    batch, height, width, channels = value.shape
    _, rows, columns, groups, _, _ = offset.shape
    dim = channels // groups
    half = dilation * (kernel_size - 1) // 2
    output = []
    for b, row, column, group in itertools.product(*map(range, (batch, rows, columns, groups))):
        weights = mask[b, row, column, group].softmax(0) if softmax else mask[b, row, column, group]
        total, point = value.new_zeros(dim), 0
        for i, j in itertools.product(range(kernel_size), repeat=2):  # i along x, the outer one
            if remove_center and i == j == kernel_size // 2:
                continue
            dx, dy = offset[b, row, column, group, point]
            x = column * stride - padding + half + offset_scale * (i * dilation - half + dx)
            y = row * stride - padding + half + offset_scale * (j * dilation - half + dy)
            left, top = math.floor(x.item()), math.floor(y.item())
            for cell_y, cell_x in itertools.product((top, top + 1), (left, left + 1)):
                if 0 <= cell_y < height and 0 <= cell_x < width:
                    # On a border the gradient is that towards the next cell, so no abs() here.
                    near_x = 1 - (x - left) if cell_x == left else x - left
                    near_y = 1 - (y - top) if cell_y == top else y - top
                    total = total + weights[point] * near_x * near_y * value[b, cell_y, cell_x, group * dim :][:dim]
            point += 1
        output.append(total)
    return torch.stack(output).view(batch, rows, columns, channels)


def inputs(
    dtype=torch.float32,
    batch=2,
    size=(7, 5),
    groups=3,
    dim=16,
    kernel_size=3,
    stride=1,
    padding=1,
    dilation=1,
    offset_scale=1.0,
    remove_center=False,
    softmax=False,
):
    """Other numbers at each call; a part of the points is outside, none within 0.001 cells of a cell's border."""
    reach = dilation * (kernel_size - 1) + 1 - 2 * padding
    rows, columns = ((side - reach) // stride + 1 for side in size)
    taps = torch.tensor(kernel_taps(kernel_size, padding, dilation, offset_scale, remove_center), dtype=torch.float64)
    y, x = torch.meshgrid(stride * torch.arange(rows), stride * torch.arange(columns), indexing='ij')
    undisturbed = torch.stack([x, y], -1)[:, :, None, None] + taps

    value = torch.randn(batch, *size, groups * dim, dtype=torch.float64)
    shape = batch, rows, columns, groups, len(taps)
    positions = undisturbed + 2 * torch.randn(*shape, 2, dtype=torch.float64)
    positions = positions.floor() + 0.001 + 0.998 * (positions - positions.floor())
    offset = (positions - undisturbed) / offset_scale
    return [tensor.to(dtype) for tensor in (value, offset, torch.randn(shape, dtype=torch.float64))]


def direction(output):
    return torch.linspace(-1, 1, output.numel(), dtype=output.dtype).cos().view_as(output)


def run(op, tensors, **geometry):
    """Output and the gradients of value, offset and mask; ``op`` is a function as `dcnv3`, or the name of a variant."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    if callable(op):
        output = op(*leaves, **geometry)
    else:
        with VARIANTS.use(op):
            output = dcnv3(*leaves, **geometry)
    return output.detach(), *torch.autograd.grad(output, leaves, direction(output))


def error(ours, expected):
    return (ours.double() - expected).norm() / expected.norm()
