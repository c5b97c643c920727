"""`dcnv3` as an operator of torch, for kernels that torch cannot look into: one schema, one gradient formula.

Being an operator lets `torch.compile` keep it in the graph and fake tensors infer its shape. The kernels of a device
come from `implement`.
"""
from collections.abc import Callable

import torch
from torch import Tensor

if not hasattr(torch.library, 'register_autograd'):
    raise ImportError(f'torch {torch.__version__} has no torch.library.register_autograd, 2.4 or newer has')

FORWARD, BACKWARD = 'mmparts::dcnv3', 'mmparts::dcnv3_backward'
ARGUMENTS = 'Tensor value, Tensor offset, Tensor mask, float[] taps, int stride, float scale, bool softmax'


def convolve(value: Tensor, offset: Tensor, mask: Tensor, taps: tuple[tuple[float, float], ...], stride: int,
             scale: float, softmax: bool) -> Tensor:
    """As `dcnv3_reference`, by the kernels of the tensors' device; cannot be differentiated twice."""
    taps = [float(side) for tap in taps for side in tap]
    return torch.ops.mmparts.dcnv3(value, offset, mask, taps, stride, float(scale), softmax)


def implement(device: str, forward: Callable, backward: Callable):
    """Let the op run these on ``device``.

    Args:
        forward: (value, offset, mask, taps, stride, scale, softmax) -> output, with ``taps`` flat: x, y, x, ...
        backward: (grad, output, and what forward takes) -> the gradients of value, offset and mask. The output saves a
            second pass for the gradient of the softmax; the layer that follows keeps it anyway.
    """
    torch.library.impl(FORWARD, device, forward)
    torch.library.impl(BACKWARD, device, backward)


def _forward_fake(value: Tensor, offset: Tensor, *others) -> Tensor:
    return value.new_empty(*offset.shape[:3], value.shape[3])


def _backward_fake(grad: Tensor, output: Tensor, *others):
    return tuple(torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in others[:3])


def _save(ctx, inputs: tuple, output: Tensor):
    *tensors, ctx.taps, ctx.stride, ctx.scale, ctx.softmax = inputs
    ctx.save_for_backward(output, *tensors)


def _differentiate(ctx, grad: Tensor) -> tuple:
    grads = torch.ops.mmparts.dcnv3_backward(grad, *ctx.saved_tensors, ctx.taps, ctx.stride, ctx.scale, ctx.softmax)
    return *grads, None, None, None, None


def _refuse(ctx, *grads):
    raise RuntimeError('dcnv3 cannot be differentiated twice')


def _define(name: str, schema: str, fake: Callable, backward: Callable, setup_context: Callable | None = None):
    """As torch.library.custom_op, whose first call imports the compiler of torch and takes seconds."""
    torch.library.define(name, schema)
    torch.library.register_fake(name, fake)
    torch.library.register_autograd(name, backward, setup_context=setup_context)


_define(FORWARD, f'({ARGUMENTS}) -> Tensor', _forward_fake, _differentiate, _save)
_define(BACKWARD, f'(Tensor grad, Tensor output, {ARGUMENTS}) -> (Tensor, Tensor, Tensor)', _backward_fake, _refuse)
