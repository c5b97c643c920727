"""Deformable convolution v3 for CPUs: kernels that numba compiles at first use and keeps on disk.

One cell and group at a time: the arithmetic of all K points in vectors of K lanes, then K times four rows of D lanes,
fetched and added in registers. The four rows of a point are neighbours that always lie inside the image, and each
weighs what is left of 1 after its distance from the point, so that nothing has to be masked at the borders. The
backward gives each (image, group) to one thread, so that nothing is added atomically and the result does not depend on
the number of threads. A point at NaN makes its own group NaN in its own cell and touches no other.
"""

import os
from functools import cache, lru_cache, partial

import numpy as np
import torch
from torch import Tensor

from ..kernels import simd
from ..kernels.numba_tools import arrays, jit, split
from ..kernels.simd import (
    convert,
    dots,
    evens,
    exp,
    fabs,
    floor,
    interleave,
    isnan,
    largest,
    load,
    odds,
    store,
    total,
    where,
    zeros,
)
from .op import DCNV3, convolve

fourth0, fourth1, fourth2, fourth3 = simd.fourths


def dcnv3_numba(value: Tensor, offset: Tensor, *others) -> Tensor:
    """As `dcnv3_reference`, for the CPU; cannot be differentiated twice."""
    return convolve(value.to(offset.dtype), offset, *others)


def _forward(
    value: Tensor, offset: Tensor, mask: Tensor, taps: list[float], stride: int, scale: float, softmax: bool
) -> Tensor:
    value, offset, mask = (tensor.contiguous() for tensor in (value, offset, mask))
    batch, rows, columns, groups, points = mask.shape
    dim = value.shape[3] // groups
    output = value.new_empty(batch, rows, columns, value.shape[3])
    if output.numel():
        forward, _ = _kernels(dim, points, softmax)
        grid = _grid(tuple(taps), value.dtype)
        split(
            batch * rows,
            columns * groups * points * dim * 4,
            partial(
                forward,
                *arrays(value, offset, mask),
                grid,
                *arrays(output),
                *value.shape[1:3],
                rows,
                columns,
                groups,
                stride,
                grid.dtype.type(scale),
            ),
        )
    return output


