"""Losses of logits B K against targets B K, whose rows sum to one."""

import torch.nn.functional as F
from torch import Tensor, nn

from ..registry import MODELS


@MODELS.register_module()
class SoftmaxLoss(nn.Module):
    """Cross-entropy.

    Args:
        label_smoothing: this share of each target is spread over all classes, the right one included ("Rethinking the
            Inception architecture", https://arxiv.org/abs/1512.00567).
    """

    def __init__(self, label_smoothing: float = 0.0):
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), targets.float(), label_smoothing=self.label_smoothing)


@MODELS.register_module()
class SigmoidLoss(nn.Module):
    """Each class is a question of its own, summed over classes, the mean over images (pre-training of ViT on
    ImageNet-21k)."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits.float(), targets.float(), reduction='sum') / len(logits)
