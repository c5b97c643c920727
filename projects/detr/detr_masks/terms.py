"""The focal loss of whole masks, pixel by pixel: DETR's masks, and Cell-DETR's."""

import torch
from torch import Tensor

from ...registry import MODELS
from ..roles import LossTerm
from ..terms import dice_distance
from .attention_maps import last_layer


@MODELS.register_module()
class PixelFocalTerm(LossTerm):
    """Binary focal loss of every pixel of matched masks; mean over the pixels."""

    name = 'loss_mask'
    reads = ('maps',)

    def __init__(self, weight: float = 1.0, alpha: float = 0.25, gamma: float = 2.0):
        super().__init__(weight)
        self.alpha, self.gamma = alpha, gamma

    def forward(self, predictions, matches, num_boxes):
        pairs = last_layer(predictions, matches)
        total = sum(self._sum(found, truth) for found, truth in pairs)
        return self.weight * (total / max(1, sum(found.numel() for found, _ in pairs)))[None]

    def _sum(self, found: Tensor, truth: Tensor) -> Tensor:
        chance = torch.where(truth > 0, found, 1 - found)  # of what is true
        alpha = torch.where(truth > 0, self.alpha, 1 - self.alpha)
        return -(alpha * (1 - chance) ** self.gamma * (chance + 1e-6).log()).sum()


@MODELS.register_module()
class MaskFocalTerm(PixelFocalTerm):
    """Binary focal loss, the mean over the pixels of each matched mask; summed, divided by the number of boxes."""

    def forward(self, predictions, matches, num_boxes):
        losses = [
            self._sum(found, truth) / found[0].numel() if len(found) else found.sum()
            for found, truth in last_layer(predictions, matches)
        ]
        return self.weight * torch.stack(losses).sum()[None] / num_boxes


@MODELS.register_module()
class MaskDiceTerm(LossTerm):
    """One minus twice the overlap over the areas of each matched mask; summed, divided by the number of boxes."""

    name = 'loss_dice'
    reads = ('maps',)

    def forward(self, predictions, matches, num_boxes):
        losses = [
            dice_distance((found * truth).sum((1, 2)), found.sum((1, 2)) + truth.sum((1, 2))).sum()
            for found, truth in last_layer(predictions, matches)
        ]
        return self.weight * torch.stack(losses).sum()[None] / num_boxes
