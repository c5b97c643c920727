"""Matching: does a text belong to an image, with negatives that are hard to tell (ALBEF,
https://arxiv.org/abs/2107.07651; BLIP, https://arxiv.org/abs/2201.12086, section 3.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS, build_part
from ..roles import Objective, Part
from ..states import State, States, Texts
from .contrastive import Contrastive
from .queue import image_ids


@MODELS.register_module()
class HardNegatives(Part):
    """For each item another of the batch, drawn by how alike the model finds them:
    ``negatives(states, query, key) -> B``.

    Args:
        keys: 'momentum', the copy's embeddings (BLIP's pre-training), or 'own', the model's (its retrieval).
        floor: added to each chance, so that all can be drawn.
        by_image: items of the same image are no negatives either; without it an item is not its own.

    Raises:
        ValueError: an item has no negative in the batch.
    """

    uses = ('embedding',)

    def __init__(
        self, keys: str = 'momentum', floor: float = 1e-4, by_image: bool = False, init_cfg: dict | None = None
    ):
        super().__init__(init_cfg)
        if keys not in ('momentum', 'own'):
            raise ValueError(f"keys={keys!r} is unknown; choose from 'momentum', 'own'")
        self.keys, self.floor, self.by_image = keys, floor, by_image
        self.uses = ('embedding', 'momentum') if keys == 'momentum' else ('embedding',)

    def bind(self, model):
        found = [one.scale for one in model.objectives.values() if isinstance(one, Contrastive)]
        self.scales = (*found, lambda: 1 / 0.07)  # a tuple, so that the module does not count twice

    @torch.no_grad()
    def forward(self, states: States, query: str, key: str) -> Tensor:
        return torch.multinomial(self.chances(states, query, key), 1)[:, 0]

    def chances(self, states: States, query: str, key: str) -> Tensor:
        """B B, not normalised; 0 of what is no negative."""
        keys = (states.momentum if self.keys == 'momentum' else states).embedding(key)
        chances = (self.scales[0]() * states.embedding(query) @ keys.T).softmax(1) + self.floor
        chances = chances.masked_fill(self.same(states, len(keys), keys.device), 0)
        if not bool((chances.sum(1) > 0).all()):
            raise ValueError(
                f'a batch of {len(chances)} in which an item has no negative: every other is of the same image, or '
                'there is none; take larger batches, or floor above 0'
            )
        return chances

    def same(self, states: States, count: int, device) -> Tensor:
        """B B, True where two items are no negatives of each other."""
        if not self.by_image:
            return torch.eye(count, dtype=torch.bool, device=device)
        ids = image_ids(states)
        return ids[:, None] == ids


@MODELS.register_module()
class Matching(Objective):
    """Two classes of the joint state's pooled vector: 1, the text belongs to the image, and 0.

    Every pair is seen three times: as it is, its text with another image, and its image with another text.

    Args:
        between: what is held together, and the text.
        negatives: see :class:`HardNegatives`.
    """

    def __init__(
        self,
        joint_dims: int | None = None,
        between: Sequence[str] = ('image', 'text'),
        negatives: dict = dict(type=HardNegatives),
        weight: float = 1.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(weight, init_cfg)
        self.between = self.needs = tuple(between)
        self.negatives = build_part(negatives)
        self.uses = ('joint', *self.negatives.uses)
        self.head = nn.Linear(joint_dims or 1, 2)  # without a fusion the model is refused

    def bind(self, model):
        self.negatives.bind(model)

    def forward(self, states: States) -> dict[str, Tensor]:
        image, text = self.between
        right = self.head(states.joint(image, text).pooled)
        wrong = self.head(self.wrong_pairs(states).pooled)
        logits = torch.cat([right, wrong])
        labels = torch.cat([torch.ones(len(right)), torch.zeros(len(wrong))]).long().to(logits.device)
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        return dict(loss=F.cross_entropy(logits, labels), accuracy=accuracy)

    def probabilities(self, model, inputs: Mapping) -> Tensor:
        """T: how probable it is that each text of a batch belongs to its one image."""
        texts = inputs[self.between[1]]
        numbers = torch.zeros(len(texts), dtype=torch.long, device=texts.ids.device)
        return self.of_pairs(States(model, inputs), numbers, texts).softmax(-1)[:, 1]

    def of_tokens(self, model, tokens: Tensor, texts: Texts) -> Tensor:
        """Logits P 2 of texts, each with the image whose tower gave these tokens, P S C."""
        image, text = self.between
        states = States(model, {text: texts}, towers={image: State(tokens)})
        return self.head(states.joint(image, text).pooled)

    def of_pairs(self, states: States, images: Tensor, texts: Texts) -> Tensor:
        """Logits P 2 of texts, each with the image of the batch that ``images`` (P) numbers."""
        image, text = self.between
        seen = rows(states.tower(image), images)
        return self.head(states.changed({text: texts}, {image: seen}).joint(image, text).pooled)

    def wrong_pairs(self, states: States) -> State:
        """The joint state of B texts with another image, then B images with another text."""
        image, text = self.between
        other_image, other_text = self.negatives(states, text, image), self.negatives(states, image, text)
        own = torch.arange(len(other_image), device=other_image.device)
        images = torch.cat([other_image, own])
        texts = select(states.inputs[text], torch.cat([own, other_text]))
        seen = states.tower(image)
        return states.changed({text: texts}, {image: rows(seen, images)}).joint(image, text)


def rows(state: State, numbers: Tensor) -> State:
    """A state of these items."""

    def pick(x: Tensor | None) -> Tensor | None:
        return None if x is None else x[numbers]

    return replace(state, tokens=pick(state.tokens), keep=pick(state.keep), pooled=pick(state.pooled))


def select(texts: Texts, numbers: Tensor) -> Texts:
    """These texts."""
    words = None if texts.words is None else texts.words[numbers]
    return Texts(texts.ids[numbers], texts.keep[numbers], words)
