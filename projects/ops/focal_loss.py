"""Sigmoid focal loss (https://arxiv.org/abs/1708.02002) and its gradient, as mmcv 2.1.0 calls them.

mmcv takes log(max(p, FLT_MIN)) of a rounded probability, which jumps to 87 where a float32 sigmoid saturates (logits
beyond 17); here log-sigmoid keeps the exact value. Its kernels, for CUDA only, are the `mmcv` variant.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .kernels.variants import Variant, Variants
from .mmcv import compiled


def sigmoid_focal_loss(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    """Loss of each logit, N K.

    Args:
        logits: N K.
        target: N, class index; any index outside 0..K-1 is background.
        weight: K, factor of the rows of each class (background: 1); empty for none.
    """
    return VARIANTS.choose(logits.device, logits.dtype)[0](logits, target, weight, gamma, alpha)


def sigmoid_focal_loss_grad(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    """Derivative of each loss by its logit, N K; arguments as in `sigmoid_focal_loss`."""
    return VARIANTS.choose(logits.device, logits.dtype)[1](logits, target, weight, gamma, alpha)


def sigmoid_focal_loss_reference(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    """As `sigmoid_focal_loss`, on any device."""
    foreground, weight = _foreground(logits, target), _row_weight(logits, target, weight)
    p, q = logits.sigmoid(), (-logits).sigmoid()
    positive = alpha * q**gamma * F.logsigmoid(logits)
    negative = (1 - alpha) * p**gamma * F.logsigmoid(-logits)
    return -torch.where(foreground, positive, negative) * weight


def sigmoid_focal_loss_grad_reference(
    logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float
) -> Tensor:
    """As `sigmoid_focal_loss_grad`, on any device."""
    foreground, weight = _foreground(logits, target), _row_weight(logits, target, weight)
    p, q = logits.sigmoid(), (-logits).sigmoid()
    positive = alpha * q**gamma * (q - gamma * p * F.logsigmoid(logits))
    negative = (1 - alpha) * p**gamma * (gamma * q * F.logsigmoid(-logits) - p)
    return -torch.where(foreground, positive, negative) * weight


def _foreground(logits: Tensor, target: Tensor) -> Tensor:
    return target[:, None] == torch.arange(logits.shape[1], device=logits.device)


def _row_weight(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    if not weight.numel():
        return logits.new_ones(())
    inside = (target >= 0) & (target < len(weight))
    return torch.where(inside, weight[target.clamp(0, len(weight) - 1)], 1)[:, None]


def _example():
    def run(logits: Tensor, target: Tensor) -> list[Tensor]:
        return [
            op(logits, target, logits.new_empty(0), 2.0, 0.25) for op in (sigmoid_focal_loss, sigmoid_focal_loss_grad)
        ]

    return run, (torch.randn(900, 80), torch.randint(0, 81, (900,)))


# Each a pair: the loss and its gradient.
VARIANTS = Variants(
    'sigmoid_focal_loss',
    example=_example,
    mmcv=compiled.SIGMOID_FOCAL_LOSS,
    reference=Variant(lambda: (sigmoid_focal_loss_reference, sigmoid_focal_loss_grad_reference)),
)
