"""Non-maximum suppression for CPUs: loops that numba compiles at first use and keeps on disk.

Boxes come column by column and, but for the soft form, by falling score, so that the inner loop of the greedy form runs
over neighbours and has no branch: it is compiled to vector instructions.
"""

import math

import numpy as np
import torch
from torch import Tensor

from ..kernels.numba_tools import jit


def nms_numba(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """As `nms`, for float32 and float64 on the CPU."""
    order = scores.sort(descending=True, stable=True).indices
    columns = _columns(boxes[order])
    number = columns.dtype.type
    owners = torch.from_numpy(_owners(columns, number(iou_threshold), number(offset)))
    return order[owners == torch.arange(len(owners))]


def nms_match_numba(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """As `nms_match`, for float32 and float64 on the CPU."""
    order = dets[:, 4].sort(descending=True, stable=True).indices
    columns = _columns(dets[order, :4])
    number = columns.dtype.type
    above = np.nextafter(number(iou_threshold), number(-np.inf))  # "more than" is now "at least"
    owners = torch.from_numpy(_owners(columns, above, number(0)))
    sizes = owners.unique(return_counts=True)[1].tolist()
    return [group.tolist() for group in order[owners.argsort(stable=True)].split(sizes)] if sizes else []


def soft_nms_numba(
    boxes: Tensor, scores: Tensor, iou_threshold: float, sigma: float, min_score: float, method: int, offset: int = 0
) -> tuple[Tensor, Tensor]:
    """As `soft_nms`, for float32 and float64 on the CPU."""
    columns, scores = _columns(boxes), scores.detach().to(boxes.dtype).numpy().copy()
    number = columns.dtype.type
    indices = _soft(columns, scores, number(iou_threshold), number(sigma), number(min_score), method, number(offset))
    indices, scores = torch.from_numpy(indices), torch.from_numpy(scores)
    return torch.cat([boxes.detach()[indices], scores[indices, None]], 1), indices


def _columns(boxes: Tensor) -> np.ndarray:
    return boxes.detach().t().contiguous().numpy()


@jit
def _owners(columns, threshold, offset):
    """For each of the sorted boxes the first kept one whose IoU with it exceeds the threshold; of kept ones: itself."""
    left, top, right, bottom = columns[0], columns[1], columns[2], columns[3]
    areas = (right - left + offset) * (bottom - top + offset)
    owners = np.full(len(left), -1, np.int32)
    for best in range(len(left)):
        if owners[best] < 0:
            owners[best] = best
            after = best + 1
            _claim(
                left[best],
                top[best],
                right[best],
                bottom[best],
                areas[best],
                left[after:],
                top[after:],
                right[after:],
                bottom[after:],
                areas[after:],
                owners[best],
                owners[after:],
                threshold,
                offset,
            )
    return owners


@jit
def _claim(x1, y1, x2, y2, area, left, top, right, bottom, areas, owner, owners, threshold, offset):
    """A function of its own, counting from 0, with all numbers of one type: so it becomes vector instructions."""
    zero = offset - offset
    for other in range(len(left)):
        width = min(x2, right[other]) - max(x1, left[other]) + offset
        height = min(y2, bottom[other]) - max(y1, top[other]) + offset
        inside = max(width, zero) * max(height, zero)
        near = inside / (area + areas[other] - inside) > threshold
        owners[other] = owner if near & (owners[other] < 0) else owners[other]


@jit
def _soft(columns, scores, threshold, sigma, min_score, method, offset):
    """Indices of the kept by falling new score; the new scores are written over ``scores``."""
    left, top, right, bottom = columns[0], columns[1], columns[2], columns[3]
    zero = offset - offset
    areas = (right - left + offset) * (bottom - top + offset)
    rest, kept = np.arange(len(left)), np.empty(len(left), np.int64)
    size, found = len(rest), 0
    place = np.argmax(scores) if size else 0
    while size:
        best = rest[place]
        kept[found] = best
        found += 1

        # One pass lowers the scores, closes the gaps in `rest` and finds the next best.
        left_over, place = 0, 0
        for entry in range(size):
            other = rest[entry]
            if other == best:
                continue
            width = min(right[best], right[other]) - max(left[best], left[other]) + offset
            height = min(bottom[best], bottom[other]) - max(top[best], top[other]) + offset
            inside = max(width, zero) * max(height, zero)
            overlap = inside / (areas[best] + areas[other] - inside)
            if method == 2:
                if overlap != zero:
                    scores[other] *= math.exp(-(overlap * overlap) / sigma)
            elif overlap >= threshold:
                scores[other] *= 1 - overlap if method == 1 else zero
            if scores[other] >= min_score:
                if left_over == 0 or scores[other] > scores[rest[place]]:
                    place = left_over
                rest[left_over] = other
                left_over += 1
        size = left_over
    return kept[:found]
