"""A bottleneck transformer within groups of 4 x 4 pixels (GT U-Net, https://arxiv.org/abs/2109.14813).

What differs from the official code: groups are squares of neighbouring pixels, as the paper says; the code reshapes the
map as it lies in memory, which mixes channels and far pixels (``group_mode='reshape'`` does as it does, for its
weights).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...layers.conv_block import conv_norm_act
from ...layers.window_grid import WindowGrid
from ...registry import MODELS


class GroupAttention(nn.Module):
    """Attention among the pixels of a group, with logits that depend on the query and on the offset along each axis
    (https://arxiv.org/abs/2101.11605).

    Args:
        side: of a group.
    """

    def __init__(self, channels: int, num_heads: int = 4, side: int = 4):
        super().__init__()
        width = channels // num_heads
        self.num_heads, self.side = num_heads, side
        self.query, self.key, self.value = (nn.Parameter(torch.empty(channels, num_heads, width)) for _ in range(3))
        self.rows, self.columns = (nn.Parameter(torch.empty(2 * side - 1, width)) for _ in range(2))
        place = torch.arange(side)
        self.register_buffer('offset', place - place[:, None] + side - 1, persistent=False)  # key - query
        for weight in (self.query, self.key, self.value):
            nn.init.normal_(weight, std=0.01)
        for table in (self.rows, self.columns):
            nn.init.normal_(table, std=width**-0.5)

    def forward(self, groups: Tensor) -> Tensor:
        """G C side side -> the same."""
        query, key, value = (
            torch.einsum('gchw,cnd->gnhwd', groups, weight) for weight in (self.query, self.key, self.value)
        )
        query = query / math.sqrt(query.shape[-1])
        along_rows = torch.einsum('gnhwd,hpd->gnhwp', query, self.rows[self.offset])
        along_columns = torch.einsum('gnhwd,wqd->gnhwq', query, self.columns[self.offset])
        logits = torch.einsum('gnhwd,gnpqd->gnhwpq', query, key)
        logits = logits + along_rows[..., None] + along_columns[..., None, :]
        weights = logits.flatten(-2).softmax(-1).unflatten(-1, (self.side, self.side))
        return torch.einsum('gnhwpq,gnpqd->gndhw', weights, value).flatten(1, 2)


@MODELS.register_module()
class GroupTransformer(nn.Module):
    """Convolution, attention, convolution, all within groups (which convolutions pad with zeros, too), at a quarter of
    the channels; plus a convolution of the whole map.

    Args:
        group_mode: 'window' or 'reshape', see above.
        num_heads: of the attention.
        side: of a group; sides of a map must be multiples.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dims: int = 2,
        num_heads: int = 4,
        side: int = 4,
        group_mode: str = 'window',
    ):
        super().__init__()
        if dims != 2 or group_mode not in ('window', 'reshape'):
            raise ValueError(
                f"dims={dims}, group_mode={group_mode!r}; dims must be 2, group_mode 'window' or 'reshape'"
            )
        width = out_channels // 4
        self.multiple, self.group_mode = side, group_mode
        self.shortcut = (
            conv_norm_act(in_channels, out_channels, bias=True) if in_channels != out_channels else nn.Identity()
        )
        self.narrow = conv_norm_act(in_channels, width, bias=True)
        self.attn = GroupAttention(width, num_heads, side)
        self.norm = nn.BatchNorm2d(width)
        self.widen = conv_norm_act(width, out_channels, bias=True, act=None)
        nn.init.zeros_(self.widen.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        groups = self.narrow(self.split(x))
        groups = F.relu(self.norm(self.attn(groups)))
        groups = self.widen(groups)
        return F.relu(self.merge(groups, len(x), size) + self.shortcut(x))

    def split(self, x: Tensor) -> Tensor:
        """B C H W -> G C side side."""
        side = self.multiple
        if self.group_mode == 'reshape':
            return x.reshape(-1, x.shape[1], side, side)
        windows = WindowGrid.of(x.shape[2:], side, False).partition(x.movedim(1, -1))
        return windows.transpose(1, 2).unflatten(2, (side, side))

    def merge(self, groups: Tensor, batch: int, size: torch.Size) -> Tensor:
        """G C side side -> B C H W."""
        if self.group_mode == 'reshape':
            return groups.reshape(batch, -1, *size)
        windows = groups.flatten(2).transpose(1, 2)
        return WindowGrid.of(size, self.multiple, False).reverse(windows).movedim(-1, 1)
