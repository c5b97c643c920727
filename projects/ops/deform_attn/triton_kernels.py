"""Multi-scale deformable attention for GPUs: Triton kernels, compiled for the GPU at first use and kept on disk.

A program takes a block of consecutive queries of one head; a thread holds 16 bytes of a row of ``value``, so that the
arithmetic of a sample is repeated by 8 threads (fp32, 32 numbers per head) or 4 (half precision) and its corners are
four 16-byte loads. Sums are float32. The backward recomputes the samples; gradients of locations and weights are sums
within the block, that of ``value`` is added by relaxed float32 atomics, in whatever order the GPU runs.
Under `torch.use_deterministic_algorithms` the kernel lists what goes where instead, and one sort later it is an
embedding bag, which adds in a fixed order.

Fused, the kernels take what the linear layers give, offsets and logits, in half precision too: locations and softmax
are computed on the way and never stored. The gradients of the weights are, in full precision: those of the logits are
what is left of them after their weighted mean is known.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from .op import MS_DEFORM_ATTN, MS_DEFORM_ATTN_FUSED, attend, attend_fused

# Warps of a program and numbers of `value` that it takes at once. The backward's results, one number per query, change
# from thread to thread before they are stored: one warp does so by shuffles, several would wait for one another.
FORWARD = dict(num_warps=4), 1024
BACKWARD = dict(num_warps=1), 256


def ms_deform_attn_triton(
    value: Tensor, shapes: tuple[tuple[int, int], ...], locations: Tensor, weights: Tensor
) -> Tensor:
    """As `ms_deform_attn`, for GPUs; cannot be differentiated twice.

    ``value`` is float16, bfloat16, float32 or float64 and stays so; ``locations`` and ``weights`` are float64 with
    float64 and float32 with all others.
    """
    return attend(value, shapes, locations, weights)


ms_deform_attn_fused_triton = attend_fused


def forward(value: Tensor, locations: Tensor, weights: Tensor, shapes: list[int]) -> Tensor:
    return _forward(value, locations, weights, shapes)


def backward(
    grad: Tensor, value: Tensor, locations: Tensor, weights: Tensor, shapes: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    return _backward(grad, value, locations, weights, shapes)


def fused_forward(
    value: Tensor, centre: Tensor, reach: Tensor, offsets: Tensor, logits: Tensor, shapes: list[int]
) -> Tensor:
    return _forward(value, offsets, logits, shapes, centre, reach)


def fused_backward(
    grad: Tensor, value: Tensor, centre: Tensor, reach: Tensor, offsets: Tensor, logits: Tensor, shapes: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    return _backward(grad, value, offsets, logits, shapes, centre, reach)


MS_DEFORM_ATTN.implement('cuda', forward, backward)
MS_DEFORM_ATTN_FUSED.implement('cuda', fused_forward, fused_backward)


def _forward(value: Tensor, locations: Tensor, weights: Tensor, shapes: list[int], *fused: Tensor) -> Tensor:
    value, locations, weights, *fused = (tensor.contiguous() for tensor in (value, locations, weights, *fused))
    output = value.new_empty(*locations.shape[:2], value.shape[2] * value.shape[3])
    if output.numel():
        _launch(_forward_kernel, FORWARD, value, locations, weights, shapes, fused, output)
    return output


def _backward(
    grad: Tensor, value: Tensor, locations: Tensor, weights: Tensor, shapes: list[int], *fused: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of value, locations and weights; fused, of value, locations and logits."""
    grad, value, locations, weights, *fused = (
        tensor.contiguous() for tensor in (grad, value, locations, weights, *fused)
    )
    precise = fused[0].dtype if fused else weights.dtype
    grad_locations, grad_weights = (torch.empty_like(each, dtype=precise) for each in (locations, weights))
    if not grad.numel():
        return torch.zeros_like(value), grad_locations, grad_weights.to(weights.dtype)

    def launch(*outputs: Tensor, scatter: bool):
        _launch(
            _backward_kernel,
            BACKWARD,
            value,
            locations,
            weights,
            shapes,
            fused,
            grad,
            *outputs,
            grad_locations,
            grad_weights,
            SCATTER=scatter,
        )

    if torch.are_deterministic_algorithms_enabled():
        rows = torch.empty(*weights.shape, 4, dtype=torch.int32, device=value.device)
        corners = torch.empty(rows.shape, dtype=precise, device=value.device)
        launch(rows, corners, scatter=False)
        grad_value = _sum_in_order(rows.flatten(), corners.flatten(), grad.view(-1, value.shape[3]), value)
    else:
        grad_value = torch.zeros(value.shape, dtype=precise, device=value.device)
        launch(grad_value, grad_locations, scatter=True)  # there are no corners to write
    return grad_value.to(value.dtype), grad_locations, grad_weights.to(weights.dtype)


