"""The roles of the family: how a part of each is called, and what it says of itself.

What a part needs, it says; :mod:`.compatibility` holds it against what the model has, when the model is built.
"""

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from .states import State, States, Texts


class Part(BaseModule):
    """
    Attributes:
        needs: modalities that must have a tower ('image', 'text', 'audio' ...).
        uses: what else the model must have, words of some part's `gives` or of :data:`.compatibility.WORDS`.
        gives: words that other parts may use.
    """

    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()

    def bind(self, model) -> None:
        """Called once, when all parts of a model are built: for parts that share modules or weights with others."""


class Tower(Part):
    """``tower(batch of its modality) -> State``.

    Attributes:
        embed_dims: channels of the state's tokens.
        pooled_dims: channels of its pooled vector; None: it gives none.
        has_tokens: its state has tokens to look at, not the vector alone.
    """

    embed_dims: int
    pooled_dims: int | None = None
    has_tokens: bool = True

    def forward(self, batch: Any) -> State:
        raise NotImplementedError


class Fusion(Part):
    """``fusion(states, names) -> State`` of those modalities together.

    It reads ``states.tower(name)``, what a tower gives, or ``states.inputs[name]`` where it has an embedding of its
    own.

    Attributes:
        alone: a single modality also goes through the fusion (BEiT-3, ONE-PEACE): towers only embed.
        embed_dims, pooled_dims: of what it gives; with `alone` also of each modality.
    """

    gives = ('joint',)
    alone: bool = False
    embed_dims: int
    pooled_dims: int | None = None

    def forward(self, states: States, names: Sequence[str]) -> State:
        raise NotImplementedError


class Momentum(Part):
    """A copy of the encoders that follows the model slowly, with `towers`, `fusion`, `alone` and `project` of its own.

    ``bind(model)`` copies them; ``follow(model)`` is a step towards the model, called once a batch in training.
    """

    gives = ('momentum',)

    def follow(self, model) -> None:
        raise NotImplementedError


class Decoder(Part):
    """``decoder(texts, memory) -> logits B S V``: each token is told the ones before it, and what `memory` holds.

    Attributes:
        reads: modalities whose state is the memory, a joint one of several.
    """

    gives = ('decoder', 'writer')
    reads: tuple[str, ...] = ('image',)

    def forward(self, texts: Texts, memory: State) -> Tensor:
        raise NotImplementedError

    def memory(self, states: States) -> State:
        """What is read of a batch."""
        return states[self.reads[0]] if len(self.reads) == 1 else states.joint(*self.reads)

    def writer(self, memory: State) -> Any:
        """What a search asks for the next word (generation.py), of so many items as the memory has."""
        raise NotImplementedError

    def prompt(self, ids: Tensor) -> Tensor:
        """Ids T S of texts without their end as they begin a text that is written."""
        return ids


class Objective(Part):
    """``objective(states) -> {word: value}``: words that begin with ``loss`` are summed, the others are logged.

    Args:
        weight: factor of its losses.
    """

    def __init__(self, weight: float = 1.0, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.weight = weight

    def forward(self, states: States) -> dict[str, Tensor]:
        raise NotImplementedError


class Inference(Part):
    """``inference(states) -> samples``: what a model says in 'predict'.

    Attributes:
        task: the name in the registry TASKS by which tools know a model with it.
    """

    task: str

    def forward(self, states: States) -> Sequence:
        raise NotImplementedError
