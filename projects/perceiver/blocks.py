"""The two layers of a Perceiver: an array looks at another one (`CrossAttend`), an array looks at itself.

Perceiver, https://arxiv.org/abs/2103.03206, section 3; Perceiver IO, https://arxiv.org/abs/2107.14795, appendix E
(code: google-deepmind/deepmind-research/perceiver). All norms stand before their part, their epsilon is 1e-5, and the
MLP is as wide as its input (`widening=1`). The official code's GELU is the one with tanh; transformers' is
exact.
"""

from functools import partial

import torch
from torch import Tensor, nn

from ..layers.attention import MultiheadAttention
from ..layers.mlp import Mlp
from ..layers.token_block import TokenBlock

GELU = {'erf': nn.GELU, 'tanh': partial(nn.GELU, approximate='tanh')}
SHAPES = ('q', 'kv')


def checked_word(name: str, value, choices) -> None:
    """Raise ValueError where a word is none of the choices."""
    if value not in choices:
        raise ValueError(f'{name}={value!r} is unknown; choose from {", ".join(map(repr, choices))}')


class CrossAttend(nn.Module):
    """Queries look at an array of another width: ``x = [q +] attention(norm(q), norm(array)); x + mlp(norm(x))``.

    Args:
        embed_dims: channels of the queries and of the output.
        kv_dims: channels of the array.
        num_heads: must divide ``qk_dims`` and ``v_dims``.
        qk_dims: channels that are compared; default: those of the array (``cross_shape='kv'``) or of the queries ('q').
        v_dims: channels of the values; default: ``qk_dims``.
        query_residual: whether the queries are added to what they found. Left out where queries and outputs mean
            different things: positions and pixels, say.
        widening: hidden channels of the MLP, as a multiple of ``embed_dims``.
        gelu: 'tanh' (the official code) or 'erf' (transformers).
        dropout: of both branches; attn_dropout: of attention weights.
    """

    def __init__(
        self,
        embed_dims: int,
        kv_dims: int,
        num_heads: int = 1,
        qk_dims: int | None = None,
        v_dims: int | None = None,
        cross_shape: str = 'kv',
        query_residual: bool = True,
        widening: int = 1,
        gelu: str = 'tanh',
        dropout: float = 0.0,
        attn_dropout: float = 0.0,
    ):
        super().__init__()
        checked_word('cross_shape', cross_shape, SHAPES)
        checked_word('gelu', gelu, tuple(GELU))
        qk_dims = qk_dims or (kv_dims if cross_shape == 'kv' else embed_dims)
        self.query_residual = query_residual
        self.norm_q, self.norm_kv, self.norm = (nn.LayerNorm(dims) for dims in (embed_dims, kv_dims, embed_dims))
        self.attn = MultiheadAttention(
            embed_dims, num_heads, attn_dropout, kv_dims=kv_dims, qk_dims=qk_dims, v_dims=v_dims or qk_dims
        )
        self.mlp = Mlp(embed_dims, widening * embed_dims, act=GELU[gelu])
        self.drop = nn.Dropout(dropout)

    def forward(self, queries: Tensor, array: Tensor, mask: Tensor | None = None) -> Tensor:
        """queries B N C, array B M C', mask B M bool, True where the array has something -> B N C.

        Where the array of a sample is empty its queries find nothing (zeros, before the output projection).
        """
        found = self._look(queries, array, mask)
        x = queries + self.drop(found) if self.query_residual else self.drop(found)
        return x + self.drop(self.mlp(self.norm(x)))

    def weights(self, queries: Tensor, array: Tensor, mask: Tensor | None = None) -> Tensor:
        """B heads N M: what each query looks at, for pictures."""
        bias = None if mask is None else mask[:, None, None]
        return self.attn.weights(self.norm_q(queries), self.norm_kv(array), bias)

    def _look(self, queries: Tensor, array: Tensor, mask: Tensor | None) -> Tensor:
        queries, array = self.norm_q(queries), self.norm_kv(array)
        if mask is None:
            return self.attn(queries, array)
        some = mask.any(-1, keepdim=True)
        found = self.attn(queries, array, bias=(mask | ~some)[:, None, None])
        return torch.where(some[..., None], found, self.attn.out_proj.bias)


def self_attend(
    embed_dims: int,
    num_heads: int,
    qk_dims: int | None = None,
    v_dims: int | None = None,
    widening: int = 1,
    gelu: str = 'tanh',
    dropout: float = 0.0,
    attn_dropout: float = 0.0,
) -> TokenBlock:
    """A layer in which an array looks at itself; arguments as of :class:`CrossAttend`."""
    checked_word('gelu', gelu, tuple(GELU))
    attn = MultiheadAttention(embed_dims, num_heads, attn_dropout, qk_dims=qk_dims, v_dims=v_dims or qk_dims)
    return TokenBlock(
        embed_dims, num_heads, attn=attn, mlp=Mlp(embed_dims, widening * embed_dims, act=GELU[gelu], dropout=dropout)
    )


def init_as_official(module: nn.Module) -> None:
    """Variance scaling by the inputs, truncated at two deviations, no biases; for ``module.apply``."""
    matrices = []
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        matrices = [module.weight]
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, MultiheadAttention) and module.fused:
        matrices = [module.in_proj_weight]
    for matrix in matrices:
        deviation = matrix[0].numel() ** -0.5 / TRUNCATED
        nn.init.trunc_normal_(matrix, std=deviation, a=-2 * deviation, b=2 * deviation)


TRUNCATED = 0.87962566103423978  # deviation of a normal variable that is cut at two deviations
