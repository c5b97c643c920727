"""Multi-head attention of tokens: self or cross, with one additive tensor for masks and biases.

"Attention is all you need" (https://arxiv.org/abs/1706.03762), on torch's fused kernels. With all three biases the
parameters are those of ``nn.MultiheadAttention``.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.biased_attention import biased_attention

Rotate = Callable[[Tensor], Tensor]


def attend(
    query: Tensor, key: Tensor, value: Tensor, num_heads: int, bias: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """Fused attention of what is projected already: query B N C, key B S C, value B S D -> B N D.

    Args:
        bias: broadcast to B heads N S: numbers added to the logits, or bool, True where attention is allowed; None
            where all is. A learned one of the shape heads N N has a fast backward pass of its own.
    """
    heads = [split_heads(x, num_heads) for x in (query, key, value)]
    return _fused(*heads, bias, dropout).transpose(1, 2).flatten(2)


def _fused(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float) -> Tensor:
    """The same of B heads N d."""
    if bias is not None and bias.ndim == 3 and bias.requires_grad and not dropout:
        return biased_attention(query, key, value, bias)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)


def attention_map(query: Tensor, key: Tensor, num_heads: int, bias: Tensor | None = None) -> Tensor:
    """B heads N S: the weights that :func:`attend` gives to the values, for pictures."""
    query, key = split_heads(query, num_heads), split_heads(key, num_heads)
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if bias is not None:
        scores = scores.masked_fill(~bias, -math.inf) if bias.dtype == torch.bool else scores + bias
    return scores.softmax(-1)


class KeyValues:
    """Keys and values of one attention that are kept while a text is written token by token.

    Args:
        grows: self-attention, where each call adds its tokens; False: cross-attention, whose first call makes them for
            all that follow.

    Attributes:
        keys, values: B heads S d; None before the first call.
    """

    def __init__(self, grows: bool = True):
        self.grows = grows
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    @property
    def length(self) -> int:
        """Tokens that are kept."""
        return 0 if self.keys is None else self.keys.shape[2]

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values, those of earlier calls first."""
        if self.keys is not None:
            keys, values = torch.cat([self.keys, keys], dim=2), torch.cat([self.values, values], dim=2)
        self.keys, self.values = keys, values
        return keys, values

    def select(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order: what a beam search goes on with. What does not grow is shared by
        all beams of an item, and stays."""
        if self.grows and self.keys is not None:
            self.keys, self.values = self.keys[rows], self.values[rows]

    def shorten(self, length: int) -> None:
        """Keep the first tokens only."""
        self.keys, self.values = self.keys[:, :, :length], self.values[:, :, :length]


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """B N C -> B heads N C/heads."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


class MultiheadAttention(nn.Module):
    """Attention with its projections; self-attention where no key is given.

    Args:
        embed_dims: channels of the queries and of the output.
        num_heads: must divide ``qk_dims`` and ``v_dims``.
        dropout: of the attention weights, in training.
        kv_dims: channels of keys and values, where they are others than those of the queries; then the projections are
            ``q_proj``, ``k_proj`` and ``v_proj`` instead of one ``in_proj_weight``.
        qk_dims, v_dims: channels that queries and keys, and values, are projected to (default: ``embed_dims``).
        biases: whether the projections of queries, keys and values have a bias; one bool for all.
        out_bias: the same of the output projection.
        inner_norm: norm of the heads' joined output before its projection (sub-LN of BEiT-3), as a module.

    Raises:
        ValueError: the heads do not divide the channels.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int = 8,
        dropout: float = 0.0,
        kv_dims: int | None = None,
        qk_dims: int | None = None,
        v_dims: int | None = None,
        biases: bool | Sequence[bool] = True,
        out_bias: bool = True,
        inner_norm: nn.Module | None = None,
    ):
        super().__init__()
        qk_dims, v_dims = qk_dims or embed_dims, v_dims or embed_dims
        for name, dims in (('embed_dims' if qk_dims == embed_dims else 'qk_dims', qk_dims), ('v_dims', v_dims)):
            if dims % num_heads:
                raise ValueError(f'{name} {dims} is not a multiple of num_heads {num_heads}')
        self.num_heads, self.dropout = num_heads, dropout
        self.widths = (qk_dims, qk_dims, v_dims)
        self.has = (biases,) * 3 if isinstance(biases, bool) else tuple(biases)
        self.fused = kv_dims in (None, embed_dims)
        if self.fused:
            self.in_proj_weight = nn.Parameter(torch.empty(sum(self.widths), embed_dims))
            self._add_biases()
            nn.init.xavier_uniform_(self.in_proj_weight)
        else:
            sources = (embed_dims, kv_dims, kv_dims)
            for name, source, width, has in zip('qkv', sources, self.widths, self.has):
                self.add_module(f'{name}_proj', nn.Linear(source, width, bias=has))
        self.inner_norm = inner_norm if inner_norm is not None else nn.Identity()
        self.out_proj = nn.Linear(v_dims, embed_dims, bias=out_bias)
        if out_bias:
            nn.init.zeros_(self.out_proj.bias)

    def _add_biases(self):
        """``in_proj_bias`` where all three have one, else ``q_bias``, ``k_bias``, ``v_bias`` of those that do."""
        self.in_proj_bias = nn.Parameter(torch.zeros(sum(self.widths))) if all(self.has) else None
        for name, width, has in zip('qkv', self.widths, self.has):
            own = has and not all(self.has)
            self.register_parameter(f'{name}_bias', nn.Parameter(torch.zeros(width)) if own else None)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        bias: Tensor | None = None,
        rotate: Rotate | None = None,
        past: KeyValues | None = None,
    ) -> Tensor:
        """query B N C; key B S C', the query by default; value B S C', the key by default -> B N C.

        Args:
            bias: see :func:`attend`; with ``past``, over all keys.
            rotate: applied to queries and keys, B heads N d (rotary positions); for self-attention.
            past: keys and values of earlier calls, which these add to or, where they do not grow, take instead of
                those of ``key``.
        """
        if past is not None and not past.grows and past.length:
            heads = [split_heads(self.project_query(query), self.num_heads), past.keys, past.values]
        else:
            heads = [split_heads(x, self.num_heads) for x in self.project(query, key, value)]
            if rotate is not None:
                heads[:2] = rotate(heads[0]), rotate(heads[1])
            if past is not None:
                heads[1:] = past.extend(heads[1], heads[2])
        out = _fused(*heads, bias, self.dropout if self.training else 0.0)
        return self.out_proj(self.inner_norm(out.transpose(1, 2).flatten(2)))

    def weights(self, query: Tensor, key: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """B heads N S: the attention map itself, for pictures."""
        query, key, _ = self.project(query, key, key)
        return attention_map(query, key, self.num_heads, bias)

    def project(self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None) -> tuple[Tensor, ...]:
        """Queries, keys and values, each B N C, before they are split into heads."""
        key = query if key is None else key
        value = key if value is None else value
        if not self.fused:
            return self.q_proj(query), self.k_proj(key), self.v_proj(value)

        weight, bias = self.in_proj_weight, self._bias()
        runs = _runs((query, key, value), self.widths)
        parts = []
        for source, start, widths in runs:
            stop = start + sum(widths)
            out = F.linear(source, weight[start:stop], None if bias is None else bias[start:stop])
            parts += out.split(widths, dim=-1) if len(widths) > 1 else [out]
        return tuple(parts)

    def project_query(self, query: Tensor) -> Tensor:
        """The queries alone, B N C."""
        if not self.fused:
            return self.q_proj(query)
        bias, width = self._bias(), self.widths[0]
        return F.linear(query, self.in_proj_weight[:width], None if bias is None else bias[:width])

    def _bias(self) -> Tensor | None:
        if self.in_proj_bias is not None or not any(self.has):
            return self.in_proj_bias
        biases = (self.q_bias, self.k_bias, self.v_bias)
        zeros = (self.in_proj_weight.new_zeros(width) for width in self.widths)
        return torch.cat([zero if each is None else each for each, zero in zip(biases, zeros)])


def _runs(sources: Sequence[Tensor], widths: Sequence[int]) -> list[tuple[Tensor, int, list[int]]]:
    """Neighbouring projections of one and the same tensor, which one product makes: (tensor, first row, widths)."""
    runs, start = [], 0
    for source, width in zip(sources, widths):
        if runs and runs[-1][0] is source:
            runs[-1][2].append(width)
        else:
            runs.append((source, start, [width]))
        start += width
    return runs
