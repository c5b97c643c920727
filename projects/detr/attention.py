"""Attention of the family: dense (DETR) and multi-scale deformable (Deformable DETR, section 4.1).

A self-attention part of the decoder is called as ``self_attn(content, pos, keep)``, a cross-attention part as
``cross_attn(content, pos, reference, memory)``; each takes what it needs of them.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.deform_attn.fused import ms_deform_attn_fused, samples
from ..registry import MODELS
from .structures import Memory


def attend(
    query: Tensor, key: Tensor, value: Tensor, num_heads: int, keep: Tensor | None, dropout: float = 0.0
) -> Tensor:
    """Fused attention of what is projected already: query B N C, key B S C, value B S D -> B N D.

    Args:
        keep: bool, broadcast to B heads N S, True where attention is allowed; None where all is.
    """
    heads = [split_heads(x, num_heads) for x in (query, key, value)]
    return F.scaled_dot_product_attention(*heads, attn_mask=keep, dropout_p=dropout).transpose(1, 2).flatten(2)


def attention_map(query: Tensor, key: Tensor, num_heads: int, keep: Tensor | None) -> Tensor:
    """B heads N S: the weights that :func:`attend` gives to the values, for pictures."""
    query, key = split_heads(query, num_heads), split_heads(key, num_heads)
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    return (scores if keep is None else scores.masked_fill(~keep, -math.inf)).softmax(-1)


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """B N C -> B heads N C/heads."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


class MultiheadAttention(nn.Module):
    """Multi-head attention with the parameters of ``nn.MultiheadAttention``, always fused, never returning weights."""

    def __init__(self, embed_dims: int, num_heads: int = 8, dropout: float = 0.0):
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(f'embed_dims {embed_dims} is not a multiple of num_heads {num_heads}')
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * embed_dims, embed_dims))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dims))
        self.out_proj = nn.Linear(embed_dims, embed_dims)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, keep: Tensor | None = None) -> Tensor:
        """query B N C, key and value B S C; keep: bool, broadcast to B heads N S, True where attention is allowed."""
        dropout = self.dropout if self.training else 0.0
        return self.out_proj(attend(*self.project(query, key, value), self.num_heads, keep, dropout))

    def weights(self, query: Tensor, key: Tensor, keep: Tensor | None = None) -> Tensor:
        """B heads N S: the attention map itself, for pictures."""
        query, key, _ = self.project(query, key, key)
        return attention_map(query, key, self.num_heads, keep)

    def project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        dims = query.shape[-1]
        if query is key:
            query, key = F.linear(query, self.in_proj_weight[: 2 * dims], self.in_proj_bias[: 2 * dims]).chunk(2, -1)
        else:
            query = F.linear(query, self.in_proj_weight[:dims], self.in_proj_bias[:dims])
            key = F.linear(key, self.in_proj_weight[dims : 2 * dims], self.in_proj_bias[dims : 2 * dims])
        return query, key, F.linear(value, self.in_proj_weight[2 * dims :], self.in_proj_bias[2 * dims :])


class DeformableAttention(nn.Module):
    """Each query looks at a few sampled points around its reference, in every level."""

    def __init__(self, embed_dims: int, num_heads: int = 8, num_levels: int = 4, num_points: int = 4):
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(f'embed_dims {embed_dims} is not a multiple of num_heads {num_heads}')
        self.num_heads, self.num_levels, self.num_points = num_heads, num_levels, num_points
        self.sampling_offsets = nn.Linear(embed_dims, num_heads * num_levels * num_points * 2)
        self.attention_weights = nn.Linear(embed_dims, num_heads * num_levels * num_points)
        self.value_proj = nn.Linear(embed_dims, embed_dims)
        self.output_proj = nn.Linear(embed_dims, embed_dims)
        self.reset_parameters()

    def reset_parameters(self):
        """Points start on a ring: one direction for each head, one radius (in cells) for each point."""
        angles = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        ring = torch.stack([angles.cos(), angles.sin()], dim=-1)
        ring = ring / ring.abs().max(dim=-1, keepdim=True).values
        radius = torch.arange(1, self.num_points + 1)[:, None]
        bias = (ring[:, None, None] * radius).expand(-1, self.num_levels, -1, -1)
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(bias.reshape(-1))
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for linear in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, query: Tensor, reference: Tensor, memory: Memory, tokens: Tensor) -> Tensor:
        """query B N C; reference B N 2 or B N 4, not yet scaled by the valid ratios; tokens B S C."""
        value = self.value_proj(tokens)
        if memory.keep is not None:
            value = value.masked_fill(~memory.keep[..., None], 0.0)
        value = value.unflatten(-1, (self.num_heads, -1))
        return self.output_proj(ms_deform_attn_fused(value, memory.shapes, *self._look(query, reference, memory)))

    def samples(self, query: Tensor, reference: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Where each query looks and how much: (B N heads levels points 2 in [0, 1] of the padded map; same without 2).

        Locations are float32 whatever the autocast: a half has no room for a third of a pixel on a large map.
        """
        return samples(*self._look(query, reference, memory))

    def _look(self, query: Tensor, reference: Tensor, memory: Memory) -> tuple[Tensor, ...]:
        """The centre that each query looks around, how far an offset of one reaches, offsets, and logits of weights."""
        grid = (self.num_heads, self.num_levels, self.num_points)
        offsets = self.sampling_offsets(query).unflatten(-1, (*grid, 2))
        logits = self.attention_weights(query).unflatten(-1, grid)

        ratios = memory.valid_ratios[:, None]  # B 1 levels 2
        centre = reference[:, :, None, :2] * ratios
        if reference.shape[-1] == 2:
            return centre, 1 / memory.sizes, offsets, logits
        return centre, reference[:, :, None, 2:] * ratios * (0.5 / self.num_points), offsets, logits


@MODELS.register_module()
class DenseSelfAttention(MultiheadAttention):
    """Every query looks at those it may see; positions are added to queries and keys (DETR)."""

    position_width = 1

    def forward(self, content: Tensor, pos: Tensor, keep: Tensor | None) -> Tensor:
        query = content + pos
        return super().forward(query, query, content, keep)


@MODELS.register_module()
class DenseCrossAttention(nn.Module):
    """Every query looks at every token; positions are added to queries and keys (DETR)."""

    position_width = 1

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
class DeformableCrossAttention(nn.Module):
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
        return self.attn(content + pos, reference, memory, memory.tokens)

    def samples(self, content: Tensor, pos: Tensor, reference: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Sampling locations and weights, for pictures; see :meth:`DeformableAttention.samples`."""
        return self.attn.samples(content + pos, reference, memory)


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
