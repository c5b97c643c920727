"""Unified query selection (Mask DINO, https://arxiv.org/abs/2206.02777, section 3.3): the head itself reads the tokens.

Differences from the official code, which ``as_published`` undoes: the smallest prior boxes belong to the finest level;
a box around a mask includes the mask's last pixel; where a mask is empty, the box proposed with it stays; tokens at the
border come last. See detector.py for padding.
"""

from functools import partial

import torch
from torch import Tensor, nn

from ...registry import MODELS
from ..queries import Proposals, best, priors, take
from ..roles import QuerySource
from ..structures import Memory, QueryGroup
from .masks import boxes_around, product

LOGIT_EPS = 1e-5  # the authors' code hands references on as logits, which this bounds


@MODELS.register_module()
class MaskQueries(QuerySource):
    """The tokens that look most like objects to the head: their content, and the boxes around their masks. All that
    the head reads from them is proposed.

    Args:
        boxes_from_masks: references are the boxes around the masks read from the tokens (section 3.4); else the boxes
            read from them.
        as_published: as the authors' code does, see above; the detector knows it.
        last_pixel: the box around a mask includes the mask's last pixel. None: unless as published; but for Swin-L the
            authors' code includes it, too.
    """

    coordinates, brings_positions, ranks = 4, False, True
    no_object = False  # tokens are ranked by sigmoids

    def __init__(
        self,
        num_queries: int = 300,
        embed_dims: int = 256,
        boxes_from_masks: bool = True,
        as_published: bool = False,
        last_pixel: bool | None = None,
    ):
        super().__init__()
        self.num_queries = num_queries
        self.boxes_from_masks = boxes_from_masks
        self.reads = ('kernels',) if boxes_from_masks else ()
        self.as_published = as_published
        self.last_pixel = not as_published if last_pixel is None else last_pixel
        self.output = nn.Linear(embed_dims, embed_dims)
        self.output_norm = nn.LayerNorm(embed_dims)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, memory: Memory, head: nn.Module) -> tuple[QueryGroup, Proposals]:
        anchors, usable = priors(memory, coarse_first=self.as_published)
        tokens = self.output_norm(self.output(memory.tokens.masked_fill(~usable[..., None], 0.0)))
        scores = head.class_branch(0)(tokens).max(-1).values.float()
        scores = scores if self.as_published else scores.masked_fill(~usable, -torch.inf)
        index = best(scores, self.num_queries)

        content, read = self._read(tokens, anchors, index, memory, head)
        more = partial(self._more, tokens, anchors, scores, memory, head)
        group = QueryGroup('match', content.detach(), self._reference(read, memory), more=more)
        return group, Proposals(read)

    def _read(
        self, tokens: Tensor, anchors: Tensor, index: Tensor, memory: Memory, head: nn.Module
    ) -> tuple[Tensor, dict]:
        """Content B N C and what the head says of the tokens number ``index``."""
        content = take(tokens, index)
        boxes = (head.box_branch(0)(content).float() + take(anchors, index)).sigmoid()
        return content, head.read([content], [boxes], memory)

    @torch.no_grad()
    def _reference(self, read: dict, memory: Memory) -> Tensor:
        (boxes,) = read['boxes']
        if not self.boxes_from_masks:
            return boxes.detach()
        masks, references = read['masks'], []
        for proposed, kernels, pixels, share in zip(boxes, masks.kernels[0], masks.pixels, memory.shares):
            around, found = boxes_around(product(kernels, pixels) > 0, share, self.last_pixel)
            without = self._without_mask(proposed) if self.as_published else proposed
            references.append(torch.where(found[:, None], around, without))
        references = torch.stack(references)
        return references.clamp(LOGIT_EPS, 1 - LOGIT_EPS) if self.as_published else references

    def _without_mask(self, proposed: Tensor) -> Tensor:
        """The authors' box around an empty mask: the last corner where their code takes minima and maxima of pixels,
        the first where it counts the last pixel; without size in both."""
        corner = 0.0 if self.last_pixel else 1.0
        return torch.cat([torch.full_like(proposed[:, :2], corner), torch.zeros_like(proposed[:, 2:])], dim=1)

    def _more(
        self, tokens: Tensor, anchors: Tensor, scores: Tensor, memory: Memory, head: nn.Module, num: int
    ) -> tuple[Tensor, Tensor, None]:
        """Content and references of the ``num`` next-best tokens; the decoder derives positions."""
        index = best(scores, self.num_queries + num)[:, self.num_queries :]
        content, read = self._read(tokens, anchors, index, memory, head)
        return content.detach(), self._reference(read, memory), None
