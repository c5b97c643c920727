"""Cell-DETR's loss terms (https://arxiv.org/abs/2011.09763).

The official code takes the loss of each image on its own and averages over the images; here the class, box and focal
terms average over all queries, boxes and pixels of the batch.
"""

import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor

from ...registry import MODELS
from ..detr_masks.attention_maps import last_layer
from ..roles import LossTerm
from ..terms import dice_distance, per_layer


@MODELS.register_module()
class ClassWeightTerm(LossTerm):
    """Cross-entropy, each query weighed by its class; the mean over all queries.

    Args:
        class_weights: of each class, or one for all.
        no_object_weight: of "no object".
    """

    no_object = True
    name = 'loss_cls'

    def __init__(self, weight: float = 1.0, class_weights: list[float] | float = 1.5, no_object_weight: float = 0.5):
        super().__init__(weight)
        self.class_weights, self.no_object_weight = class_weights, no_object_weight

    def forward(self, predictions, matches, num_boxes):
        logits = predictions.logits
        labels = torch.full(logits.shape[:3], logits.shape[-1] - 1, device=logits.device)
        labels[matches.where] = predictions.targets.labels[matches.target]
        surprise = -logits.log_softmax(-1).gather(-1, labels[..., None]).squeeze(-1)
        return self.weight * (surprise * self._weights(logits)[labels]).mean((1, 2))

    def _weights(self, logits: Tensor) -> Tensor:
        classes = logits.shape[-1] - 1
        weights = self.class_weights if isinstance(self.class_weights, list) else [self.class_weights] * classes
        if len(weights) != classes:
            raise ValueError(f'class_weights={weights} are for {len(weights)} classes, the head has {classes}')
        weights = torch.tensor([*weights, self.no_object_weight], dtype=logits.dtype)
        return weights.to(logits.device, non_blocking=True)


@MODELS.register_module()
class CornerL1Term(LossTerm):
    """Mean distance of the four sides of matched boxes, in shares of the image."""

    name = 'loss_bbox'

    def forward(self, predictions, matches, num_boxes):
        found = bbox_cxcywh_to_xyxy(predictions.boxes[matches.where])
        distance = (found - bbox_cxcywh_to_xyxy(predictions.targets.boxes[matches.target])).abs().mean(-1)
        return self.weight * per_layer(distance, matches.layer, len(predictions.boxes)) / num_boxes


@MODELS.register_module()
class AreaDiceTerm(LossTerm):
    """One minus twice the overlap over the areas, of all matched masks of an image as one; mean over the images."""

    name = 'loss_dice'
    reads = ('maps',)

    def forward(self, predictions, matches, num_boxes):
        pairs = last_layer(predictions, matches)
        losses = [dice_distance((found * truth).sum(), found.sum() + truth.sum()) for found, truth in pairs]
        return self.weight * torch.stack(losses).mean()[None]
