"""Cell-DETR's encoder: DETR's on the coarsest level, positions learned for each row and each column."""

import torch
from torch import Tensor, nn

from ...registry import MODELS
from ..encoder import DenseEncoder
from ..structures import Memory


@MODELS.register_module()
class LearnedPositions(nn.Module):
    """A vector for each column, then one for each row (mmdet's wants a padding mask).

    The official code takes the height for the width too and so knows only square maps.

    Args:
        num_feats: channels of each of the two.
        size: rows, and columns.
    """

    def __init__(self, num_feats: int = 64, size: int = 50):
        super().__init__()
        self.rows = nn.Parameter(torch.randn(size, num_feats))
        self.columns = nn.Parameter(torch.randn(size, num_feats))

    def forward(self, mask: Tensor | None, input: Tensor) -> Tensor:
        """For a map B C H W: B 2F H W. Padding stands to the right and below, so the mask changes nothing."""
        batch, _, height, width = input.shape
        if max(height, width) > len(self.rows):
            raise ValueError(
                f'a map of {height}x{width} cells, and positions for {len(self.rows)} rows and columns; '
                f'set positional_encoding.size={max(height, width)} or scale the images down'
            )
        columns = self.columns[:width].T[:, None].expand(-1, height, -1)
        rows = self.rows[:height].T[:, :, None].expand(-1, -1, width)
        return torch.cat([columns, rows]).expand(batch, -1, -1, -1)


@MODELS.register_module()
class CellEncoder(DenseEncoder):
    """Encodes the coarsest level and hands the others on to the mask decoder: ``memory.skips``."""

    gives = ('skips',)

    def forward(self, feats: list[Tensor], keeps: list[Tensor] | None) -> Memory:
        memory = super().forward(feats[-1:], None if keeps is None else keeps[-1:])
        memory.skips = list(feats)
        return memory
