"""A copy of the encoders that follows the model slowly (MoCo, https://arxiv.org/abs/1911.05722; ALBEF, BLIP)."""

import copy

import torch
from torch import Tensor

from ..registry import MODELS
from .roles import Momentum
from .states import State


@MODELS.register_module()
class MomentumEncoders(Momentum):
    """Copies of the towers and projections, and of the fusion where every state goes through it.

    Args:
        momentum: share of itself that a copy keeps in a step: ``copy = momentum * copy + (1 - momentum) * model``.
    """

    def __init__(self, momentum: float = 0.995, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if not 0 <= momentum <= 1:
            raise ValueError(f'momentum={momentum} must lie between 0 and 1')
        self.share, self.alone, self.fusion = momentum, False, None

    def bind(self, model):
        self.alone = model.alone
        self.towers, self.projections = copy.deepcopy(model.towers), copy.deepcopy(model.projections)
        self.fusion = copy.deepcopy(model.fusion) if model.alone else None
        self.requires_grad_(False)

    def parts(self, model):
        """(copy, original) of each module."""
        pairs = [(self.towers, model.towers), (self.projections, model.projections)]
        return [*pairs, *([(self.fusion, model.fusion)] if self.fusion is not None else [])]

    @torch.no_grad()
    def follow(self, model):
        for mine, other in self.parts(model):
            originals = dict(other.named_parameters())
            for name, parameter in mine.named_parameters():
                parameter.lerp_(originals[name].to(parameter.dtype), 1 - self.share)

    def project(self, name: str, state: State) -> Tensor:
        return self.projections[name](state.pooled) if name in self.projections else state.pooled
