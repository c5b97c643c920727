"""`ms_deform_attn` as an operator of torch; the kernels of a device come from `MS_DEFORM_ATTN.implement`.

Kernels take ``shapes`` flat: height, width, height, ...
    forward: (value, locations, weights, shapes) -> B Q H*D.
    backward: (grad, value, locations, weights, shapes) -> the gradients of value, locations and weights.
"""
import torch
from torch import Tensor

from .torch_op import TorchOp

ARGUMENTS = 'Tensor value, Tensor locations, Tensor weights, int[] shapes'


def attend(value: Tensor, shapes: tuple[tuple[int, int], ...], locations: Tensor, weights: Tensor) -> Tensor:
    """As `ms_deform_attn`, by the kernels of the tensors' device; cannot be differentiated twice."""
    return torch.ops.mmparts.ms_deform_attn(value, locations, weights, [side for shape in shapes for side in shape])


def _forward_fake(value: Tensor, locations: Tensor, weights: Tensor, shapes: list[int]) -> Tensor:
    return value.new_empty(*locations.shape[:2], value.shape[2] * value.shape[3])


def _backward_fake(grad: Tensor, value: Tensor, locations: Tensor, weights: Tensor, shapes: list[int]):
    return tuple(torch.empty_like(tensor, memory_format=torch.contiguous_format)
                 for tensor in (value, locations, weights))


def _save(ctx, inputs: tuple, output: Tensor):
    *tensors, ctx.shapes = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx, grad: Tensor) -> tuple:
    return *torch.ops.mmparts.ms_deform_attn_backward(grad, *ctx.saved_tensors, ctx.shapes), None


MS_DEFORM_ATTN = TorchOp(
    'ms_deform_attn', f'({ARGUMENTS}) -> Tensor', f'(Tensor grad, {ARGUMENTS}) -> (Tensor, Tensor, Tensor)',
    _forward_fake, _backward_fake, _differentiate, _save)
