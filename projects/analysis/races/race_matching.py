"""Matching against transformers' matcher, which takes one prediction set of the whole batch at a time."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ...detr.matching import BoxL1Cost, FocalCost, GIoUCost, HungarianMatcher
from ...detr.structures import PredictionSet, Targets


def matching(
    sets: int = 7, batch: int = 8, queries: int = 900, objects: int = 100, classes: int = 91
) -> Iterator[dict]:
    """As keyword arguments of `ops.benchmark.Workload`."""
    from transformers.loss.loss_deformable_detr import DeformableDetrHungarianMatcher

    names = [f'image {image}' for image in range(batch)]
    targets = Targets(torch.randint(classes, (batch * objects,)), _boxes(batch * objects), [objects] * batch, names)
    logits, boxes = torch.randn(sets, batch, queries, classes), _boxes(sets, batch, queries)
    labels = [
        dict(class_labels=labels, boxes=boxes)
        for labels, boxes in zip(targets.labels.split(objects), targets.boxes.split(objects))
    ]

    ours = HungarianMatcher([dict(type=FocalCost), dict(type=BoxL1Cost, weight=5.0), dict(type=GIoUCost, weight=2.0)])
    theirs = DeformableDetrHungarianMatcher(class_cost=2, bbox_cost=5, giou_cost=2)

    def run_ours() -> list[Tensor]:
        (found,) = ours([PredictionSet('match', logits, boxes, targets)])
        table = torch.zeros(sets, batch, queries)
        table[found.where] = found.target - objects * found.image + 1.0
        return [table]

    def run_theirs() -> list[Tensor]:
        table = torch.zeros(sets, batch, queries)
        for layer in range(sets):
            found = theirs(dict(logits=logits[layer], pred_boxes=boxes[layer]), labels)
            for image, (query, target) in enumerate(found):
                table[layer, image, query] = target + 1.0
        return [table]

    yield dict(
        name=f'matching, {sets} sets, batch {batch}, {queries} queries, {objects} objects',
        ours=run_ours,
        peers={'transformers': run_theirs},
        tolerance=0.0,
        goal=4,
    )


def _boxes(*size: int) -> Tensor:
    """Normalised cxcywh, inside the image."""
    sizes = 0.05 + 0.35 * torch.rand(*size, 2)
    return torch.cat([sizes / 2 + (1 - sizes) * torch.rand(*size, 2), sizes], -1)


CASES = {'matching': matching}
