"""The parts of the journal version of SpecTr (2023): a block across the scales, and a pyramid as its way up.

The last norm of each transformer, which its code makes and never applies, is left out.
"""

from collections.abc import Sequence

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.mlp import Mlp
from ...registry import MODELS
from ..restore import enlarge
from .attention import SparseAttention


class ScaleBlock(nn.Module):
    """One level's part of the block: attention along its spectra, then an MLP that also reads the other levels."""

    def __init__(self, embed_dims: int, joined_dims: int, num_heads: int, dropout: float, bounded: bool):
        super().__init__()
        self.attn_norm, self.mlp_norm = nn.LayerNorm(embed_dims), nn.LayerNorm(embed_dims)
        self.attn = SparseAttention(embed_dims, num_heads, dropout, bounded)
        self.mlp = Mlp(joined_dims, 3 * embed_dims, embed_dims, dropout=dropout)
        self.attn_scale, self.mlp_scale = (nn.Parameter(torch.ones(embed_dims)) for _ in range(2))


@MODELS.register_module()
class CrossScaleBottleneck(BaseModule):
    """Maps B C S H W -> the same; all but the finest look at their own bands and at each other.

    Args:
        dropout: of attention and MLP; drop_path: of both branches.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_heads: int = 8,
        dropout: float = 0.2,
        drop_path: float = 0.2,
        bounded: bool = True,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.channels = tuple(in_channels)
        widths = in_channels[1:]
        self.blocks = nn.ModuleList(ScaleBlock(width, sum(widths), num_heads, dropout, bounded) for width in widths)
        self.drop_path = DropPath(drop_path)

    tiny = dict(num_heads=2)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        attended, normed = [], []
        for block, x in zip(self.blocks, maps[1:]):
            x = x.movedim(1, -1)  # B S H W C
            spectra = block.attn_norm(x).permute(0, 2, 3, 1, 4)
            found = block.attn(spectra.flatten(0, 2)).view(spectra.shape).permute(0, 3, 1, 2, 4)
            x = x + self.drop_path(block.attn_scale * found)
            attended.append(x)
            normed.append(block.mlp_norm(x).movedim(-1, 1))

        out = [maps[0]]
        for index, (block, x) in enumerate(zip(self.blocks, attended)):
            others = [normed[i] for i in sources(index, len(normed))]
            seen = torch.cat([enlarge(each, tuple(normed[index].shape[2:])) for each in others], dim=1)
            x = x + self.drop_path(block.mlp_scale * block.mlp(seen.movedim(1, -1)))
            out.append(x.movedim(-1, 1))
        return out


def sources(index: int, count: int) -> list[int]:
    """Levels that a level joins, in the order of the official code: its own, the coarser ones, the finer ones, the
    nearest first."""
    coarser, finer = range(index + 1, count), range(index - 1, -1, -1)
    return [index, *coarser, *finer]


@MODELS.register_module()
class CubePyramidDecoder(BaseModule):
    """Maps to one width, added from coarse to fine, each brought to the finest size by convolutions; joined.

    Args:
        pyramid_dims: of the pyramid; branch_dims: of a branch.
        dropout: chance that a channel of the joined map is left out, in training.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        pyramid_dims: int = 128,
        branch_dims: int = 64,
        dropout: float = 0.2,
        num_groups: int = 32,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.laterals = nn.ModuleList(nn.Conv3d(channels, pyramid_dims, 1) for channels in in_channels)
        self.branches = nn.ModuleList()
        for level in range(len(in_channels)):
            steps = nn.ModuleList()
            for step in range(max(1, level)):
                before = branch_dims if step else pyramid_dims
                conv = nn.Conv3d(before, branch_dims, 3, padding=1, bias=False)
                steps.append(nn.Sequential(conv, nn.GroupNorm(num_groups, branch_dims), nn.ReLU(inplace=True)))
            self.branches.append(steps)
        self.dropout = nn.Dropout3d(dropout)
        self.channels = (len(in_channels) * branch_dims,)

    tiny = dict(pyramid_dims=16, branch_dims=8, num_groups=4)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        sizes = [tuple(each.shape[2:]) for each in maps]
        pyramid = [self.laterals[-1](maps[-1])]
        for lateral, finer in zip(self.laterals[-2::-1], maps[-2::-1]):
            pyramid.append(enlarge(pyramid[-1], tuple(finer.shape[2:])) + lateral(finer))

        branches = []
        for level in range(len(maps) - 1, -1, -1):
            x = pyramid[len(maps) - 1 - level]
            for step, conv in enumerate(self.branches[level]):
                x = conv(x)
                if level:
                    x = enlarge(x, sizes[level - step - 1])
            branches.append(x)
        return [self.dropout(torch.cat(branches, dim=1))]