def _backward(
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
    grad, value, offset, mask = (tensor.contiguous() for tensor in (grad, value, offset, mask))
    batch, rows, columns, groups, points = mask.shape
    dim = value.shape[3] // groups
    grads = torch.zeros_like(value), torch.empty_like(offset), torch.empty_like(mask)
    if grad.numel():
        _, backward = _kernels(dim, points, softmax)
        grid = _grid(tuple(taps), value.dtype)
        split(
            batch * groups,
            rows * columns * points * dim * 8,
            partial(
                backward,
                *arrays(grad, value, offset, mask),
                grid,
                *arrays(*grads),
                *value.shape[1:3],
                rows,
                columns,
                groups,
                stride,
                grid.dtype.type(scale),
            ),
        )
    return grads


DCNV3.implement('cpu', _forward, _backward)


@lru_cache(maxsize=64)
def _grid(taps: tuple[float, ...], dtype: torch.dtype) -> np.ndarray:
    """The taps: all x, then all y."""
    return np.array(taps[0::2] + taps[1::2], str(dtype).removeprefix('torch.'))


@jit
def _pair(position, size):
    """The first of two neighbouring cells along an axis, inside the image, and how far the point is from it."""
    first = floor(position)
    first = where(first < size - 2.0, first, size - 2.0)
    first = where(first >= 0.0, first, 0.0)  # NaN became size - 2
    return first, position - first


@jit
def _nearness(distance):
    """1 on the cell, 0 from the next cell on; NaN stays."""
    nearness = 1.0 - fabs(distance)
    return where(nearness < 0.0, 0.0, nearness)


@jit
def _slope(distance, weight):
    """The derivative of the nearness times ``weight``; on a cell that towards the next cell."""
    rising = (distance >= -1.0) & (distance < 0.0)
    falling = (distance >= 0.0) & (distance < 1.0)
    return where(rising, weight, 0.0) - where(falling, weight, 0.0)


@jit
def _softmax(logits):
    weights = exp(logits - largest(logits))
    return weights * (1.0 / total(weights))


@cache
def _kernels(dim: int, points: int, softmax: bool):
    """Forward and backward for D = ``dim``, K = ``points``. All arrays are flat; H W is the value, h w the output."""
    pairs, two, three, four = 2 * points, 2 * points, 3 * points, 4 * points
    # numba recompiles when this file changes; a constant that it sees makes it do so when `simd` does.
    stamp = os.stat(simd.__file__).st_mtime_ns

    @jit
    def forward(value, offset, mask, taps, output, H, W, h, w, G, stride, scale, begin, end):
        _ = stamp
        rows, corners = np.empty(points, np.int32), np.empty(4 * points, value.dtype)
        one = value.dtype.type(1)
        height, width = one * H, one * W
        tap_x, tap_y = load(taps, 0, points), load(taps, points, points)
        # An image of one row or column has no neighbours: they weigh nothing, and the first is read again.
        wide, high = one * (W > 1), one * (H > 1)
        step = G * dim
        right, down = step * (W > 1), step * W * (H > 1)
        for line in range(begin, end):  # a row of an image
            image, y0 = line // h * H * W * step, tap_y + one * (line % h * stride)
            for column in range(w):
                x0 = tap_x + one * (column * stride)
                for group in range(G):
                    n = (line * w + column) * G + group
                    xy, weight = load(offset, n * pairs, pairs), load(mask, n * points, points)
                    if softmax:
                        weight = _softmax(weight)
                    left, x = _pair(x0 + evens(xy, xy) * scale, width)
                    top, y = _pair(y0 + odds(xy, xy) * scale, height)
                    store(rows, 0, convert(top, rows) * W + convert(left, rows))

                    upper, lower = weight * _nearness(y), weight * (_nearness(y - 1.0) * high)
                    near, far = _nearness(x), _nearness(x - 1.0) * wide
                    store(corners, 0, upper * near)
                    store(corners, points, upper * far)
                    store(corners, two, lower * near)
                    store(corners, three, lower * far)

                    # Two sums, for one alone waits for its own last addition.
                    even, odd = zeros(value, dim), zeros(value, dim)
                    base = image + group * dim
                    for k in range(points):
                        place = base + rows[k] * step
                        even = even + load(value, place, dim) * corners[k]
                        odd = odd + load(value, place + right, dim) * corners[points + k]
                        even = even + load(value, place + down, dim) * corners[two + k]
                        odd = odd + load(value, place + down + right, dim) * corners[three + k]
                    store(output, n * dim, even + odd)

    @jit
    def backward(
        grad, value, offset, mask, taps, grad_value, grad_offset, grad_mask, H, W, h, w, G, stride, scale, begin, end
    ):
        _ = stamp
        rows, corners = np.empty(points, np.int32), np.empty(4 * points, value.dtype)
        products = np.zeros(4 * points, value.dtype)
        one = value.dtype.type(1)
        height, width = one * H, one * W
        tap_x, tap_y = load(taps, 0, points), load(taps, points, points)
        wide, high = one * (W > 1), one * (H > 1)
        step = G * dim
        right, down = step * (W > 1), step * W * (H > 1)
        for unit in range(begin, end):
            image, group = unit // G, unit % G
            base = image * H * W * step + group * dim
            for cell in range(h * w):
                n = (image * h * w + cell) * G + group
                xy, weight = load(offset, n * pairs, pairs), load(mask, n * points, points)
                if softmax:
                    weight = _softmax(weight)
                x = tap_x + one * (cell % w * stride) + evens(xy, xy) * scale
                y = tap_y + one * (cell // w * stride) + odds(xy, xy) * scale
                poison = where(isnan(x), x, 0.0) + where(isnan(y), y, 0.0)
                lost = isnan(x + y)
                x, y = where(lost, -2.0, x), where(lost, -2.0, y)  # outside
                left, x = _pair(x, width)
                top, y = _pair(y, height)
                store(rows, 0, convert(top, rows) * W + convert(left, rows))

                upper, lower = _nearness(y), _nearness(y - 1.0) * high
                near, far = _nearness(x), _nearness(x - 1.0) * wide
                store(corners, 0, weight * upper * near)
                store(corners, points, weight * upper * far)
                store(corners, two, weight * lower * near)
                store(corners, three, weight * lower * far)

                row = load(grad, n * dim, dim)
                for k in range(points):
                    place = base + rows[k] * step
                    place1, place2, place3 = place + right, place + down, place + down + right
                    store(
                        products,
                        4 * k,
                        dots(
                            row,
                            load(value, place, dim),
                            load(value, place1, dim),
                            load(value, place2, dim),
                            load(value, place3, dim),
                        ),
                    )
                    store(grad_value, place, load(grad_value, place, dim) + row * corners[k])
                    store(grad_value, place1, load(grad_value, place1, dim) + row * corners[points + k])
                    store(grad_value, place2, load(grad_value, place2, dim) + row * corners[two + k])
                    store(grad_value, place3, load(grad_value, place3, dim) + row * corners[three + k])

                corner_dots = load(products, 0, four)
                dot00, dot01 = fourth0(corner_dots, corner_dots), fourth1(corner_dots, corner_dots)
                dot10, dot11 = fourth2(corner_dots, corner_dots), fourth3(corner_dots, corner_dots)
                across_upper, across_lower = dot00 * near + dot01 * far, dot10 * near + dot11 * far
                seen = across_upper * upper + across_lower * lower + poison
                if softmax:
                    store(grad_mask, n * points, weight * (seen - total(weight * seen)))
                else:
                    store(grad_mask, n * points, seen)
                down_near, down_far = dot00 * upper + dot10 * lower, dot01 * upper + dot11 * lower
                slope_x = _slope(x, down_near) + _slope(x - 1.0, down_far) * wide
                slope_y = _slope(y, across_upper) + _slope(y - 1.0, across_lower) * high
                weight = weight * scale
                store(grad_offset, n * pairs, interleave(weight * slope_x + poison, weight * slope_y + poison))

    return forward, backward
