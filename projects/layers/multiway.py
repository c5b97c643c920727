"""Experts by modality around an attention that all tokens share: BEiT-3 (https://arxiv.org/abs/2208.10442) and
ONE-PEACE (https://arxiv.org/abs/2305.11172).

Tokens of several modalities stand one after the other; their *spans*, (modality, number of tokens) in that order, say
which expert a token goes through. In attention all see each other.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from .attention import KeyValues, MultiheadAttention, attend, split_heads
from .mlp import GatedMlp, Mlp
from .residual import residual

Spans = Sequence[tuple[str, int]]


class Multiway(nn.ModuleDict):
    """One module a modality.

    Args:
        make: makes one.
        experts: names of the modalities.
    """

    def __init__(self, make: Callable[[], nn.Module], experts: Sequence[str]):
        super().__init__({name: make() for name in experts})

    def forward(self, x: Tensor, spans: Spans) -> Tensor:
        """B N C -> B N C', each token by the expert of its modality."""
        if len(spans) == 1:
            return self[spans[0][0]](x)
        parts = x.split([count for _, count in spans], dim=1)
        return torch.cat([self[name](part) for (name, _), part in zip(spans, parts)], dim=1)


class OneWay(nn.Module):
    """The same module for all modalities, called as :class:`Multiway` is."""

    def __init__(self, part: nn.Module):
        super().__init__()
        self.part = part

    def forward(self, x: Tensor, spans: Spans, **kwargs) -> Tensor:
        return self.part(x, **kwargs)


class MultiwayAttention(nn.Module):
    """Self-attention whose projections, and the norm before the last one, are those of each token's modality.

    Args:
        inner_norm: makes the norm of the heads' joined output (sub-LN); None: none.
        dropout: of the attention weights, in training.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        experts: Sequence[str],
        inner_norm: Callable[[int], nn.Module] | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(f'embed_dims {embed_dims} is not a multiple of num_heads {num_heads}')
        self.num_heads, self.dropout = num_heads, dropout
        self.in_proj = Multiway(lambda: nn.Linear(embed_dims, 3 * embed_dims), experts)
        self.inner_norm = Multiway(lambda: inner_norm(embed_dims), experts) if inner_norm else None
        self.out_proj = Multiway(lambda: nn.Linear(embed_dims, embed_dims), experts)

    def forward(self, x: Tensor, spans: Spans, bias: Tensor | None = None, past: KeyValues | None = None) -> Tensor:
        """B N C -> B N C; ``bias``, ``past``: as those of :class:`MultiheadAttention`."""
        query, key, value = self.in_proj(x, spans).chunk(3, dim=-1)
        if past is not None:
            heads = past.extend(split_heads(key, self.num_heads), split_heads(value, self.num_heads))
            key, value = (each.transpose(1, 2).flatten(2) for each in heads)
        out = attend(query, key, value, self.num_heads, bias, self.dropout if self.training else 0.0)
        return self.out_proj(out if self.inner_norm is None else self.inner_norm(out, spans), spans)


class MultiwayBlock(nn.Module):
    """A pre-norm transformer layer with an MLP for each modality.

    Args:
        experts: names of the modalities.
        shared_attention: one attention, and one norm before each branch, for all (ONE-PEACE; the paper of BEiT-3); else
            they too are those of the modality (BEiT-3's published models).
        gated: MLPs with GEGLU, whose first map has no bias (ONE-PEACE).
        biases: of queries, keys and values, with a shared attention.
        norm_eps: of all norms; within attention and MLP stand norms, too (sub-LN, https://arxiv.org/abs/2210.06423).
        layer_scale: start of a learned factor of each channel of a branch; None: none.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        mlp_dims: int,
        experts: Sequence[str],
        shared_attention: bool = False,
        gated: bool = False,
        biases: bool | Sequence[bool] = True,
        norm_eps: float = 1e-5,
        layer_scale: float | None = None,
        drop_path: float = 0.0,
    ):
        super().__init__()
        norm = partial(nn.LayerNorm, eps=norm_eps)

        def norms() -> nn.Module:
            return OneWay(norm(embed_dims)) if shared_attention else Multiway(lambda: norm(embed_dims), experts)

        if shared_attention:
            attn = MultiheadAttention(embed_dims, num_heads, biases=biases, inner_norm=norm(embed_dims))
            self.attn = OneWay(attn)
        else:
            self.attn = MultiwayAttention(embed_dims, num_heads, experts, norm)
        net = partial(GatedMlp, act=nn.GELU, bias=(False, True)) if gated else Mlp
        self.attn_norm, self.mlp_norm = norms(), norms()
        self.mlp = Multiway(lambda: net(embed_dims, mlp_dims, norm=norm(mlp_dims)), experts)
        for name in ('attn_scale', 'mlp_scale'):
            start = None if layer_scale is None else nn.Parameter(torch.full((embed_dims,), float(layer_scale)))
            self.register_parameter(name, start)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor, spans: Spans, bias: Tensor | None = None, past: KeyValues | None = None) -> Tensor:
        """B N C -> B N C."""
        kept = {} if past is None else dict(past=past)
        x = self._branch(x, lambda x: self.attn(x, spans, bias=bias, **kept), self.attn_norm, self.attn_scale, spans)
        return self._branch(x, lambda x: self.mlp(x, spans), self.mlp_norm, self.mlp_scale, spans)

    def _branch(self, x: Tensor, part, norm: nn.Module, scale: Tensor | None, spans: Spans) -> Tensor:
        def drop(branch: Tensor) -> Tensor:
            return self.drop_path(branch if scale is None else branch * scale)

        return residual(x, part, lambda x: norm(x, spans), 'pre', drop)
