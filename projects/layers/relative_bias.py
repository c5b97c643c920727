"""Biases of attention logits by the distance of two tokens: heads N N, to be given to attention as ``bias``."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .position import resize_grid


def table_index(window: Sequence[int]) -> Tensor:
    """*window *window: the row of a table for a query and a key. Rows go by query - key, the last axis fastest."""
    axes = len(window)
    index = torch.zeros((1,) * (2 * axes), dtype=torch.long)
    for axis, side in enumerate(window):
        place = torch.arange(side)
        query = place.view([-1 if each == axis else 1 for each in range(2 * axes)])
        key = place.view([-1 if each == axes + axis else 1 for each in range(2 * axes)])
        index = index * (2 * side - 1) + (query - key + side - 1)
    return index


class RelativeBiasTable(nn.Module):
    """A learned number for each head and each offset within a grid; optionally three more for a class token (BEiT,
    https://arxiv.org/abs/2106.08254): class to token, token to class, class to class.

    Args:
        window: sides of the grid.
        class_token: the first token is none of the grid.
    """

    def __init__(self, num_heads: int, window: Sequence[int], class_token: bool = False):
        super().__init__()
        self.window, self.class_token = tuple(window), class_token
        rows = math.prod([2 * side - 1 for side in window])
        self.table = nn.Parameter(torch.zeros(rows + 3 * class_token, num_heads))
        self.register_buffer('index', framed_index(self.window, class_token), persistent=False)

    def forward(self, size: Sequence[int] | None = None) -> Tensor:
        """heads N N, of a map of this size (default: the window); the table is resized bicubically to another."""
        if size is None or tuple(size) == self.window:
            table, index = self.table, self.index
        else:
            table = resize_table(self.table, self.window, size)
            index = framed_index(size, self.class_token).to(table.device)
        return table.t().index_select(1, index.flatten()).view(-1, *index.shape)


def framed_index(window: Sequence[int], class_token: bool) -> Tensor:
    """N N: as :func:`table_index`, framed by the three last rows where a class token stands before the grid."""
    index = table_index(window).reshape(math.prod(window), -1)
    if not class_token:
        return index
    rows = math.prod([2 * side - 1 for side in window])
    framed = index.new_empty(len(index) + 1, len(index) + 1)
    framed[1:, 1:] = index
    framed[0, :], framed[:, 0], framed[0, 0] = rows, rows + 1, rows + 2
    return framed


def resize_table(table: Tensor, window: Sequence[int], size: Sequence[int]) -> Tensor:
    """rows heads of a window's table for another window; rows that belong to no offset stay."""
    rows = math.prod([2 * side - 1 for side in window])
    grid = table[:rows].unflatten(0, tuple(2 * side - 1 for side in window))
    grid = resize_grid(grid, [2 * side - 1 for side in size])
    return torch.cat([grid.flatten(0, -2), table[rows:]])


class BucketBias(nn.Module):
    """A learned number for each head and each bucket of distances in a sequence; buckets grow with the distance (T5,
    https://arxiv.org/abs/1910.10683; BEiT-3's and ONE-PEACE's texts).

    Args:
        num_buckets: half of them for each direction.
        max_distance: from here on all distances share the last bucket.
    """

    def __init__(self, num_heads: int, num_buckets: int = 32, max_distance: int = 128):
        super().__init__()
        self.num_buckets, self.max_distance = num_buckets, max_distance
        self.table = nn.Embedding(num_buckets, num_heads)

    def forward(self, length: int, keys: int | None = None) -> Tensor:
        """heads length keys."""
        device = self.table.weight.device
        offset = torch.arange(keys or length, device=device) - torch.arange(length, device=device)[:, None]
        return self.table(log_bucket(offset, self.num_buckets, self.max_distance)).permute(2, 0, 1)


def log_bucket(offset: Tensor, num_buckets: int = 32, max_distance: int = 128) -> Tensor:
    """The bucket of each offset (key - query): the nearest have one each, the others ever wider ones."""
    half = num_buckets // 2
    near = half // 2
    distance = offset.abs()
    far = near + (distance.clamp(min=1).float() / near).log() / math.log(max_distance / near) * (half - near)
    bucket = torch.where(distance < near, distance, far.long().clamp(max=half - 1))
    return bucket + half * (offset > 0)
