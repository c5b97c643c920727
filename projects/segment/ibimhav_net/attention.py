"""Attention with an inductive bias of place (IBIMHAV-Net, https://arxiv.org/abs/2111.03868).

An interpretation: no code is public, and the text that could be read says that a relative positional embedding is
learned from an initialised absolute one and makes queries and keys more reliable. Here each place of a window has a
learned code P, which starts as sines; ``Q' = Q + P Wq``, ``K' = K + P Wk``, and the bias of a pair is an MLP of ``P_i
- P_j``.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...layers.position import sine_code
from ...layers.window_attention import WindowAttention
from ...layers.window_grid import WindowGrid


class PlaceBiasedAttention(WindowAttention):
    """Attention inside windows.

    Args:
        place_dims: channels of a place's code.
        in_queries: add codes to queries and keys.
        relative: add a bias by the difference of codes.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: Sequence[int],
        place_dims: int = 24,
        in_queries: bool = True,
        relative: bool = True,
    ):
        super().__init__(embed_dims, num_heads, window_size)
        del self.relative_position_bias_table
        self.places = nn.Parameter(sine_code(window_size, place_dims).contiguous())
        self.to_query = nn.Linear(place_dims, embed_dims, bias=False) if in_queries else None
        self.to_key = nn.Linear(place_dims, embed_dims, bias=False) if in_queries else None
        hidden = nn.Linear(place_dims, 2 * place_dims)
        self.relative = nn.Sequential(hidden, nn.GELU(), nn.Linear(2 * place_dims, num_heads)) if relative else None

    def codes(self, window: tuple[int, ...]) -> Tensor:
        """N d: of the first places of a window that shrank."""
        return self.places[tuple(map(slice, window))].flatten(0, -2)

    def forward(self, windows: Tensor, grid: WindowGrid) -> Tensor:
        query, key, value = self.heads(windows)
        if self.to_query is not None:
            codes = self.codes(grid.window)
            shape = (self.num_heads, -1)
            query = query + self.to_query(codes).unflatten(-1, shape).transpose(0, 1)
            key = key + self.to_key(codes).unflatten(-1, shape).transpose(0, 1)
        return self.attend(query, key, value, grid)

    def table_weights(self):
        return [self.places, *(self.relative.parameters() if self.relative is not None else ())]

    def _merge(self, grid: WindowGrid, dtype: torch.dtype) -> Tensor:
        codes = self.codes(grid.window)
        if self.relative is None:
            bias = codes.new_zeros(1, self.num_heads, len(codes), len(codes))
        else:
            bias = self.relative(codes[:, None] - codes).permute(2, 0, 1)[None]
        mask = grid.mask(codes.device)
        return (bias if mask is None else bias + mask[:, None]).to(dtype)
