"""Conditional attention of DAB-DETR: content and position are projected apart; anchors say where to look.

DAB-DETR (https://arxiv.org/abs/2201.12329), after Conditional DETR. The three parts go together: the position part
gives each query two vectors, its position among the queries and its spatial query, which points at places of the image.
The official code does not guard the division by the anchor's size; here sizes below 1e-4 count as 1e-4.
"""

import torch
from mmdet.models.layers import MLP
from torch import Tensor, nn

from ...layers.attention import attend, attention_map
from ...registry import MODELS
from ..attention import keep_tokens
from ..boxes import sine_yxwh
from ..roles import CrossAttention, PositionSource, SelfAttention
from ..structures import Memory

SMALLEST = 1e-4  # of the image's side; keeps the modulation within the range of float16


@MODELS.register_module()
class ConditionalPosition(PositionSource):
    """B N 2C from anchors: query positions, then spatial queries.

    A spatial query holds the sines of the anchor's y and x, scaled by a net of the content (not in the first layer) and
    stretched by the ratio of the size that the content asks for to that of the anchor (section 4.4): a flat anchor
    looks along its length.
    """

    position_width = 2

    def __init__(self, embed_dims: int):
        super().__init__()
        self.embed_dims = embed_dims
        self.net = MLP(2 * embed_dims, embed_dims, embed_dims, num_layers=2)
        self.scale = MLP(embed_dims, embed_dims, embed_dims, num_layers=2)
        self.size = MLP(embed_dims, embed_dims, 2, num_layers=2)

    def forward(self, reference: Tensor, memory: Memory, content: Tensor, layer: int) -> Tensor:
        """reference B N 4; content B N C that enters decoder layer number ``layer``."""
        sines = sine_yxwh(reference, self.embed_dims)
        spatial = sines[..., : self.embed_dims]  # y, then x
        if layer > 0:
            spatial = spatial * self.scale(content)

        ratio = self.size(content).float().sigmoid() / reference[..., 2:].clamp(min=SMALLEST)  # w, h
        ratio = ratio.flip(-1).repeat_interleave(self.embed_dims // 2, dim=-1)
        return torch.cat([self.net(sines), spatial * ratio], dim=-1)


@MODELS.register_module()
class ConditionalSelfAttention(SelfAttention):
    """Queries and keys are sums of projected content and projected position."""

    position_width, gates = 2, True

    def __init__(self, embed_dims: int, num_heads: int = 8, dropout: float = 0.0):
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        for name in ('query_content', 'query_pos', 'key_content', 'key_pos', 'value', 'out_proj'):
            self.add_module(name, nn.Linear(embed_dims, embed_dims))
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, content: Tensor, pos: Tensor, keep: Tensor | None) -> Tensor:
        """content B N C; pos B N 2C, of which the first half is used."""
        key = self.key_content(content) + self.key_pos(halves(content, pos)[0])
        dropout = self.dropout if self.training else 0.0
        query, value = self.query(content, pos), self.value(content)
        return self.out_proj(attend(query, key, value, self.num_heads, keep, dropout))

    def query(self, content: Tensor, pos: Tensor) -> Tensor:
        """B N C."""
        return self.query_content(content) + self.query_pos(halves(content, pos)[0])


@MODELS.register_module()
class ConditionalCrossAttention(CrossAttention):
    """In every head, content meets content and spatial query meets position of the token.

    Args:
        layer: number of the decoder layer; in the first one positions join the contents as well.
    """

    position_width, compares = 2, True

    def __init__(self, embed_dims: int, num_heads: int = 8, dropout: float = 0.0, layer: int = 0):
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        for name in ('query_content', 'query_spatial', 'key_content', 'key_pos', 'value', 'out_proj'):
            self.add_module(name, nn.Linear(embed_dims, embed_dims))
        self.query_pos = nn.Linear(embed_dims, embed_dims) if layer == 0 else None
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, content: Tensor, pos: Tensor, reference: Tensor | None, memory: Memory) -> Tensor:
        """content B N C; pos B N 2C."""
        dropout = self.dropout if self.training else 0.0
        projected = self.project(content, pos, memory)
        return self.out_proj(attend(*projected, self.num_heads, keep_tokens(memory), dropout))

    def weights(self, content: Tensor, pos: Tensor, reference: Tensor | None, memory: Memory) -> Tensor:
        """B heads N S, for pictures."""
        query, key, _ = self.project(content, pos, memory)
        return attention_map(query, key, self.num_heads, keep_tokens(memory))

    def project(self, content: Tensor, pos: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """Query B N 2C, key B S 2C, value B S C."""
        pos, spatial = halves(content, pos)
        query, key = self.query_content(content), self.key_content(memory.tokens)
        key_pos = self.key_pos(memory.pos.to(memory.tokens.dtype))
        if self.query_pos is not None:
            query, key = query + self.query_pos(pos), key + key_pos
        query, key = self._join(query, self.query_spatial(spatial)), self._join(key, key_pos)
        return query, key, self.value(memory.tokens)

    def _join(self, content: Tensor, pos: Tensor) -> Tensor:
        """Two B N C -> B N 2C, side by side in each head."""
        return torch.cat([x.unflatten(-1, (self.num_heads, -1)) for x in (content, pos)], dim=-1).flatten(2)


def halves(content: Tensor, pos: Tensor) -> tuple[Tensor, Tensor]:
    """Query positions and spatial queries, each B N C."""
    if pos.shape[-1] != 2 * content.shape[-1]:
        raise ValueError(
            f'conditional attention takes {2 * content.shape[-1]} channels of position, got '
            f"{pos.shape[-1]}; give the decoder `position=dict(type='mmparts.ConditionalPosition')` and "
            'take queries and groups that bring no positions of their own'
        )
    return pos.chunk(2, dim=-1)
