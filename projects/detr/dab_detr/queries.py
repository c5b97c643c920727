"""Learned anchor boxes as queries (DAB-DETR, https://arxiv.org/abs/2201.12329)."""

import torch
import torch.nn.functional as F
from mmdet.models.layers import inverse_sigmoid
from torch import Tensor, nn

from ...registry import MODELS
from ..roles import QuerySource
from ..structures import Memory, QueryGroup


@MODELS.register_module()
class AnchorQueries(QuerySource):
    """Each query is a box; the decoder derives its position from it.

    Args:
        num_queries: number of anchors.
        content: 'empty' (DAB-DETR), 'shared' (one learned vector, DN-DETR) or 'learned' (one for each anchor,
            DAB-Deformable-DETR).
        num_patterns: every anchor is queried with so many learned patterns added to its content, all anchors with the
            first one, then all with the second; 0 for no patterns.
        centres: 'learned', or spread evenly at random over the image and then 'fixed' ("fix-xy") or 'spread' (learned
            from there on, which is what the official code does where it means to fix them).
        indicator: the last channel of the content tells denoising queries from matching ones, and is 0 here.
        logit_eps: clamp of the inverse sigmoid.
    """

    coordinates, brings_positions = 4, False

    def __init__(
        self,
        num_queries: int = 300,
        embed_dims: int = 256,
        content: str = 'empty',
        num_patterns: int = 0,
        centres: str = 'learned',
        indicator: bool = False,
        logit_eps: float = 1e-3,
    ):
        super().__init__()
        vectors = dict(empty=0, shared=1, learned=num_queries)
        if content not in vectors:
            raise ValueError(f'content is one of {list(vectors)}, got {content!r}')
        if centres not in ('learned', 'fixed', 'spread'):
            raise ValueError(f"centres is one of ['learned', 'fixed', 'spread'], got {centres!r}")
        self.embed_dims, self.indicator = embed_dims, indicator
        self.copies = max(num_patterns, 1)
        self.content = nn.Embedding(vectors[content], embed_dims - indicator) if vectors[content] else None
        self.patterns = nn.Embedding(num_patterns, embed_dims) if num_patterns else None

        centre = torch.randn(num_queries, 2)
        if centres != 'learned':
            centre = inverse_sigmoid(torch.rand(num_queries, 2), logit_eps)
        if centres == 'fixed':
            self.register_buffer('centre', centre)
        else:
            self.centre = nn.Parameter(centre)
        self.size = nn.Parameter(torch.randn(num_queries, 2))

    def forward(self, memory: Memory, head: nn.Module) -> tuple[QueryGroup, None]:
        anchors = torch.cat([self.centre, self.size], dim=-1).sigmoid()
        content = self._content(anchors)
        if self.patterns is not None:
            content = (self.patterns.weight[:, None] + content).flatten(0, 1)
            anchors = anchors.repeat(self.patterns.num_embeddings, 1)
        batch = memory.tokens.shape[0]
        return QueryGroup('match', content.expand(batch, -1, -1), anchors.expand(batch, -1, -1)), None

    def _content(self, anchors: Tensor) -> Tensor:
        if self.content is None:
            return anchors.new_zeros(len(anchors), self.embed_dims)
        content = self.content.weight.expand(len(anchors), -1)
        return F.pad(content, (0, self.embed_dims - content.shape[-1]))  # the indicator
