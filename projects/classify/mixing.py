"""Mixed batches: "mixup: beyond empirical risk minimization" (https://arxiv.org/abs/1710.09412), "CutMix"
(https://arxiv.org/abs/1905.04899); one draw for a batch, each image with the one opposite, as in timm."""

import numpy as np
import torch
from torch import Tensor, nn

from ..registry import MODELS


@MODELS.register_module()
class Mixing(nn.Module):
    """Mixup or cutmix of a batch.

    Args:
        mixup, cutmix: the one parameter of the Beta distribution that the share is drawn from; 0: never.
        prob: chance that a batch is mixed.
        switch_prob: chance of cutmix where both may be.
    """

    def __init__(self, mixup: float = 0.8, cutmix: float = 1.0, prob: float = 1.0, switch_prob: float = 0.5):
        super().__init__()
        if not mixup and not cutmix:
            raise ValueError('mixup=0 and cutmix=0: nothing is mixed; leave `mixing` out')
        self.mixup, self.cutmix, self.prob, self.switch_prob = mixup, cutmix, prob, switch_prob

    def forward(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """B C H W and B K -> the same, mixed."""
        if torch.rand(()) >= self.prob:
            return images, targets
        cut = bool(self.cutmix) and (not self.mixup or bool(torch.rand(()) < self.switch_prob))
        alpha = torch.tensor(float(self.cutmix if cut else self.mixup))
        share = float(torch.distributions.Beta(alpha, alpha).sample())
        images, share = paste(images, share) if cut else (share * images + (1 - share) * images.flip(0), share)
        return images, share * targets + (1 - share) * targets.flip(0)


def paste(images: Tensor, share: float) -> tuple[Tensor, float]:
    """A box of the image opposite, whose area is ``1 - share`` before it is cut at the border, and the share left."""
    height, width = images.shape[2:]
    ratio = np.sqrt(1 - share)
    rows, columns = (int(side * ratio) // 2 for side in (height, width))
    y, x = int(torch.randint(height, ())), int(torch.randint(width, ()))
    top, bottom, left, right = max(y - rows, 0), min(y + rows, height), max(x - columns, 0), min(x + columns, width)
    mixed = images.clone()
    mixed[..., top:bottom, left:right] = images.flip(0)[..., top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)
