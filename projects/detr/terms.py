"""Loss terms: each compares one prediction set with its matched objects, all layers in one go.

Called as ``term(set, matches, num_boxes)``; returns a vector with one loss for each layer.
"""
import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps
from torch import Tensor, nn

from ..registry import MODELS
from .boxes import giou
from .structures import Matches, PredictionSet


class LossTerm(nn.Module):
    """
    Args:
        weight: factor of the term in the sum.
    """
    name: str  #: key of the loss, as in mmdet

    def __init__(self, weight: float = 1.):
        super().__init__()
        self.weight = weight

    def forward(self, predictions: PredictionSet, matches: Matches, num_boxes: Tensor) -> Tensor:
        raise NotImplementedError


@MODELS.register_module()
class FocalTerm(LossTerm):
    """Sigmoid focal loss over all queries and classes, divided by the number of boxes (Deformable DETR)."""
    name = 'loss_cls'
    no_object = False

    def __init__(self, weight: float = 1., alpha: float = 0.25, gamma: float = 2.):
        super().__init__(weight)
        self.alpha, self.gamma = alpha, gamma

    def forward(self, predictions, matches, num_boxes):
        logits = predictions.logits
        if predictions.valid is not None:
            logits = logits.masked_fill(~predictions.valid[..., None], -torch.inf)  # sure background costs nothing
        negative = (1 - self.alpha) * logits.sigmoid() ** self.gamma * F.softplus(logits)

        hit = logits[matches.where].gather(1, predictions.targets.labels[matches.target, None]).squeeze(1)
        positive = self.alpha * (-hit).sigmoid() ** self.gamma * F.softplus(-hit)
        correction = positive - (1 - self.alpha) * hit.sigmoid() ** self.gamma * F.softplus(hit)

        total = per_layer(correction, matches, len(logits)) + negative.sum((1, 2, 3))
        return self.weight * total / num_boxes


@MODELS.register_module()
class QualityFocalTerm(LossTerm):
    """Focal loss whose target is the overlap of the matched box with its object (Generalized Focal Loss, Co-DINO)."""
    name = 'loss_cls'
    no_object = False

    def __init__(self, weight: float = 1., beta: float = 2.):
        super().__init__(weight)
        self.beta = beta

    def forward(self, predictions, matches, num_boxes):
        logits = predictions.logits
        if predictions.valid is not None:
            logits = logits.masked_fill(~predictions.valid[..., None], -torch.inf)
        negative = logits.sigmoid() ** self.beta * F.softplus(logits)

        hit = logits[matches.where].gather(1, predictions.targets.labels[matches.target, None]).squeeze(1)
        quality = bbox_overlaps(bbox_cxcywh_to_xyxy(predictions.boxes[matches.where].detach()),
                                bbox_cxcywh_to_xyxy(predictions.targets.boxes[matches.target]), is_aligned=True)
        positive = F.binary_cross_entropy_with_logits(hit, quality, reduction='none')
        positive = (quality - hit.sigmoid()).abs() ** self.beta * positive
        correction = positive - hit.sigmoid() ** self.beta * F.softplus(hit)

        total = per_layer(correction, matches, len(logits)) + negative.sum((1, 2, 3))
        return self.weight * total / num_boxes


@MODELS.register_module()
class SoftmaxTerm(LossTerm):
    """Cross-entropy over all queries, "no object" being the last class and weighing less (DETR)."""
    name = 'loss_cls'
    no_object = True

    def __init__(self, weight: float = 1., no_object_weight: float = 0.1):
        super().__init__(weight)
        self.no_object_weight = no_object_weight

    def forward(self, predictions, matches, num_boxes):
        logits = predictions.logits
        nothing = logits.shape[-1] - 1
        labels = torch.full(logits.shape[:3], nothing, device=logits.device)
        labels[matches.where] = predictions.targets.labels[matches.target]
        weights = torch.where(labels == nothing, self.no_object_weight, 1.)
        if predictions.valid is not None:
            weights = weights * predictions.valid
        losses = F.cross_entropy(logits.flatten(0, 2), labels.flatten(), reduction='none').view_as(labels)
        return self.weight * (losses * weights).sum((1, 2)) / weights.sum((1, 2)).clamp(min=1e-6)


@MODELS.register_module()
class BoxL1Term(LossTerm):
    name = 'loss_bbox'

    def forward(self, predictions, matches, num_boxes):
        distance = predictions.boxes[matches.where] - predictions.targets.boxes[matches.target]
        return self.weight * per_layer(distance.abs().sum(-1), matches, len(predictions.boxes)) / num_boxes


@MODELS.register_module()
class GIoUTerm(LossTerm):
    name = 'loss_iou'

    def forward(self, predictions, matches, num_boxes):
        overlap = giou(predictions.boxes[matches.where], predictions.targets.boxes[matches.target])
        return self.weight * per_layer(1 - overlap, matches, len(predictions.boxes)) / num_boxes


def per_layer(values: Tensor, matches: Matches, num_layers: int) -> Tensor:
    """Sum the P values of the matches within each layer; stays in the graph when there are none."""
    return values.new_zeros(num_layers).index_add(0, matches.layer, values)
