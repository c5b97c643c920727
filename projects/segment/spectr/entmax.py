"""alpha-entmax: between softmax (alpha 1) and sparsemax (alpha 2), with gradients to scores and alpha
(https://arxiv.org/abs/1909.00015). The package `entmax` does the same by bisection and is what tests compare with; it
is not worth a dependency.

The threshold is found by Newton's steps: the sum of the weights falls and is convex in it, so from the left they never
pass it. Ten are as exact as single and double precision allow, where halvings take 26 and 50.
"""

import torch
from torch import Tensor

STEPS = 10


class _Entmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, scores: Tensor, alpha: Tensor) -> Tensor:
        scores = scores if scores.dtype == torch.float64 else scores.float()
        power = alpha - 1
        scaled = scores * power
        weights = above(scaled, threshold(scaled, power)) ** (1 / power)
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


def threshold(scaled: Tensor, power: Tensor) -> Tensor:
    """... N scores -> ... 1: above it lies what becomes a weight, to the power 1 / (alpha - 1)."""
    found = scaled.amax(-1, keepdim=True) - 1  # too low: there the largest weight alone is 1
    exponent = 1 / power
    steepness = (exponent - 1).clamp(min=1e-12)  # above 0, so that what lies below has no slope at alpha 2 either
    for _ in range(STEPS):
        gap = above(scaled, found)
        slope = gap**steepness
        total = gap.mul_(slope).sum(-1, keepdim=True)
        found = found + (total - 1) / (slope.sum(-1, keepdim=True) * exponent)
    return found


def above(scaled: Tensor, found: Tensor) -> Tensor:
    return (scaled - found).clamp_(min=0)


def entmax(scores: Tensor, alpha: Tensor) -> Tensor:
    """... N scores -> weights that are at least 0 and sum to 1.

    Args:
        alpha: above 1, of a shape that broadcasts to ... 1.
    """
    return _Entmax.apply(scores, alpha)
