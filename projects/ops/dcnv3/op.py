"""`dcnv3` as an operator of torch; the kernels of a device come from `DCNV3.implement`.

Kernels take ``taps`` flat: x, y, x, ...
    forward: (value, offset, mask, taps, stride, scale, softmax) -> output.
    backward: (grad, output, and what forward takes) -> the gradients of value, offset and mask. The output saves a
        second pass for the gradient of the softmax; the layer that follows keeps it anyway.
"""

import torch
from torch import Tensor

from ..kernels.torch_op import TorchOp

ARGUMENTS = 'Tensor value, Tensor offset, Tensor mask, float[] taps, int stride, float scale, bool softmax'


def convolve(
    value: Tensor,
    offset: Tensor,
    mask: Tensor,
    taps: tuple[tuple[float, float], ...],
    stride: int,
    scale: float,
    softmax: bool,
) -> Tensor:
    """As `dcnv3_reference`, by the kernels of the tensors' device; cannot be differentiated twice."""
    taps = [float(side) for tap in taps for side in tap]
    return torch.ops.mmparts.dcnv3(value, offset, mask, taps, stride, float(scale), softmax)


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


DCNV3 = TorchOp(
    'dcnv3',
    f'({ARGUMENTS}) -> Tensor',
    f'(Tensor grad, Tensor output, {ARGUMENTS}) -> (Tensor, Tensor, Tensor)',
    _forward_fake,
    _backward_fake,
    _differentiate,
    _save,
)
