"""Multi-scale deformable attention: every query sums a few bilinear samples of every level, weighted.

Deformable DETR, https://arxiv.org/abs/2010.04159, equation 3 without the linear layers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..kernels.variants import Variant, Variants, from_module, from_triton
from ..mmcv import compiled
from .gather import ms_deform_attn_gather
from .torch_cpu import ms_deform_attn_cpu

Shapes = tuple[tuple[int, int], ...]


def ms_deform_attn(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Sample ``value`` at ``locations`` and sum with ``weights``: bilinear, zeros outside, align_corners=False.

    Half precision is computed in float32 and cast back; give locations in float32 all the same: bfloat16 puts them a
    third of a pixel off on a map 167 wide. On the meta device only the shape is computed.
    `VARIANTS` chooses the implementation; ``MMPARTS_MS_DEFORM_ATTN`` or ``VARIANTS.use`` name one.

    Args:
        value: B S H D, the tokens of all levels one after another, each level row by row.
        shapes: (height, width) of each level, as Python ints.
        locations: B Q H L P 2, (x, y) in [0, 1] of each level.
        weights: B Q H L P, softmaxed over L P.

    Returns:
        B Q H*D, heads one after another, in the dtype of ``value``.
    """
    _check(value, shapes, locations, weights)
    if value.is_meta:
        return value.new_empty(*locations.shape[:2], value.shape[2:].numel())

    precise = torch.promote_types(value.dtype, torch.float32)
    op = VARIANTS.choose(value.device, precise)
    return op(value, shapes, locations.to(precise), weights.to(precise)).to(value.dtype)


def ms_deform_attn_reference(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """The definition of the op, for any device; as `ms_deform_attn`, but computed in the dtype of locations."""
    value = value.to(locations.dtype)
    batch, tokens, heads, dim = value.shape
    queries = locations.shape[1]
    images = value.permute(0, 2, 3, 1).reshape(batch * heads, dim, tokens)
    grids = (2 * locations - 1).transpose(1, 2).flatten(0, 1)  # B*H Q L P 2
    weights = weights.transpose(1, 2).flatten(0, 1).unsqueeze(1)  # B*H 1 Q L P

    output = images.new_zeros(batch * heads, dim, queries)
    for level, image in enumerate(images.split([height * width for height, width in shapes], -1)):
        samples = F.grid_sample(
            image.unflatten(-1, shapes[level]), grids[:, :, level], padding_mode='zeros', align_corners=False
        )  # B*H D Q P
        output = output + (samples * weights[:, :, :, level]).sum(-1)
    return output.view(batch, heads * dim, queries).transpose(1, 2)


def _example():
    shapes = (32, 32), (16, 16), (8, 8), (4, 4)
    value = torch.randn(1, 1360, 8, 32, requires_grad=True)
    # Without their gradient: it jumps at the border of a cell, where rounding decides.
    locations = torch.rand(1, 1360, 8, 4, 4, 2)
    weights = torch.rand(1, 1360, 8, 4, 4, requires_grad=True)
    return lambda value, *rest: ms_deform_attn(value, shapes, *rest), (value, locations, weights)


# Each takes value in any float dtype, locations and weights in float32 or float64, and computes in the dtype of these.
VARIANTS = Variants(
    'ms_deform_attn',
    example=_example,
    triton=Variant(from_triton('deform_attn.triton_kernels.ms_deform_attn_triton'), ('cuda',)),
    mmcv=compiled.MS_DEFORM_ATTN,
    numba=Variant(from_module('deform_attn.numba_kernels.ms_deform_attn_numba', 'fast'), ('cpu',)),
    torch=Variant(lambda: ms_deform_attn_cpu, ('cpu',)),
    gather=Variant(lambda: ms_deform_attn_gather, by_name=True),  # for exported graphs
    reference=Variant(lambda: ms_deform_attn_reference),
)


def _check(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor):
    batch, tokens, heads, _ = value.shape
    expected = sum(height * width for height, width in shapes)
    if tokens != expected:
        raise ValueError(f'value has {tokens} tokens, but the levels {shapes} have {expected}')
    right = (batch, locations.shape[1], heads, len(shapes), locations.shape[4], 2)
    if locations.shape != right or weights.shape != right[:-1]:
        raise ValueError(
            f'locations {tuple(locations.shape)} and weights {tuple(weights.shape)} do not fit value '
            f'{tuple(value.shape)} and {len(shapes)} levels: locations must be B Q H L P 2, here {right}, '
            f'and weights the same without the last'
        )
