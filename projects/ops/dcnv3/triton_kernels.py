"""Deformable convolution v3 for GPUs: Triton kernels, compiled for the GPU at first use and kept on disk.

A program takes a tile of neighbouring cells of one group, whose points share most of what they read. Sums are float32
(float64 with float64). The softmax is taken from the logits again in both directions, so that its weights are never in
memory; its gradient needs one number per cell and group, the product of the output and its gradient.
The gradient of ``value`` is added by relaxed atomics, in whatever order the GPU runs. Under
`torch.use_deterministic_algorithms` they add integers, of which any order gives the same sum.
"""

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from .op import DCNV3, convolve

# Numbers of `value` per program: with 4 warps two 16-byte loads of float32, or one of half precision, per corner.
BLOCK = 1024
# Columns of a tile; 16 numbers per cell make it 8 x 8.
WIDE = 8

dcnv3_triton = convolve


def forward(
    value: Tensor, offset: Tensor, mask: Tensor, taps: list[float], stride: int, scale: float, softmax: bool
) -> Tensor:
    value, offset, mask = (tensor.contiguous() for tensor in (value, offset, mask))
    output = value.new_empty(*offset.shape[:3], value.shape[3])
    if output.numel():
        _launch(_forward_kernel, value, offset, mask, taps, stride, scale, output, SOFTMAX=softmax)
    return output


