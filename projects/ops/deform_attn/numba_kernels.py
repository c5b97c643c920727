"""Multi-scale deformable attention for CPUs: kernels that numba compiles at first use and keeps on disk.

One query and head at a time: the arithmetic of all K = L P samples in vectors of K lanes, then K times four rows of D
lanes, fetched and added in registers. Heads follow one another, not queries, and a head is copied to a table of its own
when it is read often enough. The backward gives each (image, head) to one thread, so that nothing is added atomically
and the result does not depend on the number of threads. A sample at NaN makes its own output row
NaN and touches no other.
"""

import os
from functools import cache, lru_cache, partial

import numpy as np
import torch
from torch import Tensor

from ..kernels import simd
from ..kernels.numba_tools import arrays, jit, split
from ..kernels.simd import convert, dots, evens, floor, interleave, isnan, load, odds, store, total, where, zeros
from .op import MS_DEFORM_ATTN, attend

fourth0, fourth1, fourth2, fourth3 = simd.fourths

# With this many samples per token, an image and head first gets a table of its own, which caches hold far better.
PACK = 4


def ms_deform_attn_numba(
    value: Tensor, shapes: tuple[tuple[int, int], ...], locations: Tensor, weights: Tensor
) -> Tensor:
    """As `ms_deform_attn`, for float32 and float64 on the CPU; cannot be differentiated twice."""
    return attend(value.to(locations.dtype), shapes, locations, weights)


def _forward(value: Tensor, locations: Tensor, weights: Tensor, shapes: list[int]) -> Tensor:
    value, locations, weights = (tensor.contiguous() for tensor in (value, locations, weights))
    output = value.new_empty(*locations.shape[:2], value.shape[2] * value.shape[3])
    batch, queries, heads, levels, points = weights.shape
    dim, samples = value.shape[3], levels * points
    if output.numel():
        forward, _ = _kernels(dim, samples)
        flat = (*arrays(value, locations, weights), *_tables(tuple(shapes), points, value.dtype), *arrays(output))
        split(batch * heads * queries, samples * dim, partial(forward, *flat, value.shape[1], queries, heads))
    return output


