"""Attention of the family: dense (DETR) and multi-scale deformable (Deformable DETR, section 4.1).

A self-attention part of the decoder is called as ``self_attn(content, pos, keep)``, a cross-attention part as
``cross_attn(content, pos, reference, memory)``; each takes what it needs of them.
"""

from torch import Tensor, nn

from ..layers.attention import MultiheadAttention
from ..layers.deformable import DeformableAttention
from ..registry import MODELS
from .roles import CrossAttention, SelfAttention
from .structures import Memory


def look_around(attn: DeformableAttention, query: Tensor, reference: Tensor, memory: Memory, tokens: Tensor) -> Tensor:
    """Deformable attention of queries B N C to tokens B S C of the memory's levels; reference B N 2 or B N 4, not yet
    scaled by the valid ratios."""
    return attn(query, tokens, memory.shapes, in_padded(reference, memory), memory.keep, memory.sizes)


def in_padded(reference: Tensor, memory: Memory) -> Tensor:
    """References B N 2|4 of the images -> B N L 2|4 of each level with its padding."""
    ratios = memory.valid_ratios[:, None]  # B 1 L 2
    return reference[:, :, None] * (ratios if reference.shape[-1] == 2 else ratios.repeat(1, 1, 1, 2))


@MODELS.register_module()
class DenseSelfAttention(MultiheadAttention, SelfAttention):
    """Every query looks at those it may see; positions are added to queries and keys (DETR)."""

    position_width = 1

    def forward(self, content: Tensor, pos: Tensor, keep: Tensor | None) -> Tensor:
        query = content + pos
        return super().forward(query, query, content, keep)


@MODELS.register_module()
class DenseCrossAttention(CrossAttention):
    """Every query looks at every token; positions are added to queries and keys (DETR)."""

    position_width = 1
    compares = True

    def __init__(self, embed_dims: int, num_heads: int = 8, dropout: float = 0.0):
        super().__init__()
        self.attn = MultiheadAttention(embed_dims, num_heads, dropout)

    def forward(self, content: Tensor, pos: Tensor, reference: Tensor | None, memory: Memory) -> Tensor:
        return self.attn(content + pos, memory.tokens + memory.pos, memory.tokens, keep_tokens(memory))

    def project(self, content: Tensor, pos: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """Query B N C, key and value B S C, for attention that adds something of its own to their products."""
        return self.attn.project(content + pos, memory.tokens + memory.pos, memory.tokens)

    @property
    def out_proj(self) -> nn.Module:
        return self.attn.out_proj

    def weights(self, content: Tensor, pos: Tensor, reference: Tensor | None, memory: Memory) -> Tensor:
        """B heads N S, for pictures."""
        return self.attn.weights(content + pos, memory.tokens + memory.pos, keep_tokens(memory))


@MODELS.register_module()
class DeformableCrossAttention(CrossAttention):
    """Every query samples the levels around its reference point or box (Deformable DETR)."""

    position_width = 1
    needs_reference = True

    def __init__(self, embed_dims: int, num_heads: int = 8, num_levels: int = 4, num_points: int = 4):
        super().__init__()
        self.attn = DeformableAttention(embed_dims, num_heads, num_levels, num_points)

    def forward(self, content: Tensor, pos: Tensor, reference: Tensor | None, memory: Memory) -> Tensor:
        if reference is None:
            raise ValueError(
                'DeformableCrossAttention needs references to sample around, and the queries bring none; '
                'take PointQueries or TopKQueries, or DenseCrossAttention'
            )
        return look_around(self.attn, content + pos, reference, memory, memory.tokens)

    def samples(self, content: Tensor, pos: Tensor, reference: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Sampling locations and weights, for pictures; see :meth:`DeformableAttention.samples`."""
        return self.attn.samples(content + pos, in_padded(reference, memory), memory.sizes)


def keep_tokens(memory: Memory) -> Tensor | None:
    """B 1 1 S: which tokens may be looked at; None when all may."""
    return None if memory.keep is None else memory.keep[:, None, None]


def feed_forward(embed_dims: int, ffn_channels: int, act_cfg: dict, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(embed_dims, ffn_channels),
        MODELS.build(act_cfg),
        nn.Dropout(dropout),
        nn.Linear(ffn_channels, embed_dims),
    )


def xavier_init(module: nn.Module):
    """Xavier on every matrix, then the deformable attentions again, whose start is part of the method."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
    for child in module.modules():
        if isinstance(child, DeformableAttention):
            child.reset_parameters()
