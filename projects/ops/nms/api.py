"""Non-maximum suppression: greedy, soft (https://arxiv.org/abs/1704.04503), and greedy with its groups.

As in mmcv 2.1.0. In plain torch, greedy suppression is resolved block by block: inside a block of boxes "kept" is a
fixed point that few rounds reach, and only kept boxes are compared with the rest. So it needs no loop over boxes, on
any device. The other variants are loops, compiled.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..kernels.precision import at_least_float
from ..kernels.variants import Variant, Variants, from_module, from_triton
from ..mmcv import compiled

BLOCK = 128


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Indices of the kept boxes, by falling score; one goes when its IoU with a better kept one exceeds the threshold.

    Args:
        boxes: N 4, xyxy.
        scores: N.
        offset: 1 where x2, y2 are the last pixel inside, 0 where they are coordinates.
    """
    boxes, scores = at_least_float(boxes, scores)
    return NMS.choose(boxes.device, boxes.dtype)(boxes, scores, iou_threshold, offset)


def nms_reference(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """As `nms`, on any device."""
    order = scores.sort(descending=True, stable=True).indices
    return order[_greedy(boxes[order], lambda a, b: box_iou(a, b, offset) > iou_threshold)]


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Each kept box followed by those it suppresses (IoU >= threshold), by falling score.

    Args:
        dets: N 5, xyxy and score.
    """
    (dets,) = at_least_float(dets)
    return NMS_MATCH.choose(dets.device, dets.dtype)(dets, iou_threshold)


def nms_match_reference(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """As `nms_match`, on any device."""
    order = dets[:, 4].sort(descending=True, stable=True).indices
    boxes = dets[order, :4]
    kept = _greedy(boxes, lambda a, b: box_iou(a, b) >= iou_threshold)

    near = box_iou(boxes[kept], boxes) >= iou_threshold
    near &= kept[:, None] < torch.arange(len(boxes), device=boxes.device)
    near[torch.arange(len(kept)), kept] = True
    owner = near.int().argmax(0) if len(kept) else order  # the first that is near
    return [order[owner == group].tolist() for group in range(len(kept))]


def soft_nms(
    boxes: Tensor, scores: Tensor, iou_threshold: float, sigma: float, min_score: float, method: int, offset: int = 0
) -> tuple[Tensor, Tensor]:
    """Lower the scores of boxes that overlap a better one, and drop those that fall below ``min_score``.

    Args:
        boxes: N 4, xyxy.
        scores: N.
        method: 0 removes (as `nms`), 1 multiplies by 1 - IoU above the threshold, 2 by exp(-IoU^2 / sigma).

    Returns:
        M 5 (xyxy, new score) by falling new score, and their M indices.
    """
    boxes, scores = at_least_float(boxes, scores)
    op = SOFT_NMS.choose(boxes.device, boxes.dtype)
    return op(boxes, scores, iou_threshold, sigma, min_score, method, offset)


def soft_nms_reference(
    boxes: Tensor, scores: Tensor, iou_threshold: float, sigma: float, min_score: float, method: int, offset: int = 0
) -> tuple[Tensor, Tensor]:
    """As `soft_nms`, on any device."""
    left = torch.arange(len(boxes), device=boxes.device)
    dets, indices = [], []
    while len(left):
        best = scores[left].argmax()
        index = left[best]
        indices.append(index)
        dets.append(torch.cat([boxes[index], scores[index, None]]))

        left = torch.cat([left[:best], left[best + 1 :]])
        overlap = box_iou(boxes[index, None], boxes[left], offset)[0]
        scores = scores.index_copy(0, left, scores[left] * _decay(overlap, iou_threshold, sigma, method))
        left = left[scores[left] >= min_score]
    if not indices:
        return torch.cat([boxes, scores[:, None]], 1), left
    return torch.stack(dets), torch.stack(indices)


def box_iou(a: Tensor, b: Tensor, offset: int = 0) -> Tensor:
    """IoU of every box of ``a`` (M 4, xyxy) with every one of ``b`` (N 4): M N; NaN where both are empty.

    mmdet has it too, but with an eps in the union, and above mmcv's threshold is what decides here.
    """
    width, height = (
        torch.minimum(a[:, None, 2 + axis], b[:, 2 + axis])
        .sub_(torch.maximum(a[:, None, axis], b[:, axis]))
        .add_(offset)
        .clamp_(min=0)
        for axis in (0, 1)
    )
    inside = width.mul_(height)
    area_a, area_b = ((box[:, 2] - box[:, 0] + offset) * (box[:, 3] - box[:, 1] + offset) for box in (a, b))
    return inside.div_((area_a[:, None] + area_b).sub_(inside))


def _greedy(boxes: Tensor, near: Callable) -> Tensor:
    """Indices of the kept among ``boxes`` (by falling score); ``near(a, b)``: M N, whether a suppresses b."""
    kept, rest = [], torch.arange(len(boxes), device=boxes.device)
    while len(rest):
        block, rest = rest[:BLOCK], rest[BLOCK:]
        block = block[_kept(near(boxes[block], boxes[block]).triu_(1))]
        rest = rest[~near(boxes[block], boxes[rest]).any(0)]
        kept.append(block)
    return torch.cat(kept) if kept else rest


def _kept(suppresses: Tensor) -> Tensor:
    """Which boxes no kept better box suppresses (strictly upper triangular N N).

    After n rounds the first n boxes are settled, because each depends on better ones only; mostly a few rounds do.
    """
    kept = suppresses.new_ones(len(suppresses))
    while True:
        settled = ~(suppresses & kept[:, None]).any(0)
        if torch.equal(settled, kept):
            return kept
        kept = settled


def _decay(overlap: Tensor, iou_threshold: float, sigma: float, method: int) -> Tensor:
    if method == 2:
        return torch.exp(-(overlap**2) / sigma)
    return torch.where(overlap >= iou_threshold, 1 - overlap if method == 1 else 0, 1.0)


def _crowd() -> tuple[Tensor, Tensor]:
    """2,000 boxes of an image of 1333 x 800, about as many as a detector proposes, in groups that overlap."""
    center = (torch.rand(200, 2) * torch.tensor([1333.0, 800.0])).repeat(10, 1) + 8 * torch.randn(2000, 2)
    extent = 20 + 200 * torch.rand(200, 2).repeat(10, 1) * (1 + torch.rand(2000, 2) / 4)
    return torch.cat([center - extent / 2, center + extent / 2], 1), torch.rand(2000)


NMS = Variants(
    'nms',
    example=lambda: (lambda *crowd: nms(*crowd, 0.7), _crowd()),
    numba=Variant(from_module('nms.numba_kernels.nms_numba', 'fast'), ('cpu',)),
    mmcv=compiled.NMS,
    triton=Variant(from_triton('nms.triton_kernels.nms_triton'), ('cuda',), (torch.float32,)),
    reference=Variant(lambda: nms_reference),
)
NMS_MATCH = Variants(
    'nms_match',
    example=lambda: (
        lambda boxes, scores: [torch.tensor(sum(nms_match(torch.cat([boxes, scores[:, None]], 1), 0.7), []))],
        _crowd(),
    ),
    numba=Variant(from_module('nms.numba_kernels.nms_match_numba', 'fast'), ('cpu',)),
    mmcv=compiled.NMS_MATCH,
    reference=Variant(lambda: nms_match_reference),
)
SOFT_NMS = Variants(
    'soft_nms',
    example=lambda: (lambda *crowd: soft_nms(*crowd, 0.3, 0.5, 0.05, 2), _crowd()),
    numba=Variant(from_module('nms.numba_kernels.soft_nms_numba', 'fast'), ('cpu',)),
    mmcv=compiled.SOFT_NMS,
    reference=Variant(lambda: soft_nms_reference),
)
