"""RoIAlign for CPUs: kernels that numba compiles at first use and keeps on disk.

A cell averages its samples, and their weights are products of one factor per axis. So the weights of all samples of a
cell are summed axis by axis first: n x n samples, which have 4 n^2 corners, touch only about n + 1 rows and columns.
Channels are the lanes, hence the copy to channels last, except for few regions on a large map. The backward gives each
block of channels to one thread, so that nothing is added atomically and the result does not depend on the number of
threads.
"""

import os
from functools import cache, partial

import numpy as np
from torch import Tensor

from ..kernels import simd
from ..kernels.numba_tools import arrays, jit, split
from ..kernels.simd import load, store, zeros

# Lanes of a block: eight registers, enough sums to hide the time that one addition takes.
LANES = 64


def roi_align_numba(features: Tensor, rois: Tensor, grid) -> Tensor:
    """As `roi_align`, for float32 and float64 on the CPU."""
    features, axes = features.detach(), _axes(rois, grid)
    output = features.new_empty(len(rois), *grid.output_size, features.shape[1])
    if output.numel():
        last = features.permute(0, 2, 3, 1)  # B H W C
        in_place = not last.is_contiguous() and _is_little(axes[2], grid, features.shape)
        lanes = 1 if in_place else _lanes(features.shape[1])
        forward, _ = _kernels(lanes)
        table = features.contiguous() if in_place else last.contiguous()
        split(
            len(rois),
            4 * output[0].numel(),
            partial(forward, *arrays(table, *axes, output), *_sizes(grid, features.shape, in_place)),
        )
    return output.permute(0, 3, 1, 2)


def roi_align_grad_numba(grad: Tensor, rois: Tensor, grid, shape: tuple[int, ...]) -> Tensor:
    """As `roi_align_grad`, for float32 and float64 on the CPU."""
    batch, channels, height, width = shape
    axes, grad = _axes(rois, grid), grad.detach().permute(0, 2, 3, 1).contiguous()  # R h w C
    in_place = _is_little(axes[2], grid, shape)
    table = grad.new_zeros(shape if in_place else (batch, height, width, channels))
    if grad.numel():
        lanes = 1 if in_place else _lanes(channels)
        _, backward = _kernels(lanes)
        split(
            channels // lanes,
            4 * lanes * grad[..., 0].numel(),
            partial(backward, *arrays(grad, *axes, table), *_sizes(grid, shape, in_place)),
        )
    return table if in_place else table.permute(0, 3, 1, 2)


def _is_little(steps: Tensor, grid, shape: tuple[int, ...]) -> bool:
    """Whether all regions together read fewer cells than the map has, so that to copy the map would take longer."""
    reads = steps.clamp(min=0, max=2 * grid.sampling_ratio - 1 if grid.sampling_ratio > 0 else None) + 1
    return float(reads.prod(1).sum()) * grid.output_size[0] * grid.output_size[1] < shape[0] * shape[2] * shape[3]


def _lanes(channels: int) -> int:
    return max(lanes for lanes in range(1, LANES + 1) if channels % lanes == 0)


def _sizes(grid, shape: tuple[int, ...], in_place: bool) -> tuple[int, ...]:
    """Last: how far apart neighbours are in the map, channels and cells."""
    _, channels, height, width = shape
    apart = (height * width, 1) if in_place else (1, channels)
    return height, width, channels, *grid.output_size, grid.sampling_ratio, *apart


def _axes(rois: Tensor, grid) -> tuple[Tensor, Tensor, Tensor]:
    """Image of each region (R, int64), its upper left corner (R 2: x, y) and the size of its cells (R 2), in cells of
    the map; in the order of operations that `roi_align` explains."""
    corners = rois[:, 1:].detach() * grid.spatial_scale - (0.5 if grid.aligned else 0)
    start, extent = corners[:, :2].contiguous(), corners[:, 2:] - corners[:, :2]
    if not grid.aligned:
        extent = extent.clamp(min=1)
    return rois[:, 0].long(), start, extent / extent.new_tensor(grid.output_size[::-1])