def _backward(
    grad: Tensor, value: Tensor, locations: Tensor, weights: Tensor, shapes: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    grad, value, locations, weights = (tensor.contiguous() for tensor in (grad, value, locations, weights))
    grads = torch.empty_like(value), torch.empty_like(locations), torch.empty_like(weights)
    batch, queries, heads, levels, points = weights.shape
    dim, samples = value.shape[3], levels * points
    if grad.numel():
        _, backward = _kernels(dim, samples)
        flat = (*arrays(grad, value, locations, weights), *_tables(tuple(shapes), points, value.dtype), *arrays(*grads))
        split(batch * heads, 2 * queries * samples * dim, partial(backward, *flat, value.shape[1], queries, heads))
    else:
        grads[0].zero_()
    return grads


MS_DEFORM_ATTN.implement('cpu', _forward, _backward)


@lru_cache(maxsize=256)
def _tables(shapes: tuple[int, ...], points: int, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Of each sample's level: width and height (2 K) as floats; width, height and first token (3 K) as integers."""
    heights, widths = np.array(shapes[0::2]), np.array(shapes[1::2])
    first = np.cumsum(heights * widths) - heights * widths
    tables = np.stack([widths, heights, first]).repeat(points, 1)
    return tables[:2].astype(str(dtype).removeprefix('torch.')).ravel(), tables.astype(np.int32).ravel()


@jit
def _prepare(xy, weight, width, height, columns, first, rows, corners, used):
    """Write the token and the weight of each corner (4 K each, upper left, upper right, lower left, lower right).

    A corner beyond the border has weight zero and the token of a neighbour; a sample that no corner of which lies
    inside, or at NaN, is not ``used``. All that depends on K has K lanes.
    """
    samples = len(used)
    x = evens(xy, xy) * width - 0.5
    y = odds(xy, xy) * height - 0.5
    poison = where(isnan(x), x, 0.0) + where(isnan(y), y, 0.0)
    inside = (x >= -1.0) & (x < width) & (y >= -1.0) & (y < height)
    x, y = where(inside, x, 0.0), where(inside, y, 0.0)
    left, top = floor(x), floor(y)
    x, y = x - left, y - top
    has_left, has_right = left >= 0.0, left < width - 1.0
    has_top, has_bottom = top >= 0.0, top < height - 1.0

    upper = where(has_top, convert(top, rows), 0) * columns + first
    lower = upper + where(has_top & has_bottom, columns, 0)
    left_column = where(has_left, convert(left, rows), 0)
    right_column = left_column + convert(has_left & has_right, rows)
    store(rows, 0, upper + left_column)
    store(rows, samples, upper + right_column)
    store(rows, 2 * samples, lower + left_column)
    store(rows, 3 * samples, lower + right_column)

    upper_weight, lower_weight = where(has_top, weight - weight * y, 0.0), where(has_bottom, weight * y, 0.0)
    left_weight, right_weight = where(has_left, 1.0 - x, 0.0), where(has_right, x, 0.0)
    store(corners, 0, upper_weight * left_weight)
    store(corners, samples, upper_weight * right_weight)
    store(corners, 2 * samples, lower_weight * left_weight)
    store(corners, 3 * samples, lower_weight * right_weight)

    store(used, 0, convert(inside, rows))
    exists = (
        inside & has_top & has_left,
        inside & has_top & has_right,
        inside & has_bottom & has_left,
        inside & has_bottom & has_right,
    )
    return x, y, poison, exists


@cache
def _kernels(dim: int, samples: int):
    """Forward and backward for D = ``dim`` and K = ``samples``. All arrays are flat; S, Q, H are the sizes."""
    pairs, two, three, four = 2 * samples, 2 * samples, 3 * samples, 4 * samples
    # numba recompiles when this file changes; a constant that it sees makes it do so when `simd` does.
    stamp = os.stat(simd.__file__).st_mtime_ns

    @jit
    def forward(value, locations, weights, sizes, tokens, output, S, Q, H, begin, end):
        _ = stamp
        rows, used = np.empty(4 * samples, np.int32), np.empty(samples, np.int32)
        corners = np.empty(4 * samples, value.dtype)
        width, height = load(sizes, 0, samples), load(sizes, samples, samples)
        columns, first = load(tokens, 0, samples), load(tokens, two, samples)
        scratch = np.empty(((end - begin) * samples >= PACK * S) * S * dim, value.dtype)
        for unit in range(begin // Q, (end - 1) // Q + 1):
            start, stop = max(begin - unit * Q, 0), min(end - unit * Q, Q)
            table, base, step = value, (unit // H * S * H + unit % H) * dim, H * dim
            if (stop - start) * samples >= PACK * S:
                for token in range(S):
                    store(scratch, token * dim, load(value, base + token * step, dim))
                table, base, step = scratch, 0, dim
            for query in range(start, stop):
                n = (unit // H * Q + query) * H + unit % H
                xy, weight = load(locations, n * pairs, pairs), load(weights, n * samples, samples)
                poison = _prepare(xy, weight, width, height, columns, first, rows, corners, used)[2]

                # Two sums, for one alone waits for its own last addition.
                even, odd = zeros(value, dim), zeros(value, dim)
                for k in range(samples):
                    if used[k]:
                        even = even + load(table, base + rows[k] * step, dim) * corners[k]
                        odd = odd + load(table, base + rows[samples + k] * step, dim) * corners[samples + k]
                        even = even + load(table, base + rows[two + k] * step, dim) * corners[two + k]
                        odd = odd + load(table, base + rows[three + k] * step, dim) * corners[three + k]
                store(output, n * dim, even + odd + total(poison))

    @jit
    def backward(
        grad, value, locations, weights, sizes, tokens, grad_value, grad_locations, grad_weights, S, Q, H, begin, end
    ):
        _ = stamp
        rows, used = np.empty(4 * samples, np.int32), np.empty(samples, np.int32)
        corners, products = np.empty(4 * samples, value.dtype), np.zeros(4 * samples, value.dtype)
        width, height = load(sizes, 0, samples), load(sizes, samples, samples)
        columns, first = load(tokens, 0, samples), load(tokens, two, samples)
        packs = Q * samples >= PACK * S
        scratch, scratch_sums = np.empty(packs * S * dim, value.dtype), np.empty(packs * S * dim, value.dtype)
        for unit in range(begin, end):
            table, sums, base, step = value, grad_value, (unit // H * S * H + unit % H) * dim, H * dim
            unpacked_base, unpacked_step = base, step
            if packs:
                for token in range(S):
                    store(scratch, token * dim, load(value, base + token * step, dim))
                table, sums, base, step = scratch, scratch_sums, 0, dim
            for token in range(S):
                store(sums, base + token * step, zeros(value, dim))

            for query in range(Q):
                n = (unit // H * Q + query) * H + unit % H
                xy, weight = load(locations, n * pairs, pairs), load(weights, n * samples, samples)
                x, y, poison, exists = _prepare(xy, weight, width, height, columns, first, rows, corners, used)

                row = load(grad, n * dim, dim)
                for k in range(samples):
                    if used[k]:
                        place0, place1 = base + rows[k] * step, base + rows[samples + k] * step
                        place2, place3 = base + rows[two + k] * step, base + rows[three + k] * step
                        store(
                            products,
                            4 * k,
                            dots(
                                row,
                                load(table, place0, dim),
                                load(table, place1, dim),
                                load(table, place2, dim),
                                load(table, place3, dim),
                            ),
                        )
                        store(sums, place0, load(sums, place0, dim) + row * corners[k])
                        store(sums, place1, load(sums, place1, dim) + row * corners[samples + k])
                        store(sums, place2, load(sums, place2, dim) + row * corners[two + k])
                        store(sums, place3, load(sums, place3, dim) + row * corners[three + k])

                corner_dots = load(products, 0, four)
                dot00 = where(exists[0], fourth0(corner_dots, corner_dots), 0.0)
                dot01 = where(exists[1], fourth1(corner_dots, corner_dots), 0.0)
                dot10 = where(exists[2], fourth2(corner_dots, corner_dots), 0.0)
                dot11 = where(exists[3], fourth3(corner_dots, corner_dots), 0.0)
                upper = dot00 + (dot01 - dot00) * x
                lower = dot10 + (dot11 - dot10) * x
                across = (dot01 - dot00) * (1.0 - y) + (dot11 - dot10) * y
                store(grad_weights, n * samples, upper + (lower - upper) * y + poison)
                store(
                    grad_locations,
                    n * pairs,
                    interleave(weight * width * across + poison, weight * height * (lower - upper) + poison),
                )

            if packs:
                for token in range(S):
                    store(grad_value, unpacked_base + token * unpacked_step, load(sums, token * dim, dim))

    return forward, backward
