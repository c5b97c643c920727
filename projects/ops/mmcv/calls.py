"""The ops of this package under the names and calling conventions of ``mmcv._ext`` (mmcv 2.1.0).

mmcv's wrappers allocate the results and hand them over to be written, and pass buffers that only its kernels need; ours
return their results. This file is only the glue. Half precision is computed in float32.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..deform_attn.api import ms_deform_attn
from ..deform_conv import deform_conv2d
from ..focal_loss import sigmoid_focal_loss, sigmoid_focal_loss_grad
from ..kernels.precision import at_least_float, without_autocast
from ..nms.api import nms, nms_match, soft_nms
from ..roi_align.api import RoIGrid, roi_align, roi_align_grad


def get_compiler_version() -> str:
    return 'none (plain torch, from mmparts)'


def get_compiling_cuda_version() -> str:
    return 'none (plain torch, from mmparts)'


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    kept, indices = soft_nms(boxes, scores, iou_threshold, sigma, min_score, method, offset)
    dets[: len(kept)] = kept
    return indices


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
):
    output.copy_(sigmoid_focal_loss(*at_least_float(input), target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
):
    grad_input.copy_(sigmoid_focal_loss_grad(*at_least_float(input), target, weight, gamma, alpha))


def roi_align_forward(
    input: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor, pool_mode: int, **where
):
    output.copy_(roi_align(input, rois, _roi_grid(pool_mode, **where)))


def roi_align_backward(
    grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_input: Tensor, pool_mode: int, **where
):
    grad_input.copy_(roi_align_grad(grad_output, rois, _roi_grid(pool_mode, **where), grad_input.shape))


def _roi_grid(
    pool_mode: int, aligned_height: int, aligned_width: int, spatial_scale: float, sampling_ratio: int, aligned: bool
) -> RoIGrid:
    if pool_mode != 1:
        raise NotImplementedError(
            "mmcv op `roi_align` has in mmparts only pool_mode='avg'; set it on the RoIAlign "
            'layer, or replace mmcv-lite by a full mmcv with compiled ops'
        )
    return RoIGrid((aligned_height, aligned_width), spatial_scale, sampling_ratio, aligned)


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    im2col_step: int,
    **layout,
):
    output.copy_(_run(_deform_conv(**layout), input, offset, weight))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    im2col_step: int,
    **layout,
):
    grads = _grads(_deform_conv(**layout), grad_output, input, offset, weight)
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[1])


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    scale: float,
    im2col_step: int,
    **layout,
):
    # The gradient of the weight does not depend on the weight, which mmcv does not pass.
    grads = _grads(_deform_conv(**layout), grad_output, input, offset, grad_weight)
    grad_weight.add_(grads[2].to(grad_weight.dtype), alpha=scale)


def _deform_conv(
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
) -> Callable:
    return partial(
        deform_conv2d,
        stride=(dH, dW),
        padding=(padH, padW),
        dilation=(dilationH, dilationW),
        groups=group,
        deform_groups=deformable_group,
    )


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    with_bias: bool,
    **layout,
):
    inputs = (input, offset, weight, mask) + ((bias,) if with_bias else ())
    output.copy_(_run(_modulated_deform_conv(**layout), *inputs))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    with_bias: bool,
    **layout,
):
    inputs = (input, offset, weight, mask) + ((bias,) if with_bias else ())
    outputs = (grad_input, grad_offset, grad_weight, grad_mask, grad_bias)
    for output, grad in zip(outputs, _grads(_modulated_deform_conv(**layout), grad_output, *inputs)):
        output.copy_(grad)


def _modulated_deform_conv(
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
) -> Callable:
    return partial(
        deform_conv2d,
        stride=(stride_h, stride_w),
        padding=(pad_h, pad_w),
        dilation=(dilation_h, dilation_w),
        groups=group,
        deform_groups=deformable_group,
    )


def ms_deform_attn_forward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    locations: Tensor,
    weights: Tensor,
    im2col_step: int,
) -> Tensor:
    return _run(_attention(spatial_shapes), value, locations, weights).to(value.dtype)


def ms_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    locations: Tensor,
    weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_locations: Tensor,
    grad_weights: Tensor,
    im2col_step: int,
):
    grads = _grads(_attention(spatial_shapes), grad_output, value, locations, weights)
    for output, grad in zip((grad_value, grad_locations, grad_weights), grads):
        output.copy_(grad)


def _attention(spatial_shapes: Tensor) -> Callable:
    shapes = tuple(tuple(shape) for shape in spatial_shapes.tolist())
    return lambda value, locations, weights: ms_deform_attn(value, shapes, locations, weights)


def _run(op: Callable, *inputs: Tensor) -> Tensor:
    with without_autocast(inputs[0]):
        return op(*at_least_float(*inputs))


def _grads(op: Callable, grad_output: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    inputs = [tensor.detach().requires_grad_() for tensor in at_least_float(*inputs)]
    with torch.enable_grad():
        output = _run(op, *inputs)
    return torch.autograd.grad(output, inputs, grad_output.to(output.dtype))


CALLS = {
    call.__name__: call
    for call in (
        get_compiler_version,
        get_compiling_cuda_version,
        nms,
        softnms,
        nms_match,
        sigmoid_focal_loss_forward,
        sigmoid_focal_loss_backward,
        roi_align_forward,
        roi_align_backward,
        deform_conv_forward,
        deform_conv_backward_input,
        deform_conv_backward_parameters,
        modulated_deform_conv_forward,
        modulated_deform_conv_backward,
        ms_deform_attn_forward,
        ms_deform_attn_backward,
    )
}