@jit
def _entries(start, step, cells, samples, size, firsts, indices, weights):
    """Of each cell along one axis, the rows (or columns) of the map that it touches, with the sum of their weights:
    entries ``firsts[cell]`` to ``firsts[cell + 1]``. Rules and rounding are those of `roi_align`."""
    number = weights.dtype.type
    half, one = number(0.5), number(1)
    entry = 0
    for cell in range(cells):
        begin = entry
        firsts[cell] = begin
        for turn in range(samples):
            sample = turn if step >= 0 else samples - 1 - turn  # so that positions never fall
            position = start + number(cell) * step + (number(sample) + half) * step / number(samples)
            if position >= -1 and position <= size:
                position = min(max(position, number(0)), number(size - 1))
                low = int(position)
                upper = position - number(low)
                for index, weight in ((low, one - upper), (low + 1, upper)):
                    if index < size:
                        place = entry  # or one of the last two, if it is there
                        for known in range(max(begin, entry - 2), entry):
                            if indices[known] == index:
                                place = known
                        if place == entry:
                            indices[entry], weights[entry] = index, 0
                            entry += 1
                        weights[place] += weight / number(samples)
    firsts[cells] = entry


@jit
def _samples(step, ratio):
    """Samples per cell and axis."""
    return ratio if ratio > 0 else max(int(np.ceil(step)), 0) if step > 0 else 0


@cache
def _kernels(lanes: int):
    """Forward and backward for blocks of so many channels. Arrays are flat; C, H, W, rows, columns are the sizes."""
    # numba recompiles when this file changes; a constant that it sees makes it do so when `simd` does.
    stamp = os.stat(simd.__file__).st_mtime_ns

    @jit
    def prepare(starts, steps, roi, H, W, rows, columns, ratio):
        down, across = _samples(steps[2 * roi + 1], ratio), _samples(steps[2 * roi], ratio)
        y, x = np.empty(rows * min(2 * down, H), np.int64), np.empty(columns * min(2 * across, W), np.int64)
        y_weight, x_weight = np.empty(len(y), starts.dtype), np.empty(len(x), starts.dtype)
        y_first, x_first = np.empty(rows + 1, np.int64), np.empty(columns + 1, np.int64)
        _entries(starts[2 * roi + 1], steps[2 * roi + 1], rows, down, H, y_first, y, y_weight)
        _entries(starts[2 * roi], steps[2 * roi], columns, across, W, x_first, x, x_weight)
        return y_first, y, y_weight, x_first, x, x_weight

    @jit
    def forward(table, images, starts, steps, output, H, W, C, rows, columns, ratio, channel, cell, begin, end):
        _ = stamp
        for roi in range(begin, end):
            y_first, y, y_weight, x_first, x, x_weight = prepare(starts, steps, roi, H, W, rows, columns, ratio)
            for block in range(0, C, lanes):
                for row in range(rows):
                    for column in range(columns):
                        mean = zeros(table, lanes)
                        for i in range(y_first[row], y_first[row + 1]):
                            line = images[roi] * H * W * C + block * channel + y[i] * W * cell
                            for j in range(x_first[column], x_first[column + 1]):
                                mean = mean + load(table, line + x[j] * cell, lanes) * (y_weight[i] * x_weight[j])
                        store(output, ((roi * rows + row) * columns + column) * C + block, mean)

    @jit
    def backward(grad, images, starts, steps, table, H, W, C, rows, columns, ratio, channel, cell, begin, end):
        _ = stamp
        for roi in range(len(images)):
            y_first, y, y_weight, x_first, x, x_weight = prepare(starts, steps, roi, H, W, rows, columns, ratio)
            for block in range(begin * lanes, end * lanes, lanes):
                for row in range(rows):
                    for column in range(columns):
                        mean = load(grad, ((roi * rows + row) * columns + column) * C + block, lanes)
                        for i in range(y_first[row], y_first[row + 1]):
                            line = images[roi] * H * W * C + block * channel + y[i] * W * cell
                            for j in range(x_first[column], x_first[column + 1]):
                                place = line + x[j] * cell
                                store(table, place, load(table, place, lanes) + mean * (y_weight[i] * x_weight[j]))

    return forward, backward


ROI_ALIGN = roi_align_numba, roi_align_grad_numba
