"""LAMB, the optimizer of both Perceiver papers: Adam's step, scaled to the size of the weights ("Large batch
optimization for deep learning", https://arxiv.org/abs/1904.00962).

torch has none; timm's needs torchvision to import, and leaves tensors without weight decay unscaled by default. Here,
as in optax: every tensor is scaled, also biases and norms that are not decayed; no clipping of its own.
"""

from collections.abc import Callable, Sequence

import torch
from torch.optim import Optimizer

from ...registry import OPTIMIZERS


@OPTIMIZERS.register_module()
class Lamb(Optimizer):
    """``u = adam(gradient) + weight_decay * w``, then ``w -= lr * |w| / |u| * u``, for each tensor; where one of the
    norms is zero the factor is 1.

    Args:
        eps: beside the root of the second moment.
        weight_decay: decoupled; give biases and norms a group without it (`LayerDecayConstructor` does).
    """

    def __init__(
        self,
        params,
        lr: float = 1e-3,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ):
        if lr < 0 or eps < 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f'lr={lr}, betas={tuple(betas)}, eps={eps}, weight_decay={weight_decay}: none may be negative, and '
                'both betas must be below 1'
            )
        super().__init__(params, dict(lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure: Callable | None = None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            found = [each for each in group['params'] if each.grad is not None]
            for count, params in self._by_count(found).items():
                self._update(params, count, group)
        return loss

    def _by_count(self, params: list) -> dict[int, list]:
        """Tensors by how many steps they have taken, this one included."""
        found: dict[int, list] = {}
        for each in params:
            state = self.state[each]
            if not state:
                state.update(step=0, exp_avg=torch.zeros_like(each), exp_avg_sq=torch.zeros_like(each))
            state['step'] = int(state['step']) + 1
            found.setdefault(state['step'], []).append(each)
        return found

    def _update(self, params: list, count: int, group: dict) -> None:
        first, second = group['betas']
        gradients = [each.grad for each in params]
        means, squares = ([self.state[each][name] for each in params] for name in ('exp_avg', 'exp_avg_sq'))
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)

        roots = torch._foreach_sqrt(torch._foreach_div(squares, 1 - second**count))
        torch._foreach_add_(roots, group['eps'])
        updates = torch._foreach_div(torch._foreach_div(means, 1 - first**count), roots)
        if group['weight_decay']:
            torch._foreach_add_(updates, params, alpha=group['weight_decay'])

        ratios = [
            torch.where((size > 0) & (change > 0), size / change, 1.0) * -group['lr']
            for size, change in zip(torch._foreach_norm(params), torch._foreach_norm(updates))
        ]
        torch._foreach_mul_(updates, ratios)
        torch._foreach_add_(params, updates)
