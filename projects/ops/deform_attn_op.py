"""`ms_deform_attn` as an operator of torch, for kernels that torch cannot look into: one schema, one gradient formula.

Being an operator lets `torch.compile` keep it in the graph and fake tensors infer its shape. The kernels of a device
come from `implement`.
"""
from collections.abc import Callable

import torch
from torch import Tensor

if not hasattr(torch.library, 'register_autograd'):
    raise ImportError(f'torch {torch.__version__} has no torch.library.register_autograd, 2.4 or newer has')

FORWARD, BACKWARD = 'mmparts::ms_deform_attn', 'mmparts::ms_deform_attn_backward'


def attend(value: Tensor, shapes: tuple[tuple[int, int], ...], locations: Tensor, weights: Tensor) -> Tensor:
    """As `ms_deform_attn`, by the kernels of the tensors' device; cannot be differentiated twice."""
    return torch.ops.mmparts.ms_deform_attn(value, locations, weights, [side for shape in shapes for side in shape])


def implement(device: str, forward: Callable, backward: Callable):
    """Let the op run these on ``device``.

    Args:
        forward: (value, locations, weights, shapes) -> B Q H*D, with ``shapes`` flat: height, width, height, ...
        backward: (grad, value, locations, weights, shapes) -> the gradients of value, locations and weights.
    """
    torch.library.impl(FORWARD, device, forward)
    torch.library.impl(BACKWARD, device, backward)


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


def _refuse(ctx, *grads):
    raise RuntimeError('ms_deform_attn cannot be differentiated twice')


def _define(name: str, schema: str, fake: Callable, backward: Callable, setup_context: Callable | None = None):
    """As torch.library.custom_op, whose first call imports the compiler of torch and takes seconds."""
    torch.library.define(name, schema)
    torch.library.register_fake(name, fake)
    torch.library.register_autograd(name, backward, setup_context=setup_context)


_define(FORWARD, '(Tensor value, Tensor locations, Tensor weights, int[] shapes) -> Tensor',
        _forward_fake, _differentiate, _save)
_define(BACKWARD, '(Tensor grad, Tensor value, Tensor locations, Tensor weights, int[] shapes)'
        ' -> (Tensor, Tensor, Tensor)', _backward_fake, _refuse)
