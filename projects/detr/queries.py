"""Query sources: where the matching queries come from.

Called as ``queries(memory, head)``; returns the group 'match' and, where tokens are classified to choose them, the
encoder's :class:`Proposals`, to be trained beside the decoder's predictions; else None.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..registry import MODELS
from .boxes import sine_xywh
from .branches import box_branch, class_branch
from .roles import QuerySource
from .structures import Memory, PredictionSet, QueryGroup, Targets, Training


@dataclass
class Proposals:
    """The encoder's own predictions, as a head's of one layer; class-agnostic ones know only class 0."""

    predictions: dict[str, Any]
    class_agnostic: bool = False

    @property
    def logits(self) -> Tensor:
        """B N K."""
        return self.predictions['logits'][0]

    @property
    def boxes(self) -> Tensor:
        """B N 4."""
        return self.predictions['boxes'][0]

    def as_set(self, targets: Targets) -> PredictionSet:
        return PredictionSet(
            Training('enc'), self.predictions, targets.class_agnostic() if self.class_agnostic else targets
        )


@MODELS.register_module()
class LearnedQueries(QuerySource):
    """DETR's: a learned position each, empty content, no reference."""

    coordinates, brings_positions = 0, True

    def __init__(self, num_queries: int = 100, embed_dims: int = 256):
        super().__init__()
        self.pos = nn.Embedding(num_queries, embed_dims)

    def forward(self, memory: Memory, head: nn.Module) -> tuple[QueryGroup, None]:
        pos = self.pos.weight.expand(memory.tokens.shape[0], -1, -1)
        return QueryGroup('match', torch.zeros_like(pos), pos=pos), None


@MODELS.register_module()
class PointQueries(QuerySource):
    """Deformable DETR's: learned content and position; a reference point is read from the position."""

    coordinates, brings_positions = 2, True

    def __init__(self, num_queries: int = 300, embed_dims: int = 256):
        super().__init__()
        self.content = nn.Embedding(num_queries, embed_dims)
        self.pos = nn.Embedding(num_queries, embed_dims)
        self.point = nn.Linear(embed_dims, 2)
        nn.init.xavier_uniform_(self.point.weight)
        nn.init.zeros_(self.point.bias)

    def forward(self, memory: Memory, head: nn.Module) -> tuple[QueryGroup, None]:
        batch = memory.tokens.shape[0]
        content, pos = (part.weight.expand(batch, -1, -1) for part in (self.content, self.pos))
        return QueryGroup('match', content, self.point(pos).float().sigmoid(), pos), None


