"""Attention of the tokens of a map, all to all or within windows that do not move ("Exploring plain vision transformer
backbones for object detection", https://arxiv.org/abs/2203.16527, section 3; ViT-Adapter).
"""

import math
from collections.abc import Sequence

from torch import Tensor

from .attention import MultiheadAttention, Rotate, attend
from .relative_bias import RelativeBiasTable
from .window_grid import WindowGrid

PADDINGS = ('tokens', 'qkv')


class MapAttention(MultiheadAttention):
    """Self-attention of B N C tokens whose last ``prod(size)`` lie on a map, row by row; others stand before them.

    Args:
        window_size: side of the windows; None: every token sees every token.
        pad: what becomes zero where windows reach beyond the map: 'tokens', as they enter (ViTDet, BEiT-Adapter), or
            'qkv', their projections (ViT-Adapter: such keys have the logit 0). Nothing is masked, as published.
        relative: a bias by relative position, whose window is that of the attention; of the whole map, it follows the
            size of the map (:class:`RelativeBiasTable` resized).
        others: those of :class:`MultiheadAttention`.

    Raises:
        ValueError: unknown ``pad``; tokens before the map, which windows do not hold.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        *args,
        window_size: int | None = None,
        pad: str = 'tokens',
        relative: RelativeBiasTable | None = None,
        **kwargs,
    ):
        super().__init__(embed_dims, num_heads, *args, **kwargs)
        if pad not in PADDINGS:
            raise ValueError(f'pad={pad!r} is unknown; choose from {", ".join(PADDINGS)}')
        self.window_size, self.pad, self.relative = window_size, pad, relative

    def forward(
        self, x: Tensor, size: Sequence[int], bias: Tensor | None = None, rotate: Rotate | None = None
    ) -> Tensor:
        """x B N C on a map of so many rows and columns -> B N C; ``bias`` and ``rotate`` only without windows."""
        if self.window_size is None:
            return super().forward(x, bias=self._bias_of(size, bias), rotate=rotate)
        if x.shape[1] != math.prod(size):
            raise ValueError(
                f'{x.shape[1]} tokens, of which {math.prod(size)} are a map of {tuple(size)}: windows hold no others; '
                'leave class and register tokens out'
            )
        window = (self.window_size,) * len(size)
        grid = WindowGrid(tuple(size), window, shift=(0,) * len(size))
        return self._within(x.unflatten(1, tuple(size)), grid).flatten(1, -2)

    def _within(self, x: Tensor, grid: WindowGrid) -> Tensor:
        """B *size C -> B *size C."""
        bias = self._bias_of(grid.window, None)
        if self.pad == 'tokens':
            return grid.reverse(super().forward(grid.partition(x), bias=bias))
        parts = [grid.partition(part) for part in self.project(x)]
        out = attend(*parts, self.num_heads, bias, self.dropout if self.training else 0.0)
        return self.out_proj(grid.reverse(self.inner_norm(out)))

    def _bias_of(self, size: Sequence[int], bias: Tensor | None) -> Tensor | None:
        if self.relative is None:
            return bias
        own = self.relative(tuple(size))
        return own if bias is None else own + bias
