"""Which tokens the student does not see: ``masking(state, inputs, before) -> hidden``, B N, bool, the class token's
place included and never True.

Paper: https://arxiv.org/abs/2305.11172, section 3.2. Code: OFA-Sys/ONE-PEACE. ``before`` is what is hidden where the
modality is seen alone; a pass of two modalities hides other tokens.
"""

import math

import torch
from torch import Tensor

from ...registry import MODELS
from ..roles import Part
from ..states import State
from .adapters import Waves


class TokenMasking(Part):
    """Base.

    Args:
        share: of the tokens that is hidden.
    """

    def __init__(self, share: float, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if not 0 < share < 1:
            raise ValueError(f'share={share} must lie between 0 and 1')
        self.share = share

    def forward(self, state: State, inputs, before: Tensor | None = None) -> Tensor:
        raise NotImplementedError


def drawn(may: Tensor, count: Tensor | int) -> Tensor:
    """B N, True for so many of the tokens that may be, by chance."""
    order = torch.rand(may.shape, device=may.device).masked_fill(~may, 2.0).argsort(1).argsort(1)
    count = torch.as_tensor(count, device=may.device).expand(len(may))
    return may & (order < count[:, None])


@MODELS.register_module()
class TextMasking(TokenMasking):
    """Of a text alone, ``ceil(share * words)`` whole words; beside another modality, ``floor(share * tokens)`` of the
    tokens that the text alone shows. The end is never hidden."""

    def __init__(self, share: float = 0.15, init_cfg: dict | None = None):
        super().__init__(share, init_cfg)

    def forward(self, state: State, inputs, before: Tensor | None = None) -> Tensor:
        words = inputs.words
        if words is None:
            raise ValueError(f'{type(self).__name__}: the texts do not say which pieces are one word')
        may = inputs.keep & (words >= 0)
        if before is None:
            hidden = self.whole_words(may, words)
        else:
            count = (may.sum(1) * self.share).floor().long()
            hidden = drawn(may & ~before[:, 1:], count)
        return torch.nn.functional.pad(hidden, (1, 0), value=False)

    def whole_words(self, may: Tensor, words: Tensor) -> Tensor:
        first = may.clone()
        first[:, 1:] &= ~may[:, :-1] | (words[:, 1:] != words[:, :-1])
        chosen = drawn(first, (first.sum(1) * self.share).ceil().long())
        group = first.cumsum(1)  # number of the word that a piece belongs to, from 1
        picked = torch.zeros_like(group).scatter_add(1, group, chosen.long()) > 0
        return picked.gather(1, group) & may


@MODELS.register_module()
class PatchMasking(TokenMasking):
    """``int(share * patches)`` patches; beside another modality all that the image alone shows, and so many of the
    others that the number is right."""

    def __init__(self, share: float = 0.75, init_cfg: dict | None = None):
        super().__init__(share, init_cfg)

    def forward(self, state: State, inputs, before: Tensor | None = None) -> Tensor:
        patches = torch.ones(len(state.tokens), state.tokens.shape[1] - 1, dtype=torch.bool, device=state.tokens.device)
        count = int(self.share * patches.shape[1])
        if before is None:
            hidden = drawn(patches, count)
        else:
            shown = ~before[:, 1:]
            if int(shown.sum(1).max()) > count:
                raise ValueError(
                    f'the image alone shows {int(shown.sum(1).max())} of {patches.shape[1]} patches, more than the '
                    f'{count} that share={self.share} hides beside a text; both shares together should reach 1'
                )
            hidden = shown | drawn(~shown, count - shown.sum(1))
        return torch.nn.functional.pad(hidden, (1, 0), value=False)


@MODELS.register_module()
class SpanMasking(TokenMasking):
    """Spans of frames until a share is hidden, the number exact.

    Args:
        length: frames of a span.
    """

    def __init__(self, share: float = 0.55, length: int = 5, init_cfg: dict | None = None):
        super().__init__(share, init_cfg)
        self.length = length

    def forward(self, state: State, inputs: Waves, before: Tensor | None = None) -> Tensor:
        count = state.tokens.shape[1]
        keep = torch.ones(len(state.tokens), count, dtype=torch.bool) if state.keep is None else state.keep.cpu()
        rows = [self.one(int(frames)) for frames in keep[:, 1:].sum(1)]
        hidden = torch.zeros(len(rows), count, dtype=torch.bool)
        for row, each in enumerate(rows):
            hidden[row, 1 : 1 + len(each)] = each
        return hidden.to(state.tokens.device)

    def one(self, frames: int) -> Tensor:
        """frames: ``int(share * frames)`` are True, in spans; at least one, and never all."""
        wanted = min(max(1, int(self.share * frames)), max(1, frames - 1))
        hidden = torch.zeros(frames, dtype=torch.bool)
        starts = torch.randperm(max(1, frames - self.length + 1)).tolist()
        for start in starts[: math.ceil(4 * frames / self.length)]:
            if hidden.sum() >= wanted:
                break
            hidden[start : start + self.length] = True
        hidden[hidden.nonzero()[wanted:, 0]] = False  # the last span is cut where it is too long
        left = (~hidden).nonzero()[:, 0]
        lacking = wanted - int(hidden.sum())
        hidden[left[torch.randperm(len(left))[:lacking]]] = lacking > 0
        return hidden
