"""Bipartite matching of predictions to objects (DETR, section 3.1).

The costs of all layers, groups and images are computed together and cross to the host in one copy; the solutions go
back in one. mmdet's match costs take one layer of one image at a time, hence ours.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from mmengine.logging import MMLogger
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ..ops.kernels import threads
from ..ops.kernels.precision import without_autocast
from ..registry import TASK_UTILS
from .boxes import giou
from .roles import MatchCost, Matcher
from .structures import Matches, PredictionSet

# Scipy releases the GIL, but handing matrices to threads costs more than to solve those of few numbers: 14 matrices of
# 900 x 7, as DINO has on COCO, take less than half a millisecond together.
NUMBERS_FOR_THREADS = 2**18


@TASK_UTILS.register_module()
class SoftmaxCost(MatchCost):
    """Minus the probability of the object's class (DETR)."""

    no_object = True

    def __call__(self, logits, boxes, labels, targets):
        return -self.weight * of_classes(logits.softmax(-1), labels)


@TASK_UTILS.register_module()
class FocalCost(MatchCost):
    """Focal loss of saying yes, minus that of saying no, to the object's class (Deformable DETR)."""

    no_object = False

    def __init__(self, weight: float = 2.0, alpha: float = 0.25, gamma: float = 2.0):
        super().__init__(weight)
        self.alpha, self.gamma = alpha, gamma

    def __call__(self, logits, boxes, labels, targets):
        p = of_classes(logits, labels).sigmoid()
        yes = self.alpha * (1 - p) ** self.gamma * -(p + 1e-8).log()
        no = (1 - self.alpha) * p**self.gamma * -(1 - p + 1e-8).log()
        return self.weight * (yes - no)


@TASK_UTILS.register_module()
class BoxL1Cost(MatchCost):
    def __call__(self, logits, boxes, labels, targets):
        # Coordinate by coordinate: a sum over a last axis of 4 is several times slower on CPUs.
        pairs = zip(boxes[..., None, :].unbind(-1), targets[:, None].unbind(-1))
        return self.weight * sum((box - target).abs() for box, target in pairs)


@TASK_UTILS.register_module()
class GIoUCost(MatchCost):
    def __call__(self, logits, boxes, labels, targets):
        return -self.weight * giou(boxes[..., None, :], targets[:, None])


@TASK_UTILS.register_module()
class HungarianMatcher(Matcher):
    """Matches every layer of every set on its own, image by image.

    Args:
        costs: configs of the terms that are added up.
        on_non_finite: a NaN or infinite cost means that the predictions have diverged: 'raise' an error that names the
            images, or 'warn' and match those pairs last, so that a loss scaler can skip the step.
    """

    def __init__(self, costs: list[dict], on_non_finite: str = 'raise'):
        if on_non_finite not in ('raise', 'warn'):
            raise ValueError(f"on_non_finite is 'raise' or 'warn', got {on_non_finite!r}")
        self.costs = [TASK_UTILS.build(cost) for cost in costs]
        self.on_non_finite = on_non_finite

    @torch.no_grad()
    def __call__(self, sets: list[PredictionSet]) -> list[Matches]:
        if not sets:
            return []
        costs = [self.cost(each) for each in sets]
        numbers = torch.cat([cost.flatten() for cost in costs]).cpu().numpy()  # the one synchronisation of a step

        places, matrices, counts, start = [], [], [], 0
        for each, cost in zip(sets, costs):
            stop = start + cost.numel()
            for place, matrix in self._matrices(each, numbers[start:stop].reshape(cost.shape)):
                places.append(place)
                matrices.append(matrix)
            counts.append(len(places) - sum(counts))
            start = stop

        solutions = [_matches(*place, *pairs) for place, pairs in zip(places, _solve(matrices))]
        on_host = torch.from_numpy(np.concatenate(solutions, axis=1))
        index = on_host.to(sets[0].logits.device, non_blocking=True)
        sizes = iter(each.shape[1] for each in solutions)
        sizes = [sum(islice(sizes, count)) for count in counts]
        return [Matches(*part, host) for part, host in zip(index.split(sizes, dim=1), on_host.split(sizes, dim=1))]

    def cost(self, each: PredictionSet) -> Tensor:
        """L B N G, in float32 even under autocast; columns beyond an image's objects mean nothing."""
        labels, boxes = each.targets.padded
        with without_autocast(each.logits):
            return sum(cost(each.logits.float(), each.boxes.float(), labels, boxes) for cost in self.costs)

    def _matrices(self, each: PredictionSet, cost: np.ndarray) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
        """((layer, image, place of its first object, number of its objects), N G*repeat) of every problem."""
        first = 0
        for image, count in enumerate(each.targets.counts):
            for layer, matrix in enumerate(self._finite(cost[:, image, :, :count], each, image)):
                yield (
                    (layer, image, first, count),
                    np.tile(matrix, each.group.repeat) if each.group.repeat > 1 else matrix,
                )
            first += count

    def _finite(self, cost: np.ndarray, each: PredictionSet, image: int) -> np.ndarray:
        finite = np.isfinite(cost)
        if finite.all():
            return cost
        message = (
            f'{(~finite).sum()} of {cost.size} matching costs of {each.targets.names[image]} are not finite '
            f"(query group '{each.group.name}', layers {sorted(set(np.nonzero(~finite)[0].tolist()))}): the "
            'predictions have diverged; look at the learning rate, gradient clipping and AMP dtype, and at the '
            'boxes of this image'
        )
        if self.on_non_finite == 'raise':
            raise FloatingPointError(message)
        MMLogger.get_current_instance().warning(message)
        return np.where(finite, cost, 1e6)


def _solve(matrices: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(rows, columns) of the cheapest assignment in each matrix, solved in threads where that pays."""
    if sum(matrix.size for matrix in matrices) < NUMBERS_FOR_THREADS:
        return [linear_sum_assignment(matrix) for matrix in matrices]

    solutions = [None] * len(matrices)

    def task(number: int):
        solutions[number] = linear_sum_assignment(matrices[number])

    threads.run(task, len(matrices))
    return solutions


def _matches(layer: int, image: int, first: int, count: int, query: np.ndarray, column: np.ndarray) -> np.ndarray:
    """4 P: layer, image, query and object of every match."""
    return np.stack([np.full_like(query, layer), np.full_like(query, image), query, first + column % max(count, 1)])


def of_classes(scores: Tensor, labels: Tensor) -> Tensor:
    """L B N K and B G -> L B N G: the column of each object's class."""
    index = labels[None, :, None].expand(*scores.shape[:3], -1)
    return scores.gather(-1, index)
