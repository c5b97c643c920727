"""`ms_deform_attn` and `ms_deform_attn_fused` as operators of torch; the kernels of a device come from `implement`.

Kernels take ``shapes`` flat: height, width, height, ...
    forward: (value, locations, weights, shapes) -> B Q H*D.
    backward: (grad, value, locations, weights, shapes) -> the gradients of value, locations and weights.
    fused, forward: (value, centre, reach, offsets, logits, shapes) -> B Q H*D.
    fused, backward: (grad, and what forward takes) -> the gradients of value, locations and logits.
"""

import torch
from torch import Tensor

from ..kernels.torch_op import TorchOp

ARGUMENTS = 'Tensor value, Tensor locations, Tensor weights, int[] shapes'
FUSED_ARGUMENTS = 'Tensor value, Tensor centre, Tensor reach, Tensor offsets, Tensor logits, int[] shapes'


def attend(value: Tensor, shapes: tuple[tuple[int, int], ...], locations: Tensor, weights: Tensor) -> Tensor:
    """As `ms_deform_attn`, by the kernels of the tensors' device; cannot be differentiated twice."""
    return torch.ops.mmparts.ms_deform_attn(value, locations, weights, _flat(shapes))


def attend_fused(
    value: Tensor, shapes: tuple[tuple[int, int], ...], centre: Tensor, reach: Tensor, offsets: Tensor, logits: Tensor
) -> Tensor:
    """As `ms_deform_attn_fused`, by the kernels of the tensors' device; cannot be differentiated twice."""
    return torch.ops.mmparts.ms_deform_attn_fused(value, centre, reach, offsets, logits, _flat(shapes))


def _flat(shapes: tuple[tuple[int, int], ...]) -> list[int]:
    return [side for shape in shapes for side in shape]


def _forward_fake(value: Tensor, *others) -> Tensor:
    weights = others[-2]
    return value.new_empty(*weights.shape[:2], value.shape[2] * value.shape[3])


def _backward_fake(grad: Tensor, value: Tensor, locations: Tensor, weights: Tensor, shapes: list[int]):
    return tuple(
        torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in (value, locations, weights)
    )


def _fused_backward_fake(
    grad: Tensor, value: Tensor, centre: Tensor, reach: Tensor, offsets: Tensor, logits: Tensor, shapes: list[int]
):
    dtypes = value.dtype, centre.dtype, logits.dtype
    return tuple(
        torch.empty_like(tensor, dtype=dtype, memory_format=torch.contiguous_format)
        for tensor, dtype in zip((value, offsets, logits), dtypes)
    )


def _save(ctx, inputs: tuple, output: Tensor):
    *tensors, ctx.shapes = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx, grad: Tensor) -> tuple:
    return *torch.ops.mmparts.ms_deform_attn_backward(grad, *ctx.saved_tensors, ctx.shapes), None


MS_DEFORM_ATTN = TorchOp(
    'ms_deform_attn',
    f'({ARGUMENTS}) -> Tensor',
    f'(Tensor grad, {ARGUMENTS}) -> (Tensor, Tensor, Tensor)',
    _forward_fake,
    _backward_fake,
    _differentiate,
    _save,
)


def _differentiate_fused(ctx, grad: Tensor) -> tuple:
    """The kernel gives the gradient of the locations ``centre + offsets * reach``; the rest of them is made here."""
    _, _, reach, offsets, _ = ctx.saved_tensors
    grad_value, grad, grad_logits = torch.ops.mmparts.ms_deform_attn_fused_backward(
        grad, *ctx.saved_tensors, ctx.shapes
    )
    needs_centre, needs_reach = ctx.needs_input_grad[1:3]
    grad_centre = grad.sum((2, 4)) if needs_centre else None  # over heads and points
    grad_reach = (grad * offsets).sum((2, 4)).sum_to_size(reach.shape) if needs_reach else None
    grad_offsets = (grad * reach.unsqueeze(-2).unsqueeze(-4)).to(offsets.dtype)
    return grad_value, grad_centre, grad_reach, grad_offsets, grad_logits, None


MS_DEFORM_ATTN_FUSED = TorchOp(
    'ms_deform_attn_fused',
    f'({FUSED_ARGUMENTS}) -> Tensor',
    f'(Tensor grad, {FUSED_ARGUMENTS}) -> (Tensor, Tensor, Tensor)',
    _forward_fake,
    _fused_backward_fake,
    _differentiate_fused,
    _save,
)
