"""Matching by masks and the losses of masks, both in sampled points (Mask2Former, Mask DINO)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...ops.kernels.precision import without_autocast
from ...registry import MODELS, TASK_UTILS
from ..matching import HungarianMatcher
from ..roles import LossTerm
from ..structures import PredictionSet, Targets
from ..terms import dice_distance, per_layer
from .masks import Masks


@TASK_UTILS.register_module()
class MaskMatcher(HungarianMatcher):
    """Adds to the costs of :class:`HungarianMatcher` how far masks are apart, in points all over the image.

    The official code draws points anew for every layer, here all layers of an image share theirs.

    Args:
        cross_entropy, dice: weights of the two distances.
        others: as those of :class:`HungarianMatcher`.
    """

    reads = ('kernels',)

    def __init__(self, costs: list[dict], cross_entropy: float = 5.0, dice: float = 5.0, on_non_finite: str = 'raise'):
        super().__init__(costs, on_non_finite)
        self.cross_entropy, self.dice = cross_entropy, dice

    def cost(self, each: PredictionSet) -> Tensor:
        """L B N G, in float32 even under autocast."""
        cost = super().cost(each)
        with without_autocast(each.logits):
            for image, count in enumerate(each.targets.counts):
                if count:
                    cost[:, image, :, :count] += self._of_masks(each['masks'], each.targets, image)
        return cost

    def _of_masks(self, masks: Masks, targets: Targets, image: int) -> Tensor:
        """L N G of one image; layer by layer, for what it takes in between is a thousand times as large."""
        features, truth = masks.anywhere(targets, image)
        costs = [self._compare(kernels.float() @ features, truth) for kernels in masks.kernels[:, image]]
        return torch.stack(costs)

    def _compare(self, logits: Tensor, truth: Tensor) -> Tensor:
        """logits N K, truth G K -> N G."""
        distance = (F.softplus(logits).sum(1, keepdim=True) - logits @ truth.T) / logits.shape[1]
        found = logits.sigmoid()
        dice = dice_distance(found @ truth.T, found.sum(1, keepdim=True) + truth.sum(1))
        return self.cross_entropy * distance + self.dice * dice


@MODELS.register_module()
class PointTerm(LossTerm):
    """Binary cross-entropy of matched masks in points where they are in doubt, divided by the number of objects."""

    name = 'loss_mask'
    reads = ('kernels',)

    def forward(self, predictions, matches, num_boxes):
        points = predictions['masks'].where_it_matters(matches, predictions.targets)
        return self.weight * per_layer(points.cross_entropy, points.layer, len(predictions.logits)) / num_boxes


@MODELS.register_module()
class PointDiceTerm(LossTerm):
    """Dice loss of matched masks in the same points."""

    name = 'loss_dice'
    reads = ('kernels',)

    def forward(self, predictions, matches, num_boxes):
        points = predictions['masks'].where_it_matters(matches, predictions.targets)
        return self.weight * per_layer(points.dice, points.layer, len(predictions.logits)) / num_boxes