def _sum_in_order(rows: Tensor, corners: Tensor, grad: Tensor, value: Tensor) -> Tensor:
    """The gradient of ``value``, in the dtype of ``corners``: ``corners * grad`` summed into ``rows`` of D numbers.

    A corner that lies outside has row B S H, which is dropped.
    """
    count = value.shape[:3].numel()
    rows, order = rows.sort(stable=True)
    starts = torch.searchsorted(rows, torch.arange(count + 1, dtype=rows.dtype, device=rows.device))
    samples = len(rows) // len(grad)
    sums = F.embedding_bag(
        order // samples, grad.to(corners.dtype), starts, mode='sum', per_sample_weights=corners[order]
    )
    return sums[:count].view(value.shape)


def _launch(
    kernel,
    size: tuple[dict, int],
    value: Tensor,
    locations: Tensor,
    weights: Tensor,
    shapes: list[int],
    fused: list[Tensor],
    *tensors: Tensor,
    **flags,
):
    """``fused``: centre and reach, where locations are offsets and weights are logits; else empty."""
    options, numbers = size
    batch, queries, heads, levels, points = weights.shape
    dim = value.shape[3]
    block_dim = triton.next_power_of_2(dim)
    block = min(max(numbers // block_dim, 1), triton.next_power_of_2(queries))
    centre, reach = fused or (locations, locations)  # `locations`: only their dtype counts
    step = 2 * levels if reach.dim() == 4 else 0
    # Triton launches on the current device, whatever that of the tensors is.
    with torch.cuda.device_of(value):
        kernel[triton.cdiv(queries, block), heads, batch](
            value,
            locations,
            weights,
            centre,
            reach,
            _sizes(tuple(shapes), value.device),
            *tensors,
            queries,
            value.shape[1],
            step,
            HEADS=heads,
            LEVELS=levels,
            POINTS=points,
            DIM=dim,
            BLOCK_DIM=block_dim,
            BLOCK=block,
            FUSED=bool(fused),
            **flags,
            **options,
        )


@lru_cache(maxsize=256)
def _sizes(shapes: tuple[int, ...], device: torch.device) -> Tensor:
    """Height and width of each level, on the GPU; kept, for the copy would hold up every call."""
    return torch.tensor(shapes, dtype=torch.int32, device=device)


@triton.jit
def _pair(pairs, index, exists, other: tl.constexpr):
    return (
        tl.load(pairs + 2 * index, mask=exists, other=other),
        tl.load(pairs + 2 * index + 1, mask=exists, other=other),
    )


@triton.jit
def _around(centre, reach, level, exists, height, width, FUSED: tl.constexpr):
    """In cells of a level: (x, y) of the centres of the queries and how far an offset of one reaches."""
    x, y, reach_x, reach_y = -0.5, -0.5, width, height
    if FUSED:
        # Queries beyond the last are far outside, so that they read nothing.
        x, y = _pair(centre, level, exists, -2.0)
        reach_x, reach_y = _pair(reach, level, exists, 0.0)
        x, y, reach_x, reach_y = x * width - 0.5, y * height - 0.5, reach_x * width, reach_y * height
    return x, y, reach_x, reach_y


@triton.jit
def _shift(logits, exists, dtype: tl.constexpr, SAMPLES: tl.constexpr, FUSED: tl.constexpr):
    """What to take from the logits so that they are those of the softmax: the logarithm of the sum of exponentials."""
    shift = 0.0
    if FUSED:
        largest = tl.load(logits, mask=exists, other=0.0).to(dtype)
        for sample in tl.static_range(1, SAMPLES):
            largest = tl.maximum(largest, tl.load(logits + sample, mask=exists, other=0.0).to(dtype))
        total = tl.zeros_like(largest)
        for sample in tl.static_range(SAMPLES):
            total += tl.exp(tl.load(logits + sample, mask=exists, other=0.0).to(dtype) - largest)
        shift = largest + tl.log(total)
    return shift


@triton.jit
def _weight(weights, sample, exists, shift, dtype: tl.constexpr, FUSED: tl.constexpr):
    weight = tl.load(weights + sample, mask=exists, other=0.0).to(dtype)
    if FUSED:
        weight = tl.exp(weight - shift)
    return weight


@triton.jit
def _place(locations, sample, exists, around, height, width, dtype: tl.constexpr, FUSED: tl.constexpr):
    """Cell of the upper left corner, distances from it, which corners exist, and NaN where the location is NaN."""
    x, y = _pair(locations, sample, exists, 0.0 if FUSED else -2.0)
    x, y = around[0] + around[2] * x.to(dtype), around[1] + around[3] * y.to(dtype)
    poison = tl.where(x == x, 0.0, x) + tl.where(y == y, 0.0, y)
    inside = (x >= -1) & (x < width) & (y >= -1) & (y < height)
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
    locations,
    weights,
    centre,
    reach,
    sizes,
    output,
    queries,
    tokens,
    reach_step,
    HEADS: tl.constexpr,
    LEVELS: tl.constexpr,
    POINTS: tl.constexpr,
    DIM: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    BLOCK: tl.constexpr,
    FUSED: tl.constexpr,
):
    """With FUSED ``locations`` are offsets, in units of ``reach`` from ``centre``, and ``weights`` are logits."""
    precise: tl.constexpr = centre.dtype.element_ty
    query = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    head, image = tl.program_id(1), tl.program_id(2).to(tl.int64)
    lane = tl.arange(0, BLOCK_DIM)[None]
    exists, within = query < queries, lane < DIM
    bag = (image * queries + query) * HEADS + head
    value += (image * tokens * HEADS + head) * DIM
    locations += bag * (LEVELS * POINTS * 2)
    weights += bag * (LEVELS * POINTS)
    centre += (image * queries + query) * (2 * LEVELS)
    reach += (image * queries + query) * reach_step

    shift = _shift(weights, exists, precise, LEVELS * POINTS, FUSED)
    total = tl.zeros((BLOCK, BLOCK_DIM), precise)
    first = 0
    for level in range(LEVELS):
        height, width = tl.load(sizes + 2 * level), tl.load(sizes + 2 * level + 1)
        around = _around(centre, reach, level, exists, height, width, FUSED)
        for point in tl.static_range(POINTS):
            sample = level * POINTS + point
            cell, x, y, has00, has01, has10, has11, poison = _place(
                locations, sample, exists, around, height, width, precise, FUSED
            )
            weight = _weight(weights, sample, exists, shift, precise, FUSED)

            upper = (first + cell)[:, None] * (HEADS * DIM) + lane
            lower = upper + width * (HEADS * DIM)
            value00 = tl.load(value + upper, mask=has00[:, None] & within, other=0.0)
            value01 = tl.load(value + upper + HEADS * DIM, mask=has01[:, None] & within, other=0.0)
            value10 = tl.load(value + lower, mask=has10[:, None] & within, other=0.0)
            value11 = tl.load(value + lower + HEADS * DIM, mask=has11[:, None] & within, other=0.0)

            total += (weight * (1 - y) * (1 - x) + poison)[:, None] * value00.to(total.dtype)
            total += (weight * (1 - y) * x)[:, None] * value01.to(total.dtype)
            total += (weight * y * (1 - x))[:, None] * value10.to(total.dtype)
            total += (weight * y * x)[:, None] * value11.to(total.dtype)
        first += height * width
    tl.store(output + bag[:, None] * DIM + lane, total, mask=exists[:, None] & within)


@triton.jit
def _pull(value, target, cell, has, weight, grad, lane, HEADS: tl.constexpr, DIM: tl.constexpr, SCATTER: tl.constexpr):
    """One corner: ``grad`` times its row of ``value``; with SCATTER, adds ``weight * grad`` to that of ``target``."""
    place, mask = cell[:, None] * (HEADS * DIM) + lane, has[:, None] & (lane < DIM)
    if SCATTER:
        tl.atomic_add(target + place, weight[:, None] * grad, mask=mask, sem='relaxed')
    return tl.sum(grad * tl.load(value + place, mask=mask, other=0.0).to(grad.dtype), 1)


@triton.jit
def _list(rows, corners, corner, exists, has, row, dropped, weight):
    tl.store(rows + corner, tl.where(has, row, dropped).to(tl.int32), mask=exists)
    tl.store(corners + corner, weight, mask=exists)


@triton.jit
def _backward_kernel(
    value,
    locations,
    weights,
    centre,
    reach,
    sizes,
    grad,
    target,
    corners,
    grad_locations,
    grad_weights,
    queries,
    tokens,
    reach_step,
    HEADS: tl.constexpr,
    LEVELS: tl.constexpr,
    POINTS: tl.constexpr,
    DIM: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    BLOCK: tl.constexpr,
    FUSED: tl.constexpr,
    SCATTER: tl.constexpr,
):
    """FUSED as in the forward; ``grad_locations`` are those of locations all the same, not of offsets.

    ``target`` is the gradient of ``value`` with SCATTER, else B Q H L P 4: the row of D numbers of each corner.
    ``corners`` are their weights, written without SCATTER.
    """
    query = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    head, image = tl.program_id(1), tl.program_id(2).to(tl.int64)
    precise: tl.constexpr = centre.dtype.element_ty
    # Four numbers a thread, of half precision too: as the atomics take them, or rows would be reshuffled for each.
    lane = tl.max_contiguous(tl.arange(0, BLOCK_DIM), 4)[None]
    exists = query < queries
    bag = (image * queries + query) * HEADS + head
    origin = image * tokens * HEADS + head
    dropped = tl.num_programs(2).to(tl.int64) * tokens * HEADS
    value += origin * DIM
    if SCATTER:
        target += origin * DIM
    locations += bag * (LEVELS * POINTS * 2)
    grad_locations += bag * (LEVELS * POINTS * 2)
    weights += bag * (LEVELS * POINTS)
    grad_weights += bag * (LEVELS * POINTS)
    centre += (image * queries + query) * (2 * LEVELS)
    reach += (image * queries + query) * reach_step
    place, mask = bag[:, None] * DIM + lane, exists[:, None] & (lane < DIM)
    grad = tl.load(grad + place, mask=mask, other=0.0).to(precise)
    mean = tl.zeros((BLOCK,), precise)  # of the gradients of the weights

    shift = _shift(weights, exists, precise, LEVELS * POINTS, FUSED)
    first = 0
    for level in range(LEVELS):
        height, width = tl.load(sizes + 2 * level), tl.load(sizes + 2 * level + 1)
        around = _around(centre, reach, level, exists, height, width, FUSED)
        for point in tl.static_range(POINTS):
            sample = level * POINTS + point
            cell, x, y, has00, has01, has10, has11, poison = _place(
                locations, sample, exists, around, height, width, precise, FUSED
            )
            weight = _weight(weights, sample, exists, shift, precise, FUSED)
            weight00, weight01 = weight * (1 - y) * (1 - x), weight * (1 - y) * x
            weight10, weight11 = weight * y * (1 - x), weight * y * x

            cell += first
            dot00 = _pull(value, target, cell, has00, weight00, grad, lane, HEADS, DIM, SCATTER)
            dot01 = _pull(value, target, cell + 1, has01, weight01, grad, lane, HEADS, DIM, SCATTER)
            dot10 = _pull(value, target, cell + width, has10, weight10, grad, lane, HEADS, DIM, SCATTER)
            dot11 = _pull(value, target, cell + width + 1, has11, weight11, grad, lane, HEADS, DIM, SCATTER)
            if not SCATTER:
                row, corner = origin + cell * HEADS, (bag * (LEVELS * POINTS) + sample) * 4
                _list(target, corners, corner, exists, has00, row, dropped, weight00)
                _list(target, corners, corner + 1, exists, has01, row + HEADS, dropped, weight01)
                _list(target, corners, corner + 2, exists, has10, row + width * HEADS, dropped, weight10)
                _list(target, corners, corner + 3, exists, has11, row + (width + 1) * HEADS, dropped, weight11)

            upper, lower = dot00 + (dot01 - dot00) * x, dot10 + (dot11 - dot10) * x
            across = (dot01 - dot00) * (1 - y) + (dot11 - dot10) * y
            grad_weight = upper + (lower - upper) * y + poison
            if FUSED:
                mean += weight * grad_weight
            tl.store(grad_weights + sample, grad_weight, mask=exists)
            tl.store(grad_locations + 2 * sample, weight * width * across + poison, mask=exists)
            tl.store(grad_locations + 2 * sample + 1, weight * height * (lower - upper) + poison, mask=exists)
        first += height * width

    if FUSED:
        tl.debug_barrier()  # threads read what others of them wrote
        for sample in tl.static_range(LEVELS * POINTS):
            weight = _weight(weights, sample, exists, shift, precise, FUSED)
            grad_weight = tl.load(grad_weights + sample, mask=exists, other=0.0)
            tl.store(grad_weights + sample, weight * (grad_weight - mean), mask=exists)
