"""A decoder whose windows attend to themselves and to the encoder's keys and values at once (VT-UNet,
https://arxiv.org/abs/2111.13300, section 3.3).

Self- and cross-attention share queries, projection and bias table. What differs from the official code: its
cross-attention scales the queries twice, here once (``double_scale=True`` does as it does).
"""

import math
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...layers.patch import PatchExpand, tupled
from ...layers.position import sine_code
from ...layers.token_block import drop_path_rates
from ...layers.window_grid import WindowGrid
from ...registry import MODELS
from ..swin_unet.decoder import beside
from ..swin_unet.encoder import init_windows, tiny_windows
from .encoder import ATTENTIONS, VolumeBlock


class FusionBlock(VolumeBlock):
    """``(1 - alpha) self + alpha cross + position``, each of the first two with its residuals and the same MLP.

    Args:
        alpha: share of the cross-attention.
        double_scale: see above.
        attn, mlp_ratio, drop_path: see :class:`VolumeBlock`.
    """

    def __init__(self, embed_dims: int, attn: nn.Module, alpha: float, double_scale: bool, **kwargs):
        super().__init__(embed_dims, attn, **kwargs)
        self.alpha, self.double_scale = alpha, double_scale

    def forward(self, x: Tensor, grid: WindowGrid, key: Tensor, value: Tensor) -> Tensor:
        """x B D H W C; keys and values of the encoder's block on the same grid."""
        query, own_key, own_value = self.attn.heads(grid.partition(self.norm1(x)))
        cross_query = query / math.sqrt(query.shape[-1]) if self.double_scale else query

        itself = self.branch(x, self.attn.attend(query, own_key, own_value, grid), grid)
        across = self.branch(x, self.attn.attend(cross_query, key, value, grid), grid)

        position = self.mlp(self.norm2(sine_code(x.shape[1:-1], x.shape[-1], x.device).to(x.dtype)))
        return (1 - self.alpha) * itself + self.alpha * across + position

    def branch(self, x: Tensor, windows: Tensor, grid: WindowGrid) -> Tensor:
        x = x + self.drop_path(grid.reverse(windows))
        return x + self.drop_path(self.mlp(self.norm2(x)))


@MODELS.register_module()
class FusionDecoder(BaseModule):
    """Maps fine to coarse and the encoder's memory -> one feature map at the size of the volume.

    Args:
        alpha: share of the cross-attention: 0.5 in version 1 (the BraTS table), 0.3 in version 2.
        double_scale: scale the queries of the cross-attention twice, as the official code does.
        others: as those of the encoder.
    """

    takes_extras = True

    tiny = tiny_windows()

    def __init__(
        self,
        in_channels: Sequence[int],
        depths: Sequence[int] = (2, 2, 2, 1),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        window_size: int | Sequence[int] = 7,
        patch_size: int | Sequence[int] = 4,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.1,
        alpha: float = 0.5,
        double_scale: bool = False,
        index: str = 'offset',
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        rates = drop_path_rates(drop_path, sum(depths))
        self.window_size, self.with_cp = tupled(window_size, 3), with_cp
        coarse_first = range(len(in_channels) - 2, -1, -1)
        self.expand = PatchExpand(in_channels[-1], (1, 2, 2), dims=3)
        self.joins = nn.ModuleList(nn.Linear(2 * in_channels[i], in_channels[i], bias=False) for i in coarse_first)
        self.levels = nn.ModuleList()
        for i in coarse_first:
            level, start = nn.Module(), sum(depths[:i])
            level.blocks = nn.ModuleList(
                FusionBlock(
                    in_channels[i],
                    ATTENTIONS[index](in_channels[i], num_heads[i], self.window_size),
                    alpha,
                    double_scale,
                    mlp_ratio=mlp_ratio,
                    drop_path=rate,
                )
                for rate in rates[start : start + depths[i]]
            )
            if i:
                level.upsample = PatchExpand(in_channels[i], (1, 2, 2), dims=3)
            self.levels.append(level)
        self.norm = nn.LayerNorm(in_channels[0])
        self.last = PatchExpand(in_channels[0], tupled(patch_size, 3), in_channels[0], dims=3)
        self.channels = (in_channels[0],)
        self.apply(init_windows)

    def forward(self, maps: Sequence[Tensor], extras: dict) -> list[Tensor]:
        *skips, x = (each.movedim(1, -1) for each in maps)
        x = self.expand(x)
        for join, level, skip, memory in zip(self.joins, self.levels, skips[::-1], extras['memory'][::-1]):
            x = self.fuse(level.blocks, join(beside(x, skip)), memory)
            if hasattr(level, 'upsample'):
                x = level.upsample(x)
        return [self.last(self.norm(x)).movedim(-1, 1)]

    def fuse(self, blocks: Sequence[nn.Module], x: Tensor, memory: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        grids = [WindowGrid.of(x.shape[1:-1], self.window_size, shifted) for shifted in (False, True)]
        for index, (block, kept) in enumerate(zip(blocks, memory)):
            cp = self.with_cp and torch.is_grad_enabled()
            given = (x, grids[index % 2], *kept)
            x = checkpoint(block, *given, use_reentrant=False) if cp else block(*given)
        return x
