"""Attention along the spectrum, as sparse as each head learns (SpecTr, https://arxiv.org/abs/2103.03604, section 3.3).

What differs from the official code: alpha is kept between 1 and 2 at every step by a sigmoid, where it is free after
its start there (``bounded=False``); pixels can be attended to in portions (``chunk``).
"""

from functools import partial

import torch
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...layers.attention import split_heads
from ...layers.mlp import Mlp
from ...registry import MODELS
from .entmax import entmax

LEAST, MOST = 1.01, 2.0


class SparseAttention(nn.Module):
    """Self-attention whose weights are alpha-entmax, with an alpha for each head.

    Args:
        bounded: see above.
        dropout: of the weights; out_dropout: of the output.
    """

    def __init__(
        self, embed_dims: int, num_heads: int = 8, dropout: float = 0.1, bounded: bool = True, out_dropout: float = 0.0
    ):
        super().__init__()
        self.num_heads, self.bounded = num_heads, bounded
        self.query, self.key, self.value, self.out = (nn.Linear(embed_dims, embed_dims) for _ in range(4))
        start = torch.randn(num_heads)
        self.alpha = nn.Parameter(start if bounded else (1 + start.sigmoid()).clamp(LEAST, MOST))
        self.dropout, self.out_dropout = nn.Dropout(dropout), nn.Dropout(out_dropout)

    def alphas(self) -> Tensor:
        """Of each head."""
        return (1 + self.alpha.sigmoid()).clamp(LEAST, MOST) if self.bounded else self.alpha

    def forward(self, x: Tensor) -> Tensor:
        """x B S C -> B S C."""
        query, key, value = (split_heads(each(x), self.num_heads) for each in (self.query, self.key, self.value))
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        weights = self.dropout(entmax(scores, self.alphas().view(-1, 1, 1)))
        return self.out_dropout(self.out((weights @ value).transpose(1, 2).flatten(2)))


class SparseBlock(nn.Module):
    """:class:`SparseAttention` and an MLP three times as wide, each pre-norm and residual.

    Args:
        layer_scale: start of the factors of both branches (2023); None: no factors (2021).
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        dropout: float,
        bounded: bool,
        layer_scale: float | None = None,
        drop_path: float = 0.0,
    ):
        super().__init__()
        norm = partial(nn.LayerNorm, embed_dims, eps=1e-6)
        self.attn_norm, self.mlp_norm = norm(), norm()
        self.attn = SparseAttention(embed_dims, num_heads, dropout, bounded)
        self.mlp = Mlp(embed_dims, 3 * embed_dims, dropout=dropout)
        scales = [
            None if layer_scale is None else nn.Parameter(torch.full((embed_dims,), layer_scale)) for _ in range(2)
        ]
        self.attn_scale, self.mlp_scale = scales
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(scaled(self.attn(self.attn_norm(x)), self.attn_scale))
        return x + self.drop_path(scaled(self.mlp(self.mlp_norm(x)), self.mlp_scale))


def scaled(x: Tensor, factor: Tensor | None) -> Tensor:
    return x if factor is None else x * factor


@MODELS.register_module()
class SpectralTransformer(nn.Module):
    """The spectrum of every pixel through blocks: B C S H W -> the same.

    Args:
        positions: sines along the bands, even channels sines, odd ones cosines, are added.
        out_norm: a norm at the end (2021; the 2023 code makes it and never applies it).
        chunk: so many spectra at a time; 0: all.
        with_cp: recompute the blocks in the backward pass, portion by portion, to save memory.
    """

    def __init__(
        self,
        embed_dims: int,
        num_layers: int = 1,
        num_heads: int = 8,
        dropout: float = 0.1,
        bounded: bool = True,
        layer_scale: float | None = None,
        positions: bool = True,
        out_norm: bool = True,
        chunk: int = 0,
        with_cp: bool = False,
    ):
        super().__init__()
        self.positions, self.chunk, self.with_cp = positions, chunk, with_cp
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(
            *(SparseBlock(embed_dims, num_heads, dropout, bounded, layer_scale) for _ in range(num_layers))
        )
        self.norm = nn.LayerNorm(embed_dims, eps=1e-6) if out_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, bands, height, width = x.shape
        spectra = x.permute(0, 3, 4, 2, 1).reshape(-1, bands, channels)
        if self.positions:
            spectra = spectra + interleaved_sines(bands, channels, x.device)
        parts = spectra.split(self.chunk) if self.chunk else (spectra,)
        out = torch.cat([self.run(part) for part in parts])
        return out.view(batch, height, width, bands, channels).permute(0, 4, 3, 1, 2)

    def run(self, spectra: Tensor) -> Tensor:
        spectra = self.dropout(spectra)
        if self.with_cp and torch.is_grad_enabled():
            return self.norm(checkpoint(self.blocks, spectra, use_reentrant=False))
        return self.norm(self.blocks(spectra))


def interleaved_sines(length: int, channels: int, device: torch.device | None = None) -> Tensor:
    """length channels: sines at even channels, cosines at odd ones."""
    rates = 10000 ** -(torch.arange(0, channels, 2, device=device) / channels)
    angles = torch.arange(length, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :channels]
