"""Loss terms: each compares one prediction set with its matched objects, all layers in one go.

Called as ``term(set, matches, num_boxes)``; returns a vector with one loss for each layer.
"""

import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps
from mmdet.utils import reduce_mean
from torch import Tensor

from ..registry import MODELS
from .boxes import giou
from .roles import LossTerm
from .structures import Matches, PredictionSet


class SigmoidTerm(LossTerm):
    """Over all queries and classes what it costs to say no; for the class of a matched object to say yes instead.
    Divided by the number of boxes."""

    name = 'loss_cls'
    no_object = False

    def no(self, logits: Tensor) -> Tensor:
        """Of any shape."""
        raise NotImplementedError

    def yes(self, hit: Tensor, predictions: PredictionSet, matches: Matches) -> Tensor:
        """P, of the P logits of matched objects."""
        raise NotImplementedError

    def forward(self, predictions, matches, num_boxes):
        logits = predictions.logits
        if predictions.group.valid is not None:
            logits = logits.masked_fill(
                ~predictions.group.valid[..., None], -torch.inf
            )  # sure background costs nothing
        negative = self.no(logits).sum((1, 2, 3))
        hit = logits[matches.where].gather(1, predictions.targets.labels[matches.target, None]).squeeze(1)
        correction = self.yes(hit, predictions, matches) - self.no(hit)
        total = per_layer(correction, matches.layer, len(logits)) + negative
        return self.weight * total / num_boxes


@MODELS.register_module()
class FocalTerm(SigmoidTerm):
    """Sigmoid focal loss (Deformable DETR)."""

    def __init__(self, weight: float = 1.0, alpha: float = 0.25, gamma: float = 2.0):
        super().__init__(weight)
        self.alpha, self.gamma = alpha, gamma

    def no(self, logits):
        return (1 - self.alpha) * logits.sigmoid() ** self.gamma * F.softplus(logits)

    def yes(self, hit, predictions, matches):
        return self.alpha * (-hit).sigmoid() ** self.gamma * F.softplus(-hit)


@MODELS.register_module()
class QualityFocalTerm(SigmoidTerm):
    """Focal loss whose target is the overlap of the matched box with its object (Generalized Focal Loss, Co-DINO)."""

    def __init__(self, weight: float = 1.0, beta: float = 2.0):
        super().__init__(weight)
        self.beta = beta

    def no(self, logits):
        return logits.sigmoid() ** self.beta * F.softplus(logits)

    def yes(self, hit, predictions, matches):
        quality = bbox_overlaps(
            bbox_cxcywh_to_xyxy(predictions.boxes[matches.where].detach()),
            bbox_cxcywh_to_xyxy(predictions.targets.boxes[matches.target]),
            is_aligned=True,
        )
        entropy = F.binary_cross_entropy_with_logits(hit, quality, reduction='none')
        return (quality - hit.sigmoid()).abs() ** self.beta * entropy


@MODELS.register_module()
class SoftmaxTerm(LossTerm):
    """Cross-entropy over all queries, "no object" being the last class and weighing less (DETR).

    Args:
        sync_norm: divide by the mean of the processes' sums of weights, so that the gradient does not depend on how the
            images are shared out; else each process divides by its own, as DETR's code does.
    """

    name = 'loss_cls'
    no_object = True

    def __init__(self, weight: float = 1.0, no_object_weight: float = 0.1, sync_norm: bool = False):
        super().__init__(weight)
        self.no_object_weight, self.sync_norm = no_object_weight, sync_norm

    def forward(self, predictions, matches, num_boxes):
        logits = predictions.logits
        nothing = logits.shape[-1] - 1
        labels = torch.full(logits.shape[:3], nothing, device=logits.device)
        labels[matches.where] = predictions.targets.labels[matches.target]
        weights = torch.where(labels == nothing, self.no_object_weight, 1.0)
        if predictions.group.valid is not None:
            weights = weights * predictions.group.valid
        losses = F.cross_entropy(logits.flatten(0, 2), labels.flatten(), reduction='none').view_as(labels)
        total = weights.sum((1, 2))
        total = reduce_mean(total) if self.sync_norm else total
        return self.weight * (losses * weights).sum((1, 2)) / total.clamp(min=1e-6)


@MODELS.register_module()
class BoxL1Term(LossTerm):
    name = 'loss_bbox'

    def forward(self, predictions, matches, num_boxes):
        distance = predictions.boxes[matches.where] - predictions.targets.boxes[matches.target]
        return self.weight * per_layer(distance.abs().sum(-1), matches.layer, len(predictions.boxes)) / num_boxes


@MODELS.register_module()
class GIoUTerm(LossTerm):
    name = 'loss_iou'

    def forward(self, predictions, matches, num_boxes):
        overlap = giou(predictions.boxes[matches.where], predictions.targets.boxes[matches.target])
        return self.weight * per_layer(1 - overlap, matches.layer, len(predictions.boxes)) / num_boxes


def per_layer(values: Tensor, layer: Tensor, num_layers: int) -> Tensor:
    """Sum P values within their layers, P; stays in the graph when there are none."""
    return values.new_zeros(num_layers).index_add(0, layer, values)


def dice_distance(overlap: Tensor, areas: Tensor) -> Tensor:
    """One minus twice the overlap over the sum of both areas, each one larger than it is."""
    return 1 - (2 * overlap + 1) / (areas + 1)
