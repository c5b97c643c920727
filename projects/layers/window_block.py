"""Transformer layers whose attention stays inside shifted windows, for maps of any number of axes (Swin Transformer).

Papers: https://arxiv.org/abs/2103.14030 (v1: pre-norm, dot products), https://arxiv.org/abs/2111.09883 (v2: norms after
the branches, cosines). Parameter names are those of microsoft/Swin-Transformer.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .mlp import Mlp
from .residual import residual
from .window_grid import WindowGrid


class WindowBlock(nn.Module):
    """Window attention and an MLP, both residual.

    Args:
        attn: a window attention (`WindowAttention`, `CosineWindowAttention`), as a module.
        mlp_ratio: hidden channels of the MLP over ``embed_dims``.
        drop_path: chance that a sample's branch is left out, in training.
        order: 'pre' (v1) or 'res-post' (v2), see residual.py.
        norm: makes a norm of so many channels.
        act: makes the MLP's activation.
        dropout: of the MLP.
    """

    def __init__(
        self,
        embed_dims: int,
        attn: nn.Module,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        order: str = 'pre',
        norm: Callable[[int], nn.Module] = nn.LayerNorm,
        act: Callable[[], nn.Module] = nn.GELU,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.norm1 = norm(embed_dims)
        self.attn = attn
        self.norm2 = norm(embed_dims)
        self.mlp = Mlp(embed_dims, int(mlp_ratio * embed_dims), act=act, dropout=dropout)
        self.drop_path = DropPath(drop_path)
        self.order = order

    def forward(self, x: Tensor, grid: WindowGrid) -> Tensor:
        """B *size C -> B *size C; the grid is that of the map."""
        x = residual(x, lambda x: self.attend(x, grid), self.norm1, self.order, self.drop_path)
        return residual(x, self.mlp, self.norm2, self.order, self.drop_path)

    def attend(self, x: Tensor, grid: WindowGrid) -> Tensor:
        return grid.reverse(self.attn(grid.partition(x), grid))


class WindowStage(nn.Module):
    """Blocks at one resolution, every second one shifted, and what leads to the next stage.

    Args:
        blocks: modules called as ``block(x, grid)``.
        window_size: sides of the largest window, one number for each axis.
        downsample: applied by the backbone after the stage's output was taken; None: nothing follows.
        with_cp: recompute each block in the backward pass to save memory.
    """

    def __init__(
        self,
        blocks: Iterable[nn.Module],
        window_size: Sequence[int],
        downsample: nn.Module | None = None,
        with_cp: bool = False,
    ):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        if downsample is not None:
            self.downsample = downsample
        self.window_size = tuple(window_size)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """B *size C -> B *size C, before the downsampling."""
        grids = [WindowGrid.of(x.shape[1:-1], self.window_size, shifted) for shifted in (False, True)]
        for index, block in enumerate(self.blocks):
            if self.with_cp and torch.is_grad_enabled():
                x = checkpoint(block, x, grids[index % 2], use_reentrant=False)
            else:
                x = block(x, grids[index % 2])
        return x