@MODELS.register_module()
class TopKQueries(QuerySource):
    """The tokens that look most like objects, with the boxes proposed there as references (two-stage, DINO).

    Where the batch has fewer tokens than ``num_queries``, all are taken.

    Args:
        mixed_selection: content is learned and only the boxes come from the tokens (DINO, section 3.4); else the
            content is read from the proposed box too (Deformable DETR, appendix A.5).
        embed_boxes: positions are read from the proposed boxes; else the decoder derives them from its references.
        class_agnostic: choose by class 0 alone and train all tokens to tell objects from background (Deformable
            DETR); else choose by the best class and train the chosen ones (DINO).
        select_padding: let tokens on padding and at the very border compete as well, as the official codes do
            (they share one constant score). By default they come last.
        content_std: spread of learned content at the start (H-DETR, Co-DETR: 1); None: Xavier (DINO).
    """

    coordinates, ranks = 4, True
    proposes = ()  # beside classes and boxes
    no_object = False  # tokens are classified by sigmoids

    def __init__(
        self,
        num_queries: int = 300,
        embed_dims: int = 256,
        num_classes: int = 80,
        mixed_selection: bool = False,
        embed_boxes: bool = True,
        class_agnostic: bool = True,
        select_padding: bool = False,
        content_std: float | None = None,
    ):
        super().__init__()
        if not (mixed_selection or embed_boxes):
            raise ValueError(
                'TopKQueries has no content: give mixed_selection=True (learned) or embed_boxes=True '
                '(read from the proposed boxes)'
            )
        self.brings_positions = embed_boxes
        self.num_queries = num_queries
        self.mixed_selection = mixed_selection
        self.class_agnostic = class_agnostic
        self.select_padding = select_padding
        self.embed_dims = embed_dims
        self.output = nn.Linear(embed_dims, embed_dims)
        self.output_norm = nn.LayerNorm(embed_dims)
        self.class_branch = class_branch(embed_dims, num_classes)
        self.box_branch = box_branch(embed_dims)
        self.content = nn.Embedding(num_queries, embed_dims) if mixed_selection else None
        self.embed = nn.Linear(2 * embed_dims, 2 * embed_dims) if embed_boxes else None
        self.embed_norm = nn.LayerNorm(2 * embed_dims) if embed_boxes else None
        for linear in filter(None, (self.output, self.content, self.embed)):
            nn.init.xavier_uniform_(linear.weight)
        if mixed_selection and content_std is not None:
            nn.init.normal_(self.content.weight, std=content_std)

    def forward(self, memory: Memory, head: nn.Module) -> tuple[QueryGroup, Proposals]:
        tokens, anchors, usable = self._candidates(memory)
        logits = self.class_branch(tokens).float()  # losses and ranking in float32 whatever the autocast
        scores = self._scores(logits, usable)
        index = best(scores, self.num_queries)

        chosen = [take(part, index) for part in (tokens, anchors, logits)]
        boxes = self._boxes(chosen[0], chosen[1])
        content, pos = self._embed(boxes.detach())
        group = QueryGroup('match', content, boxes.detach(), pos, more=partial(self._more, tokens, anchors, scores))

        if self.class_agnostic and self.training:
            boxes = self._boxes(tokens, anchors)
        else:
            logits = chosen[2]
        return group, Proposals(dict(logits=logits[None], boxes=boxes[None]), self.class_agnostic)

    def _candidates(self, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens B S C, the logit of each one's prior box B S 4 (inf where it is unusable), and usable B S."""
        anchors, usable = priors(memory)
        tokens = memory.tokens.masked_fill(~usable[..., None], 0.0)
        return self.output_norm(self.output(tokens)), anchors, usable

    def _scores(self, logits: Tensor, usable: Tensor) -> Tensor:
        """B S: what tokens are ranked by."""
        scores = logits[..., 0] if self.class_agnostic else logits.max(-1).values
        return scores if self.select_padding else scores.masked_fill(~usable, -torch.inf)

    def _more(self, tokens: Tensor, anchors: Tensor, scores: Tensor, num: int) -> tuple[Tensor | None, ...]:
        """Content, boxes and positions of the ``num`` next-best tokens; content is None where ours is learned."""
        index = best(scores, self.num_queries + num)[:, self.num_queries :]
        with torch.no_grad():
            boxes = self._boxes(take(tokens, index), take(anchors, index))
        content, pos = self._read(boxes)
        return content if self.content is None else None, boxes, pos

    def _boxes(self, tokens: Tensor, anchors: Tensor) -> Tensor:
        return (self.box_branch(tokens).float() + anchors).sigmoid()

    def _embed(self, boxes: Tensor) -> tuple[Tensor, Tensor | None]:
        content, pos = self._read(boxes)
        if self.content is not None:
            content = self.content.weight[: boxes.shape[1]].expand(boxes.shape[0], -1, -1)
        return content, pos

    def _read(self, boxes: Tensor) -> tuple[Tensor | None, Tensor | None]:
        if self.embed is None:
            return None, None
        pos, content = self.embed_norm(self.embed(sine_xywh(boxes, self.embed_dims))).chunk(2, dim=-1)
        return content, pos


def priors(memory: Memory, coarse_first: bool = False) -> tuple[Tensor, Tensor]:
    """The logit of the box that every token starts from, B S 4 (inf where it is unusable), and usable, B S bool.

    Args:
        coarse_first: the smallest boxes belong to the coarsest level, and not to the finest.
    """
    levels = list(enumerate(reversed(memory.shapes) if coarse_first else memory.shapes))
    sizes = [torch.full((h * w,), 0.05 * 2**level) for level, (h, w) in levels]
    sizes = torch.cat(sizes[::-1] if coarse_first else sizes).to(memory.tokens.device, non_blocking=True)
    sizes = sizes[None, :, None].expand(memory.tokens.shape[0], -1, 2)
    prior = torch.cat([memory.centres.expand(memory.tokens.shape[0], -1, -1), sizes], dim=-1)
    usable = ((prior > 0.01) & (prior < 0.99)).all(-1)
    if memory.keep is not None:
        usable = usable & memory.keep
    return torch.log(prior / (1 - prior)).masked_fill(~usable[..., None], torch.inf), usable


def best(scores: Tensor, num: int) -> Tensor:
    """B S -> B N: the places of the ``num`` highest, or of all where there are fewer."""
    return scores.topk(min(num, scores.shape[1]), dim=1).indices


def take(tokens: Tensor, index: Tensor) -> Tensor:
    """B S * and B N -> B N *."""
    return tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[-1]))
