"""The ``mmcv`` variants: the compiled ops of a full mmcv, behind our signatures.

mmcv's functions write into tensors that the caller allocates; some take buffers that only other devices need.
"""

import importlib
from collections.abc import Callable
from math import gcd

import torch
from torch import Tensor

from ..kernels.variants import Variant
from ..stand_in import NAME, is_stand_in


def compiled_op(name: str) -> Callable:
    """The function ``name`` of ``mmcv._ext``, for example ``'nms'`` or ``'ms_deform_attn_forward'``.

    Raises:
        ImportError: there is no mmcv; or it has no compiled ops (mmcv-lite), of which those in plain torch that
            the finder lends it are none; or it was built without this op.
    """
    try:
        extension = importlib.import_module(NAME)
    except ImportError as error:
        raise ImportError(f'mmcv has no compiled ops here ({error}); a full mmcv has') from error
    if is_stand_in(extension):
        raise ImportError('this mmcv has no compiled ops (mmcv-lite); a full mmcv has')
    if not hasattr(extension, name):
        raise ImportError(f'this mmcv was built without the op {name}')
    return getattr(extension, name)


def _soft_nms() -> Callable:
    softnms = compiled_op('softnms')

    def soft_nms(boxes: Tensor, scores: Tensor, *settings) -> tuple[Tensor, Tensor]:
        dets = boxes.new_empty(len(boxes), 5)
        indices = softnms(boxes.contiguous(), scores.contiguous(), dets, *settings)
        return dets[: len(indices)], indices

    return soft_nms


def _roi_align() -> tuple[Callable, Callable]:
    forward, backward = compiled_op('roi_align_forward'), compiled_op('roi_align_backward')

    def call(op: Callable, source: Tensor, rois: Tensor, target: Tensor, grid) -> Tensor:
        unused = source.new_zeros(0)  # where maxima lay; ours are means
        settings = dict(
            aligned_height=grid.output_size[0],
            aligned_width=grid.output_size[1],
            aligned=grid.aligned,
            spatial_scale=grid.spatial_scale,
            sampling_ratio=grid.sampling_ratio,
            pool_mode=1,
        )
        tensors = (source, rois, target, unused, unused) if op is forward else (source, rois, unused, unused, target)
        op(*(tensor.contiguous() for tensor in tensors), **settings)
        return target

    def roi_align(features: Tensor, rois: Tensor, grid) -> Tensor:
        return call(forward, features, rois, features.new_zeros(len(rois), features.shape[1], *grid.output_size), grid)

    def roi_align_grad(grad: Tensor, rois: Tensor, grid, shape: tuple[int, ...]) -> Tensor:
        return call(backward, grad, rois, grad.new_zeros(shape), grid)

    return roi_align, roi_align_grad


def _sigmoid_focal_loss() -> tuple[Callable, Callable]:
    def into_new(op: Callable) -> Callable:
        def run(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
            result = torch.zeros_like(logits, memory_format=torch.contiguous_format)
            op(logits.contiguous(), target, weight.to(logits.dtype), result, gamma, alpha)
            return result

        return run

    return into_new(compiled_op('sigmoid_focal_loss_forward')), into_new(compiled_op('sigmoid_focal_loss_backward'))


def _deform_conv2d() -> Callable:
    compiled_op('deform_conv_forward'), compiled_op('modulated_deform_conv_forward')
    from mmcv.ops import deform_conv2d as plain
    from mmcv.ops import modulated_deform_conv2d as modulated

    def deform_conv2d(
        features: Tensor, offset: Tensor, weight: Tensor, mask: Tensor | None, bias: Tensor | None, *layout
    ) -> Tensor:
        if mask is not None:
            return modulated(features, offset, mask, weight, bias, *layout)
        images = gcd(len(features), 32)  # at a time; must divide the batch
        output = plain(features, offset, weight, *layout, False, images)
        return output if bias is None else output + bias[:, None, None]

    return deform_conv2d


def _ms_deform_attn() -> Callable:
    compiled_op('ms_deform_attn_forward')
    return ms_deform_attn


def ms_deform_attn(value: Tensor, shapes: tuple[tuple[int, int], ...], locations: Tensor, weights: Tensor) -> Tensor:
    """As `deform_attn.ms_deform_attn`, computed in the dtype of locations; one at NaN counts as outside."""
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction as Attention

    batch, queries = locations.shape[:2]
    if not batch * queries * value.numel():  # CUDA has no empty grids
        zeros = locations.new_zeros(batch, queries, value.shape[2:].numel())
        return zeros * (value.sum() + locations.sum() + weights.sum())  # they still get their gradients
    sizes = torch.tensor(shapes, device=value.device)
    cells = sizes.prod(1)
    tensors = value.to(locations.dtype), sizes, cells.cumsum(0) - cells, locations, weights
    return Attention.apply(*(tensor.contiguous() for tensor in tensors), gcd(batch, 64))  # images at a time


def _variant(load: Callable, *devices: str, dtypes: tuple[torch.dtype, ...] = (torch.float32,)) -> Variant:
    return Variant(load, devices, dtypes, expected=False)


FLOATS = (torch.float32, torch.float64)
NMS = _variant(lambda: compiled_op('nms'), 'cpu', 'cuda')
NMS_MATCH = _variant(lambda: compiled_op('nms_match'), 'cpu')
SOFT_NMS = _variant(_soft_nms, 'cpu')
ROI_ALIGN = _variant(_roi_align, 'cpu', 'cuda', dtypes=FLOATS)
SIGMOID_FOCAL_LOSS = _variant(_sigmoid_focal_loss, 'cuda', dtypes=FLOATS)
MS_DEFORM_ATTN = _variant(_ms_deform_attn, 'cuda', dtypes=FLOATS)
DEFORM_CONV2D = _variant(_deform_conv2d, 'cpu', 'cuda', dtypes=FLOATS)
