"""Deformable convolution v3: each group of channels sums a few bilinear samples around every cell, weighted.

InternImage, https://arxiv.org/abs/2211.05778, equation 3 without the linear layers. As in its code, kernel points run
column by column, offsets are (x, y), and `offset_scale` stretches the kernel's grid as well as the offsets.

The kernels know none of kernel size, padding, dilation: these are the ``taps``, where each point would be without an
offset. Seen so it is multi-scale deformable attention with one level, and that is the plain torch form.
"""

from functools import partial

import torch
from torch import Tensor

from ..deform_attn.api import ms_deform_attn_reference
from ..deform_attn.torch_cpu import ms_deform_attn_cpu
from ..kernels.variants import Variant, Variants, from_module, from_triton

Taps = tuple[tuple[float, float], ...]


def dcnv3(
    value: Tensor,
    offset: Tensor,
    mask: Tensor,
    kernel_size: int = 3,
    stride: int = 1,
    padding: int = 1,
    dilation: int = 1,
    offset_scale: float = 1.0,
    remove_center: bool = False,
    softmax: bool = False,
) -> Tensor:
    """Sample ``value`` around each cell and sum with ``mask``: bilinear, zeros outside.

    Half precision is computed in float32 and cast back. On the meta device only the shape is computed.
    `VARIANTS` chooses the implementation; ``MMPARTS_DCNV3`` or ``VARIANTS.use`` name one.

    Args:
        value: B H W G*D, the channels of the groups one after another.
        offset: B h w G P 2, (x, y) of each point, in cells of ``value`` before the scale.
        mask: B h w G P, the weight of each point.
        kernel_size: P is its square; points run from top to bottom, then left to right.
        offset_scale: factor of the offsets and of the distances within the kernel.
        remove_center: the point in the middle is left out, so that P is one less.
        softmax: ``mask`` holds logits, of which a softmax over P is taken first, in float32 or better.

    Returns:
        B h w G*D, in the dtype of ``value``.

    Raises:
        ValueError: the shapes do not fit each other, or a kernel of even size has no center to remove.
    """
    taps = kernel_taps(kernel_size, padding, dilation, offset_scale, remove_center)
    reach = dilation * (kernel_size - 1) + 1 - 2 * padding
    _check(value, offset, mask, tuple((side - reach) // stride + 1 for side in value.shape[1:3]), len(taps))
    if value.is_meta:
        return value.new_empty(*offset.shape[:3], value.shape[3])

    op = VARIANTS.choose(value.device)
    precise = torch.promote_types(value.dtype, torch.float32)
    return op(value, offset.to(precise), mask.to(precise), taps, stride, offset_scale, softmax).to(value.dtype)


def kernel_taps(kernel_size: int, padding: int, dilation: int, offset_scale: float, remove_center: bool) -> Taps:
    """(x, y) of each point without an offset, relative to the cell times the stride."""
    if remove_center and kernel_size % 2 == 0:
        raise ValueError(f'remove_center needs an odd kernel_size, got {kernel_size}: it has no point in the middle')
    half = dilation * (kernel_size - 1) // 2
    sides = [half - padding + offset_scale * (dilation * step - half) for step in range(kernel_size)]
    taps = [(x, y) for x in sides for y in sides]
    if remove_center:
        del taps[len(taps) // 2]
    return tuple(taps)


def dcnv3_reference(
    value: Tensor, offset: Tensor, mask: Tensor, taps: Taps, stride: int, scale: float, softmax: bool
) -> Tensor:
    """The definition of the op, for any device: position = stride * cell + tap + scale * offset.

    Positions go through grid_sample, which wants them relative to the image: on a cell's border rounding decides
    which of the two one-sided gradients an offset gets.
    """
    return _attend(ms_deform_attn_reference, value, offset, mask, taps, stride, scale, softmax)


def dcnv3_cpu(
    value: Tensor, offset: Tensor, mask: Tensor, taps: Taps, stride: int, scale: float, softmax: bool
) -> Tensor:
    """As `dcnv3_reference`, faster, for float32 and float64 on the CPU; cannot be differentiated twice."""
    return _attend(ms_deform_attn_cpu, value, offset, mask, taps, stride, scale, softmax)


def _attend(
    attention, value: Tensor, offset: Tensor, mask: Tensor, taps: Taps, stride: int, scale: float, softmax: bool
) -> Tensor:
    """The op by multi-scale deformable attention with one level, where each cell looks around itself."""
    batch, rows, columns, groups, points, _ = offset.shape
    height, width, channels = value.shape[1:]
    value = value.to(offset.dtype)

    y, x = torch.meshgrid(stride * torch.arange(rows), stride * torch.arange(columns), indexing='ij')
    points_at = torch.stack([x, y], -1).to(offset)[:, :, None, None] + offset.new_tensor(taps)  # h w 1 P 2
    locations = (points_at + scale * offset + 0.5) / offset.new_tensor([width, height])
    weights = mask.softmax(-1) if softmax else mask

    output = attention(
        value.reshape(batch, height * width, groups, channels // groups),
        ((height, width),),
        locations.view(batch, rows * columns, groups, 1, points, 2),
        weights.reshape(batch, rows * columns, groups, 1, points),
    )
    return output.view(batch, rows, columns, channels)


def _example():
    value = torch.randn(1, 56, 56, 64, requires_grad=True)  # the first stage of InternImage-T at 224
    # Without their gradient: it jumps at the border of a cell, where rounding decides.
    offset = torch.randn(1, 56, 56, 4, 9, 2)
    mask = torch.randn(1, 56, 56, 4, 9, requires_grad=True)
    return partial(dcnv3, softmax=True), (value, offset, mask)


# Each takes value in any float dtype, offset and mask in float32 or float64, and computes in the dtype of these.
VARIANTS = Variants(
    'dcnv3',
    example=_example,
    triton=Variant(from_triton('dcnv3.triton_kernels.dcnv3_triton'), ('cuda',)),
    numba=Variant(from_module('dcnv3.numba_kernels.dcnv3_numba', 'fast'), ('cpu',)),
    torch=Variant(lambda: dcnv3_cpu, ('cpu',)),
    reference=Variant(lambda: dcnv3_reference),
)


def _check(value: Tensor, offset: Tensor, mask: Tensor, size: tuple[int, int], points: int):
    groups = offset.shape[3] if offset.dim() == 6 else 1
    right = (value.shape[0], *size, groups, points, 2)
    if offset.shape != right or mask.shape != right[:-1]:
        raise ValueError(
            f'offset {tuple(offset.shape)} and mask {tuple(mask.shape)} do not fit value '
            f'{tuple(value.shape)}: offset must be B h w G P 2, with {groups} groups here {right}, and '
            f'mask the same without the last'
        )
    if value.shape[3] % groups:
        raise ValueError(f'{value.shape[3]} channels of value do not divide into the {groups} groups of offset')
