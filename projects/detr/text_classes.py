"""Classes by their names: a class branch whose rows are what a text encoder makes of prompts (open vocabulary).

As in ViLD (https://arxiv.org/abs/2104.13921) and its like: a state is mapped into the space of the texts, and its logit
for a class is the scaled cosine with the class's text. Other classes are other texts: nothing is trained anew.
"""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..registry import MODELS
from .branches import PRIOR, States
from .roles import Branch
from .structures import Memory


class Vocabulary(nn.Module):
    """The texts of the classes as vectors K D, made when they are first asked for.

    Args:
        text: strings -> T D; frozen ones are asked once for each set of classes.
        prompts: of each class, one or several.
    """

    def __init__(self, text: nn.Module, prompts: Sequence[Sequence[str]]):
        super().__init__()
        self.text = text
        self.set(prompts)
        self.register_load_state_dict_post_hook(lambda *_: self.forget())

    def set(self, prompts: Sequence[Sequence[str]]) -> None:
        self.prompts = tuple(map(tuple, prompts))
        self.forget()

    def forget(self) -> None:
        self._vectors: Tensor | None = None

    def forward(self, like: Tensor) -> Tensor:
        if any(parameter.requires_grad for parameter in self.text.parameters()):
            return self._made()
        if self._vectors is None or self._vectors.device != like.device:
            with torch.autocast(like.device.type, enabled=False):  # the same, whenever they are made
                self._vectors = self._made().detach()
        return self._vectors

    def _made(self) -> Tensor:
        vectors = self.text([prompt for each in self.prompts for prompt in each])
        parts = vectors.split([len(each) for each in self.prompts])
        return F.normalize(torch.stack([part.mean(0) for part in parts]), dim=-1)


class TextLogits(nn.Module):
    """State -> logits of the classes of a vocabulary, which it does not own.

    Args:
        scale: start of the factor of the cosines.
    """

    def __init__(self, embed_dims: int, out_dims: int, vocabulary: Vocabulary, scale: float):
        super().__init__()
        self.project = nn.Linear(embed_dims, out_dims)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = nn.Parameter(torch.tensor(-math.log((1 - PRIOR) / PRIOR)))
        self._vocabulary = (vocabulary,)  # in a tuple: it is a module of the branch, once

    def forward(self, states: Tensor) -> Tensor:
        vectors = self._vocabulary[0](states).to(states.dtype)
        return self.log_scale.exp() * F.normalize(self.project(states), dim=-1) @ vectors.T + self.bias


@MODELS.register_module()
class TextClassBranch(Branch):
    """
    Args:
        text: config of a part that makes vectors of strings, as `mmparts.TextEncoder`.
        prompts: names of the classes in the order of the labels, or a dict of name -> its prompt or prompts.
        template: what a name becomes a prompt by, where it has none of its own.
        scale: start of the factor of the cosines.
        share_branches: one map for all decoder layers; else one for each.

    Raises:
        ValueError: there are not as many prompts as classes.
    """

    name = 'class_branches'
    predicts = ('logits',)
    tiny = dict(prompts=None)

    def __init__(
        self,
        text: dict,
        prompts: Sequence[str] | Mapping[str, str | Sequence[str]] | None = None,
        template: str = 'a {}',
        scale: float = 10.0,
        num_classes: int = 80,
        embed_dims: int = 256,
        num_layers: int = 6,
        share_branches: bool = True,
    ):
        super().__init__()
        if '{}' not in template:
            raise ValueError(f"template={template!r} has no '{{}}', where the name of a class goes")
        prompts = [f'class {number}' for number in range(num_classes)] if prompts is None else prompts
        if len(prompts) != num_classes:
            raise ValueError(f'{len(prompts)} prompts for num_classes={num_classes}; write one for each class')
        self.template, self.own = template, dict(prompts) if isinstance(prompts, Mapping) else {}
        encoder = MODELS.build(text)
        self.vocabulary = Vocabulary(encoder, self.prompts_of(prompts))
        copies = 1 if share_branches else num_layers
        made = (TextLogits(embed_dims, encoder.out_dims, self.vocabulary, scale) for _ in range(copies))
        self.layers = nn.ModuleList(made)

    def prompts_of(self, classes: Sequence[str]) -> list[Sequence[str]]:
        """The prompts of each class."""
        found = [self.own.get(name, self.template.format(name)) for name in classes]
        return [(each,) if isinstance(each, str) else each for each in found]

    def set_classes(self, classes: Sequence[str]) -> None:
        """Tell these apart from now on, in the order of their labels."""
        self.vocabulary.set(self.prompts_of(classes))

    def of(self, layer: int) -> nn.Module:
        """The net of a layer; what enters the first is read as the output of the first."""
        return self.layers[min(max(layer, 0), len(self.layers) - 1)]

    def forward(self, states: States, references: list[Tensor | None], memory: Memory) -> dict[str, Tensor]:
        return dict(logits=torch.stack([self.of(layer)(state) for layer, state in states]).float())
