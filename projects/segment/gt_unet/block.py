"""The block of GT U-Net (https://arxiv.org/abs/2109.14813): convolutions and attention that stay within squares of
4 x 4 pixels, beside a convolution that does not.

What differs from the published code: it takes 16 numbers that follow each other in memory for a square, which mixes
channels and far pixels. Its weights are of use with ``group_mode='reshape'``, which does the same.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...layers.attention import split_heads
from ...layers.conv_block import conv_norm_act
from ...layers.window_grid import WindowGrid
from ...registry import MODELS

HEADS, SIDE = 4, 4


class SquareGroups:
    """Neighbouring pixels: B C H W -> G C s s, the squares of an image row by row, and back."""

    @staticmethod
    def split(x: Tensor, side: int) -> Tensor:
        squares = WindowGrid.of(x.shape[2:], side, False).partition(x.movedim(1, -1))
        return squares.mT.unflatten(2, (side, side))

    @staticmethod
    def merge(groups: Tensor, batch: int, size: Sequence[int]) -> Tensor:
        grid = WindowGrid.of(size, groups.shape[-1], False)
        return grid.reverse(groups.flatten(2).mT).movedim(-1, 1)


class MemoryGroups:
    """Neighbours in memory, as the published code takes them."""

    @staticmethod
    def split(x: Tensor, side: int) -> Tensor:
        return x.reshape(-1, x.shape[1], side, side)

    @staticmethod
    def merge(groups: Tensor, batch: int, size: Sequence[int]) -> Tensor:
        return groups.reshape(batch, -1, *size)


GROUP_MODES = {'window': SquareGroups, 'reshape': MemoryGroups}


class OffsetBias(nn.Module):
    """What a query adds to its logits for the place of a key: a product with a learned vector for the offset along each
    axis, as in bottleneck transformers (https://arxiv.org/abs/2101.11605).

    Args:
        width: channels of a head.
        side: of a square.
    """

    def __init__(self, width: int, side: int):
        super().__init__()
        self.rows, self.columns = (nn.Parameter(width**-0.5 * torch.randn(2 * side - 1, width)) for _ in range(2))
        row, column = torch.cartesian_prod(torch.arange(side), torch.arange(side)).T
        for name, place in (('row_offsets', row), ('column_offsets', column)):
            self.register_buffer(name, place - place[:, None] + side - 1, persistent=False)  # of key from query

    def forward(self, query: Tensor) -> Tensor:
        """G heads S width -> G heads S S."""
        rows, columns = query @ self.rows.T, query @ self.columns.T
        return taken(rows, self.row_offsets) + taken(columns, self.column_offsets)


def taken(products: Tensor, offsets: Tensor) -> Tensor:
    """Products with all vectors, ... S O -> those that each query and key needs, ... S S."""
    return products.gather(-1, offsets.expand(*products.shape[:-1], -1))


class GroupAttention(nn.Module):
    """Attention among the pixels of a square; no biases, and no projection behind it.

    Args:
        side: of a square.
    """

    def __init__(self, channels: int, num_heads: int = HEADS, side: int = SIDE):
        super().__init__()
        self.num_heads = num_heads
        self.query, self.key, self.value = (nn.Linear(channels, channels, bias=False) for _ in range(3))
        for projection in (self.query, self.key, self.value):
            nn.init.normal_(projection.weight, std=0.01)
        self.bias = OffsetBias(channels // num_heads, side)

    def forward(self, groups: Tensor) -> Tensor:
        """G C s s -> the same."""
        pixels = groups.flatten(2).mT
        query, key, value = (split_heads(each(pixels), self.num_heads) for each in (self.query, self.key, self.value))
        query = query / query.shape[-1] ** 0.5

        weights = (query @ key.mT + self.bias(query)).softmax(-1)
        return (weights @ value).mT.flatten(1, 2).view_as(groups)


@MODELS.register_module()
class GroupTransformer(nn.Module):
    """A bottleneck at a quarter of the channels, in whose squares attention stands between two convolutions (they, too,
    see zeros beyond a square), plus a convolution of the whole map where the channels change.

    Args:
        num_heads: of the attention.
        side: of a square; sides of a map must be multiples.
        group_mode: 'window' or 'reshape', see above.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dims: int = 2,
        num_heads: int = HEADS,
        side: int = SIDE,
        group_mode: str = 'window',
    ):
        super().__init__()
        if dims != 2 or group_mode not in GROUP_MODES:
            raise ValueError(f'dims={dims}, group_mode={group_mode!r}; 2, and one of {", ".join(GROUP_MODES)}')
        self.multiple, self.groups = side, GROUP_MODES[group_mode]
        width = out_channels // 4
        self.shortcut = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = conv_norm_act(in_channels, out_channels, bias=True)
        self.within = nn.Sequential(
            conv_norm_act(in_channels, width, bias=True),
            GroupAttention(width, num_heads, side),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            conv_norm_act(width, out_channels, bias=True, act=None),
        )
        nn.init.zeros_(self.within[-1].bn.weight)  # starts as the shortcut

    def forward(self, x: Tensor) -> Tensor:
        groups = self.within(self.groups.split(x, self.multiple))
        return (self.groups.merge(groups, len(x), x.shape[2:]) + self.shortcut(x)).relu()
