"""Windows over a volume whose depth stays, and the keys and values that its blocks made (VT-UNet,
https://arxiv.org/abs/2111.13300, version 1).

What differs from the official code: any depth, height and width; ``index='corner'`` looks the bias of a shrunken
window up as that code does.
"""

from collections.abc import Sequence

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...layers.mlp import Mlp
from ...layers.patch import PatchEmbed, PatchMerging, tupled
from ...layers.token_block import drop_path_rates
from ...layers.window_attention import CornerWindowAttention, WindowAttention
from ...layers.window_grid import WindowGrid
from ...registry import MODELS
from ..structures import Maps
from ..swin_unet.encoder import init_windows, tiny_windows

ATTENTIONS = {'offset': WindowAttention, 'corner': CornerWindowAttention}


class VolumeBlock(nn.Module):
    """A Swin block of a volume, which also tells its keys and values.

    Args:
        attn: a window attention.
    """

    def __init__(self, embed_dims: int, attn: nn.Module, mlp_ratio: float = 4.0, drop_path: float = 0.0):
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims)
        self.attn = attn
        self.norm2 = nn.LayerNorm(embed_dims)
        self.mlp = Mlp(embed_dims, int(mlp_ratio * embed_dims))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: WindowGrid) -> tuple[Tensor, Tensor, Tensor]:
        """B D H W C -> the same, keys and values nW*B heads N d of the padded, shifted, partitioned map."""
        query, key, value = self.attn.heads(grid.partition(self.norm1(x)))
        x = x + self.drop_path(grid.reverse(self.attn.attend(query, key, value, grid)))
        return x + self.drop_path(self.mlp(self.norm2(x))), key, value


class PlaneMerging(PatchMerging):
    """2 x 2 neighbours of a plane become one token; the depth stays: B D H W C -> B D H/2 W/2 2C."""

    def __init__(self, embed_dims: int):
        super().__init__(embed_dims, dims=2)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])


@MODELS.register_module()
class VolumeEncoder(BaseModule):
    """B C D H W -> what enters each stage, and the normed end of the last; extras: ``memory``, for each stage but the
    last the keys and values of its blocks.

    Args:
        index: 'offset' or 'corner', see above.
        with_cp: recompute each block in the backward pass to save memory.
    """

    tiny = tiny_windows(embed_dims=12)

    def __init__(
        self,
        in_channels: int = 4,
        embed_dims: int = 96,
        depths: Sequence[int] = (2, 2, 2, 1),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        window_size: int | Sequence[int] = 7,
        patch_size: int | Sequence[int] = 4,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.1,
        index: str = 'offset',
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        count, (depth, *plane) = len(depths), tupled(patch_size, 3)
        widths = [embed_dims * 2**i for i in range(count)]
        rates = iter(drop_path_rates(drop_path, sum(depths)))
        self.window_size, self.with_cp = tupled(window_size, 3), with_cp
        self.in_channels, self.channels = in_channels, tuple(widths)
        self.strides = tuple((depth, plane[0] * 2**i, plane[1] * 2**i) for i in range(count))
        self.patch_embed = PatchEmbed(in_channels, embed_dims, patch_size, 3, norm=nn.LayerNorm)
        self.stages = nn.ModuleList()
        for i, (width, heads) in enumerate(zip(widths, num_heads)):
            stage = nn.Module()
            stage.blocks = nn.ModuleList(
                VolumeBlock(width, ATTENTIONS[index](width, heads, self.window_size), mlp_ratio, next(rates))
                for _ in range(depths[i])
            )
            if i + 1 < count:
                stage.downsample = PlaneMerging(width)
            self.stages.append(stage)
        self.norm = nn.LayerNorm(widths[-1])
        self.apply(init_windows)

    def forward(self, images: Tensor) -> Maps:
        x, maps, memory = self.patch_embed(images), [], []
        for stage in self.stages:
            maps.append(x)
            x, kept = run_blocks(stage.blocks, x, self.window_size, self.with_cp)
            memory.append(kept)
            if hasattr(stage, 'downsample'):
                x = stage.downsample(x)
        maps = [each.movedim(-1, 1) for each in (*maps[:-1], self.norm(x))]
        return Maps(maps, dict(memory=memory[:-1]))


def run_blocks(
    blocks: Sequence[nn.Module], x: Tensor, window: Sequence[int], with_cp: bool = False
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """B D H W C through blocks, every second one shifted; keys and values of each."""
    grids = [WindowGrid.of(x.shape[1:-1], window, shifted) for shifted in (False, True)]
    memory = []
    for index, block in enumerate(blocks):
        cp = with_cp and torch.is_grad_enabled()
        grid = grids[index % 2]
        x, *kept = checkpoint(block, x, grid, use_reentrant=False) if cp else block(x, grid)
        memory.append(tuple(kept))
    return x, memory