def backward(
    grad: Tensor,
    output: Tensor,
    value: Tensor,
    offset: Tensor,
    mask: Tensor,
    taps: list[float],
    stride: int,
    scale: float,
    softmax: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    value, offset, mask = (tensor.contiguous() for tensor in (value, offset, mask))
    grad_offset, grad_mask = torch.empty_like(offset), torch.empty_like(mask)
    if not grad.numel():
        return torch.zeros_like(value), grad_offset, grad_mask

    exact = torch.are_deterministic_algorithms_enabled()
    unit = _unit(grad, mask, softmax) if exact else mask  # `mask`: not read
    sums = torch.zeros(value.shape, dtype=torch.int64 if exact else mask.dtype, device=value.device)
    _launch(
        _backward_kernel,
        value,
        offset,
        mask,
        taps,
        stride,
        scale,
        grad.contiguous(),
        output,
        unit,
        sums,
        grad_offset,
        grad_mask,
        SOFTMAX=softmax,
        EXACT=exact,
    )
    return (sums * unit if exact else sums).to(value.dtype), grad_offset, grad_mask


DCNV3.implement('cuda', forward, backward)


def _unit(grad: Tensor, mask: Tensor, softmax: bool) -> Tensor:
    """What 1 is worth in integer sums: 2 ** -40 of the largest summand, so that 2 ** 23 of them fit into 64 bits.

    Where a gradient is infinite or NaN so is the unit, and with it all gradients of ``value``; likewise the mask.
    """
    weight = mask.abs().amax()
    if softmax:
        weight = torch.where(weight.isnan(), weight, 1.0)
    return (grad.abs().amax().double() * weight).clamp(min=1e-200) * 2.0**-40


def _launch(
    kernel,
    value: Tensor,
    offset: Tensor,
    mask: Tensor,
    taps: list[float],
    stride: int,
    scale: float,
    *tensors: Tensor,
    **flags: bool,
):
    batch, rows, columns, groups, points = mask.shape
    dim = value.shape[3] // groups
    block_dim = triton.next_power_of_2(dim)
    tall = max(BLOCK // block_dim // WIDE, 1)
    # Triton launches on the current device, whatever that of the tensors is.
    with torch.cuda.device_of(value):
        kernel[triton.cdiv(rows, tall) * triton.cdiv(columns, WIDE), groups, batch](
            value,
            offset,
            mask,
            _grid(tuple(taps), scale, mask.dtype, mask.device),
            *tensors,
            *value.shape[1:3],
            rows,
            columns,
            stride,
            GROUPS=groups,
            POINTS=points,
            DIM=dim,
            BLOCK_DIM=block_dim,
            TALL=tall,
            WIDE=WIDE,
            **flags,
        )


@lru_cache(maxsize=64)
def _grid(taps: tuple[float, ...], scale: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The taps and the scale on the GPU, in full precision; kept, for the copy would hold up every call."""
    return torch.tensor([*taps, scale], dtype=dtype, device=device)


@triton.jit
def _cells(rows, columns, GROUPS: tl.constexpr, TALL: tl.constexpr, WIDE: tl.constexpr):
    """Row and column of each cell of the tile, its index with the group, and whether it exists."""
    across = tl.cdiv(columns, WIDE)
    cell = tl.arange(0, TALL * WIDE)
    row = tl.program_id(0) // across * TALL + cell // WIDE
    column = tl.program_id(0) % across * WIDE + cell % WIDE
    exists = (row < rows) & (column < columns)
    image = tl.program_id(2).to(tl.int64)
    return row, column, ((image * rows + row) * columns + column) * GROUPS + tl.program_id(1), exists


@triton.jit
def _softmax(mask, exists, POINTS: tl.constexpr):
    """The largest logit, and the sum of the exponentials of all less that one."""
    largest = tl.load(mask, mask=exists, other=0.0)
    for point in tl.static_range(1, POINTS):
        largest = tl.maximum(largest, tl.load(mask + point, mask=exists, other=0.0))
    total = tl.zeros_like(largest)
    for point in tl.static_range(POINTS):
        total += tl.exp(tl.load(mask + point, mask=exists, other=0.0) - largest)
    return largest, total


@triton.jit
def _place(offset, grid, point, x, y, exists, height, width, POINTS: tl.constexpr):
    """Cell of the upper left corner, distances from it, which corners exist, and NaN where the offset is NaN."""
    scale = tl.load(grid + 2 * POINTS)
    x = x + tl.load(grid + 2 * point) + scale * tl.load(offset + 2 * point, mask=exists, other=0.0)
    y = y + tl.load(grid + 2 * point + 1) + scale * tl.load(offset + 2 * point + 1, mask=exists, other=0.0)
    poison = tl.where(x == x, 0.0, x) + tl.where(y == y, 0.0, y)
    inside = exists & (x >= -1) & (x < width) & (y >= -1) & (y < height)
    x, y = tl.where(inside, x, 0.0), tl.where(inside, y, 0.0)
    left, top = tl.floor(x), tl.floor(y)
    column, row = left.to(tl.int32), top.to(tl.int32)
    has_left, has_right = inside & (column >= 0), inside & (column < width - 1)
    has_top, has_bottom = row >= 0, row < height - 1
    return (
        row * width + column,
        x - left,
        y - top,
        has_top & has_left,
        has_top & has_right,
        has_bottom & has_left,
        has_bottom & has_right,
        poison,
    )


@triton.jit
def _forward_kernel(
    value,
    offset,
    mask,
    grid,
    output,
    height,
    width,
    rows,
    columns,
    stride,
    GROUPS: tl.constexpr,
    POINTS: tl.constexpr,
    DIM: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    TALL: tl.constexpr,
    WIDE: tl.constexpr,
    SOFTMAX: tl.constexpr,
):
    row, column, n, exists = _cells(rows, columns, GROUPS, TALL, WIDE)
    lane = tl.arange(0, BLOCK_DIM)[None]
    within = lane < DIM
    dtype = mask.dtype.element_ty
    base_x, base_y = (column * stride).to(dtype), (row * stride).to(dtype)
    step = GROUPS * DIM
    value += tl.program_id(2).to(tl.int64) * height * width * step + tl.program_id(1) * DIM
    offset += n * (2 * POINTS)
    mask += n * POINTS
    if SOFTMAX:
        largest, norm = _softmax(mask, exists, POINTS)

    total = tl.zeros((TALL * WIDE, BLOCK_DIM), dtype)
    for point in tl.static_range(POINTS):
        cell, x, y, has00, has01, has10, has11, poison = _place(
            offset, grid, point, base_x, base_y, exists, height, width, POINTS
        )
        weight = tl.load(mask + point, mask=exists, other=0.0)
        if SOFTMAX:
            weight = tl.exp(weight - largest) / norm

        upper = cell.to(tl.int64)[:, None] * step + lane
        lower = upper + width * step
        value00 = tl.load(value + upper, mask=has00[:, None] & within, other=0.0)
        value01 = tl.load(value + upper + step, mask=has01[:, None] & within, other=0.0)
        value10 = tl.load(value + lower, mask=has10[:, None] & within, other=0.0)
        value11 = tl.load(value + lower + step, mask=has11[:, None] & within, other=0.0)

        total += (weight * (1 - y) * (1 - x))[:, None] * value00.to(dtype) + poison[:, None]
        total += (weight * (1 - y) * x)[:, None] * value01.to(dtype)
        total += (weight * y * (1 - x))[:, None] * value10.to(dtype)
        total += (weight * y * x)[:, None] * value11.to(dtype)
    tl.store(output + n[:, None] * DIM + lane, total, mask=exists[:, None] & within)


@triton.jit
def _pull(value, sums, place, mask, weight, grad, units, EXACT: tl.constexpr):
    """One corner: adds ``weight * grad`` to its row of ``sums`` (with EXACT times ``units``, cut to an integer); gives
    ``grad`` times its row of ``value``."""
    amount = weight[:, None] * grad
    if EXACT:
        amount = (amount.to(tl.float64) * units).to(tl.int64)
    tl.atomic_add(sums + place, amount, mask=mask, sem='relaxed')
    return tl.sum(grad * tl.load(value + place, mask=mask, other=0.0).to(grad.dtype), 1)


@triton.jit
def _backward_kernel(
    value,
    offset,
    mask,
    grid,
    grad,
    output,
    unit,
    sums,
    grad_offset,
    grad_mask,
    height,
    width,
    rows,
    columns,
    stride,
    GROUPS: tl.constexpr,
    POINTS: tl.constexpr,
    DIM: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    TALL: tl.constexpr,
    WIDE: tl.constexpr,
    SOFTMAX: tl.constexpr,
    EXACT: tl.constexpr,
):
    row, column, n, exists = _cells(rows, columns, GROUPS, TALL, WIDE)
    lane = tl.arange(0, BLOCK_DIM)[None]
    within = lane < DIM
    dtype = mask.dtype.element_ty
    base_x, base_y = (column * stride).to(dtype), (row * stride).to(dtype)
    step = GROUPS * DIM
    image = tl.program_id(2).to(tl.int64) * height * width * step + tl.program_id(1) * DIM
    value += image
    sums += image
    offset += n * (2 * POINTS)
    grad_offset += n * (2 * POINTS)
    mask += n * POINTS
    grad_mask += n * POINTS
    scale = tl.load(grid + 2 * POINTS)
    units = 1.0
    if EXACT:
        units = 1.0 / tl.load(unit)

    grad = tl.load(grad + n[:, None] * DIM + lane, mask=exists[:, None] & within, other=0.0).to(dtype)
    if SOFTMAX:
        largest, norm = _softmax(mask, exists, POINTS)
        result = tl.load(output + n[:, None] * DIM + lane, mask=exists[:, None] & within, other=0.0).to(dtype)
        mean = tl.sum(grad * result, 1)

    for point in tl.static_range(POINTS):
        cell, x, y, has00, has01, has10, has11, poison = _place(
            offset, grid, point, base_x, base_y, exists, height, width, POINTS
        )
        weight = tl.load(mask + point, mask=exists, other=0.0)
        if SOFTMAX:
            weight = tl.exp(weight - largest) / norm

        upper = cell.to(tl.int64)[:, None] * step + lane
        lower = upper + width * step
        dot00 = _pull(value, sums, upper, has00[:, None] & within, weight * (1 - y) * (1 - x), grad, units, EXACT)
        dot01 = _pull(value, sums, upper + step, has01[:, None] & within, weight * (1 - y) * x, grad, units, EXACT)
        dot10 = _pull(value, sums, lower, has10[:, None] & within, weight * y * (1 - x), grad, units, EXACT)
        dot11 = _pull(value, sums, lower + step, has11[:, None] & within, weight * y * x, grad, units, EXACT)

        above, below = dot00 + (dot01 - dot00) * x, dot10 + (dot11 - dot10) * x
        across = (dot01 - dot00) * (1 - y) + (dot11 - dot10) * y
        seen = above + (below - above) * y + poison
        if SOFTMAX:
            seen = weight * (seen - mean)
        tl.store(grad_mask + point, seen, mask=exists)
        tl.store(grad_offset + 2 * point, weight * scale * across + poison, mask=exists)
        tl.store(grad_offset + 2 * point + 1, weight * scale * (below - above) + poison, mask=exists)
