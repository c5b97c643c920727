"""Multi-scale deformable attention from what its linear layers give, offsets and logits.

On GPUs one Triton kernel can do all of it, so that neither locations nor softmax are ever in memory; elsewhere they are
computed first. The kernel has not been timed on a GPU yet and runs only where it is named:
``MMPARTS_MS_DEFORM_ATTN_FUSED=triton``.
"""

import torch
from torch import Tensor

from ..kernels.variants import Variant, Variants, from_triton
from .api import Shapes, ms_deform_attn, ms_deform_attn_reference


def ms_deform_attn_fused(
    value: Tensor, shapes: Shapes, centre: Tensor, reach: Tensor, offsets: Tensor, logits: Tensor
) -> Tensor:
    """`ms_deform_attn` at ``centre + reach * offsets``, weighted by the softmax of ``logits``.

    Args:
        value: B S H D, the tokens of all levels one after another, each level row by row.
        shapes: (height, width) of each level, as Python ints.
        centre: B Q L 2, (x, y) in [0, 1] of each level; float32 (or float64), whatever the autocast.
        reach: B Q L 2 or L 2, what an offset of one is in that unit; of the dtype of ``centre``.
        offsets: B Q H L P 2.
        logits: B Q H L P, softmax over L P.

    Returns:
        B Q H*D, heads one after another, in the dtype of ``value``.
    """
    return VARIANTS.choose(value.device, centre.dtype)(value, shapes, centre, reach, offsets, logits)


def samples(centre: Tensor, reach: Tensor, offsets: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Locations B Q H L P 2 (or 3, in volumes), in the dtype of ``centre``, and weights B Q H L P."""
    centre, reach = (_per_point(each, offsets.shape[4]) for each in (centre, reach))
    locations = torch.addcmul(centre, offsets.flatten(3).to(centre.dtype), reach)
    return locations.view(offsets.shape), logits.flatten(3).softmax(-1).view(logits.shape)


def _per_point(x: Tensor, points: int) -> Tensor:
    """* L D -> * 1 L*P*D. Written out, for operators are slow where they repeat a number or two."""
    return x.unsqueeze(-2).expand(*x.shape[:-1], points, x.shape[-1]).flatten(-3).unsqueeze(-2)


def _apart(value: Tensor, shapes: Shapes, *rest: Tensor) -> Tensor:
    return ms_deform_attn(value, shapes, *samples(*rest))


def _reference(value: Tensor, shapes: Shapes, *rest: Tensor) -> Tensor:
    return ms_deform_attn_reference(value, shapes, *samples(*rest)).to(value.dtype)


def _example():
    shapes = (32, 32), (16, 16), (8, 8), (4, 4)
    value, logits = torch.randn(1, 1360, 8, 32, requires_grad=True), torch.randn(1, 1360, 8, 4, 4, requires_grad=True)
    centre, reach = torch.rand(1, 1360, 4, 2), torch.rand(1, 1360, 4, 2) / 8
    # Without their gradient: it jumps at the border of a cell, where rounding decides.
    offsets = torch.randn(1, 1360, 8, 4, 4, 2)
    return lambda value, *rest: ms_deform_attn_fused(value, shapes, *rest), (value, centre, reach, offsets, logits)


VARIANTS = Variants(
    'ms_deform_attn_fused',
    example=_example,
    triton=Variant(from_triton('deform_attn.triton_kernels.ms_deform_attn_fused_triton'), ('cuda',), by_name=True),
    apart=Variant(lambda: _apart),
    reference=Variant(lambda: _reference),
)
