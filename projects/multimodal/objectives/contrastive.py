"""Contrastive: an image is told from those of other texts, a text from those of other images (CLIP,
https://arxiv.org/abs/2103.00020).

Of three parts, each to be changed on its own: `keys`, what a batch is held against (the batch of all processes; a
momentum copy and a queue); `targets`, which of the keys are right (one's own; soft ones of a momentum copy); `scale`.
"""

import math
import zlib
from collections.abc import Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS, build_part
from ..roles import Objective, Part
from ..states import States, Texts


@MODELS.register_module()
class LogitScale(nn.Module):
    """The learned factor of the cosines, exp(log_scale).

    Args:
        start: of the factor; CLIP 1 / 0.07.
        least, most: the factor is kept between them, before each step.
    """

    def __init__(self, start: float = 1 / 0.07, least: float = 0.0, most: float = 100.0):
        super().__init__()
        self.range = (math.log(least) if least else -math.inf, math.log(most))
        self.log_scale = nn.Parameter(torch.tensor(math.log(start)))

    def forward(self) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.log_scale.clamp_(*self.range)
        return self.log_scale.exp()


class Keys(Part):
    """Base of what a batch is held against: ``keys(states, name) -> K D``, of length 1.

    After the losses of a step the objective calls ``update(states)``, for queues.
    """

    def forward(self, states: States, name: str) -> Tensor:
        raise NotImplementedError

    def own(self, states: States, name: str) -> Tensor:
        """B: the row of the keys that is each item's own; or B K, shares where an item has several."""
        return torch.arange(len(states.embedding(name)), device=states.embedding(name).device)

    def update(self, states: States) -> None:
        """Remember the batch."""


@MODELS.register_module()
class BatchKeys(Keys):
    """The batch of all processes; gradients flow back to the process that an item is of.

    With that, the mean over processes of the gradients is that of one process with the whole batch.

    Args:
        gradient: without it, queries alone learn (ONE-PEACE).
    """

    def __init__(self, gradient: bool = True, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.gradient = gradient

    def forward(self, states: States, name: str) -> Tensor:
        embedding = states.embedding(name)
        return gather(embedding if self.gradient else embedding.detach())

    def own(self, states: States, name: str) -> Tensor:
        return super().own(states, name) + rank() * len(states.embedding(name))


@MODELS.register_module()
class EqualTextKeys(BatchKeys):
    """The batch of all processes, in which all items whose texts read the same are right, in equal shares: small worlds
    have few texts, and the same one twice is no negative of itself.

    Args:
        text: name of the modality whose texts are compared.
    """

    def __init__(self, text: str = 'text', gradient: bool = True, init_cfg: dict | None = None):
        super().__init__(gradient, init_cfg)
        self.text = text

    def own(self, states: States, name: str) -> Tensor:
        numbers = text_numbers(states.inputs[self.text])
        same = (numbers[:, None] == gather(numbers)[None]).float()
        return same / same.sum(1, keepdim=True)


class Targets(Part):
    """Base of what is right: ``targets(states, query, keys, own, scale) -> B`` (numbers of keys) or B K (shares), of
    queries of the modality ``query`` among keys K D."""

    def forward(self, states: States, query: str, keys: Tensor, own: Tensor, scale: Tensor) -> Tensor:
        raise NotImplementedError


@MODELS.register_module()
class OwnPair(Targets):
    """Each item's own."""

    def forward(self, states: States, query: str, keys: Tensor, own: Tensor, scale: Tensor) -> Tensor:
        return own


@MODELS.register_module()
class Contrastive(Objective):
    """
    Args:
        between: the two modalities.
        keys: see :class:`Keys`.
        targets: see :class:`Targets`.
        scale: see :class:`LogitScale`.
        label_smoothing: share of each target that is spread over all keys.

    The losses: ``loss``, the mean of both directions; ``scale`` and the share of the batch whose best key is its own
    (``accuracy``) are logged.
    """

    uses = ('embedding',)

    def __init__(
        self,
        between: Sequence[str] = ('image', 'text'),
        keys: dict = dict(type=BatchKeys),
        targets: dict = dict(type=OwnPair),
        scale: dict = dict(type=LogitScale),
        label_smoothing: float = 0.0,
        weight: float = 1.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(weight, init_cfg)
        self.between = self.needs = tuple(between)
        self.keys, self.targets = build_part(keys), build_part(targets)
        self.scale = build_part(scale)
        self.uses = tuple({*self.uses, *self.keys.uses, *self.targets.uses})
        self.label_smoothing = label_smoothing

    def forward(self, states: States) -> dict[str, Tensor]:
        first, second = self.between
        check_pairs(states, first, second)
        scale = self.scale()
        losses, right = zip(*(self.direction(states, *pair, scale) for pair in ((first, second), (second, first))))
        self.keys.update(states)
        return dict(loss=sum(losses) / 2, accuracy=sum(right) / 2, scale=scale.detach())

    def direction(self, states: States, query: str, key: str, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and share of right ones, of queries of one modality among keys of the other; in full precision."""
        keys, own = self.keys(states, key), self.keys.own(states, key)
        with torch.autocast(keys.device.type, enabled=False):
            logits = scale * states.embedding(query) @ keys.T
        targets = self.targets(states, query, keys, own, scale)
        loss = F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)
        best = logits.detach().argmax(1)
        right = best == own if own.ndim == 1 else own.gather(1, best[:, None]) > 0
        return loss, right.float().mean()


def check_pairs(states: States, first: str, second: str):
    """Refuse batches whose items are no pairs."""
    counts = [len(states.embedding(name)) for name in (first, second)]
    if counts[0] != counts[1]:
        raise ValueError(f'{counts[0]} of {first} and {counts[1]} of {second} in a batch: give each item one of both')


def text_numbers(texts: Texts) -> Tensor:
    """T: a number for each text, equal where texts are, however long the padding."""
    rows = (ids[keep].tolist() for ids, keep in zip(texts.ids.cpu(), texts.keep.cpu()))
    return torch.tensor([zlib.crc32(repr(row).encode()) for row in rows], device=texts.ids.device)


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def gather(x: Tensor) -> Tensor:
    """B D -> (processes*B) D, in their order, with gradients; every process must have as many."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return x
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(x.contiguous()))
