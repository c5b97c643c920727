"""alpha-entmax: between softmax (alpha 1) and sparsemax (alpha 2), found by bisection, with gradients to scores and
alpha (https://arxiv.org/abs/1909.00015). The package `entmax` does the same and is what tests compare with; it is not
worth a dependency.
"""

import torch
from torch import Tensor

HALVINGS = (26, 50)  # of the threshold's interval, in single and in double precision


class _Entmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, scores: Tensor, alpha: Tensor) -> Tensor:
        scores = scores if scores.dtype == torch.float64 else scores.float()
        power = alpha - 1
        scaled = scores * power
        low = scaled.amax(-1, keepdim=True) - 1
        high = low + 1 - (1 / scores.shape[-1]) ** power
        width = high - low
        for _ in range(HALVINGS[scores.dtype == torch.float64]):
            width = width / 2
            middle = low + width
            enough = weights_at(scaled, middle, power).sum(-1, keepdim=True) >= 1
            low = torch.where(enough, middle, low)
        weights = weights_at(scaled, low, power)
        weights = weights / weights.sum(-1, keepdim=True)
        ctx.save_for_backward(alpha, weights)
        return weights

    @staticmethod
    def backward(ctx, gradient: Tensor):
        alpha, weights = ctx.saved_tensors
        inside = weights > 0
        safe = weights.where(inside, 1.0)
        slope = torch.where(inside, safe ** (2 - alpha), 0.0)
        skewed = slope / slope.sum(-1, keepdim=True)
        to_scores = slope * (gradient - (gradient * skewed).sum(-1, keepdim=True))

        to_alpha = None
        if ctx.needs_input_grad[1]:
            entropy = weights * safe.log()
            rise = (weights - skewed) / (alpha - 1) ** 2
            rise = rise - (entropy - skewed * entropy.sum(-1, keepdim=True)) / (alpha - 1)
            to_alpha = (gradient * rise).sum_to_size(alpha.shape)
        return to_scores, to_alpha


def weights_at(scaled: Tensor, threshold: Tensor, power: Tensor) -> Tensor:
    """What lies above the threshold, to the power 1 / (alpha - 1)."""
    return (scaled - threshold).clamp(min=0) ** (1 / power)


def entmax(scores: Tensor, alpha: Tensor) -> Tensor:
    """... N scores -> weights that are at least 0 and sum to 1.

    Args:
        alpha: above 1, of a shape that broadcasts to ... 1.
    """
    return _Entmax.apply(scores, alpha)
