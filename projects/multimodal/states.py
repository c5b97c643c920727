"""What parts hand to each other: texts as ids, the state of a modality, and the states of a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Texts:
    """Texts as numbers.

    Args:
        ids: T S, padded at the end.
        keep: T S, bool, True where there is a token.
        words: T S, number of the word that a token is a piece of, -1 of what is no piece of a text.
        owner: T, the item of the batch that each text belongs to; T is the size of the batch unless items have several.
        strings: as they were given; empty where ids were given.
    """

    ids: Tensor
    keep: Tensor
    words: Tensor | None = None
    owner: Tensor | None = None
    strings: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, *args, **kwargs) -> 'Texts':
        moved = {name: getattr(self, name) for name in ('ids', 'keep', 'words', 'owner')}
        return replace(self, **{name: one.to(*args, **kwargs) for name, one in moved.items() if one is not None})


@dataclass
class State:
    """What a tower, or a fusion, makes of its input.

    Args:
        tokens: B S C; None of a tower that gives one vector alone.
        keep: B S, bool, True where there is a token; None: everywhere.
        pooled: B C', the one vector of the whole that a projection reads.
        parts: name of a modality -> the slice of `tokens` that is its own, where a fusion has put several together.
        bias: heads S S, or B heads S S, to be added to the logits of attention among the tokens (ONE-PEACE); a tuple of
            them where each layer has its own.
    """

    tokens: Tensor | None = None
    keep: Tensor | None = None
    pooled: Tensor | None = None
    parts: Mapping[str, slice] | None = None
    bias: Tensor | tuple[Tensor, ...] | None = None


class States:
    """The states of a batch, each made when it is first asked for, and once.

    Args:
        encoder: who makes them: the model, or its momentum copy. It has `towers`, `fusion`, `alone` and `project`.
        inputs: modality -> its batch, as the preprocessor gives it.
        samples: the data samples.
        towers: states of towers that are known already.
    """

    def __init__(
        self,
        encoder: nn.Module,
        inputs: Mapping[str, Any],
        samples: Sequence = (),
        towers: Mapping[str, State] | None = None,
    ):
        self.encoder, self.inputs, self.samples = encoder, inputs, samples
        self._towers = dict(towers or {})
        self._joint: dict[tuple[str, ...], State] = {}
        self._embeddings: dict[str, Tensor] = {}
        self._momentum: States | None = None

    def __getitem__(self, name: str) -> State:
        """The state of one modality: of its tower, or what a fusion that also takes one alone makes of that."""
        return self.joint(name) if self.encoder.alone else self.tower(name)

    def tower(self, name: str) -> State:
        """What the tower of a modality gives."""
        if name not in self._towers:
            self._towers[name] = self.encoder.towers[name](self.inputs[name])
        return self._towers[name]

    def joint(self, *names: str) -> State:
        """The state that the fusion makes of several modalities."""
        if names not in self._joint:
            self._joint[names] = self.encoder.fusion(self, names)
        return self._joint[names]

    def embedding(self, name: str) -> Tensor:
        """B D, projected and of length 1."""
        if name not in self._embeddings:
            self._embeddings[name] = F.normalize(self.encoder.project(name, self[name]).float(), dim=-1)
        return self._embeddings[name]

    def changed(self, inputs: Mapping[str, Any], towers: Mapping[str, State] | None = None) -> 'States':
        """Of other inputs: masked ones, other pairs. States that stay the same are handed on as `towers`."""
        return type(self)(self.encoder, {**self.inputs, **inputs}, self.samples, towers)

    @property
    def momentum(self) -> 'States':
        """The same of the model's momentum copy, without gradient. In training the copy takes its step when this is
        first asked for in a batch."""
        if self._momentum is None:
            copy = self.encoder.momentum
            if copy.training:
                copy.follow(self.encoder)
            self._momentum = FrozenStates(copy, self.inputs, self.samples)
        return self._momentum


class FrozenStates(States):
    """States that no gradient goes through."""

    @torch.no_grad()
    def tower(self, name: str) -> State:
        return super().tower(name)

    @torch.no_grad()
    def joint(self, *names: str) -> State:
        return super().joint(*names)

    @torch.no_grad()
    def embedding(self, name: str) -> Tensor:
        return super().embedding(name)
