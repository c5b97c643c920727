"""Swin's way up: patches expand, join the skip, pass windows (Swin-Unet, https://arxiv.org/abs/2105.05537, figure 1).

The blocks a level are those of the encoder, whatever the official config's DECODER_DEPTHS says, which its code ignores.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.patch import PatchExpand, tupled
from ...layers.token_block import drop_path_rates
from ...registry import MODELS
from .encoder import init_windows, tiny_windows, window_stage


@MODELS.register_module()
class ExpandDecoder(BaseModule):
    """Maps fine to coarse -> one feature map of ``in_channels[0]`` channels at the size of the image.

    Args:
        depths, num_heads: of the encoder, fine to coarse.
        patch_size: of the encoder, which the last expansion undoes.
        drop_path: that of the encoder; a level has the rates of the encoder's.
        with_cp: recompute each block in the backward pass to save memory.
    """

    tiny = tiny_windows()

    def __init__(
        self,
        in_channels: Sequence[int],
        depths: Sequence[int] = (2, 2, 2, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        window_size: int | Sequence[int] = 7,
        patch_size: int | Sequence[int] = 4,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.2,
        dims: int = 2,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        rates = drop_path_rates(drop_path, sum(depths))
        starts = [sum(depths[:i]) for i in range(len(depths))]
        coarse_first = range(len(in_channels) - 2, -1, -1)
        self.expand = PatchExpand(in_channels[-1], dims=dims)
        self.joins = nn.ModuleList(nn.Linear(2 * in_channels[i], in_channels[i]) for i in coarse_first)
        self.levels = nn.ModuleList(
            window_stage(
                in_channels[i],
                num_heads[i],
                rates[starts[i] : starts[i] + depths[i]],
                tupled(window_size, dims),
                mlp_ratio,
                PatchExpand(in_channels[i], dims=dims) if i else None,
                with_cp,
            )
            for i in coarse_first
        )
        self.norm = nn.LayerNorm(in_channels[0])
        self.last = PatchExpand(in_channels[0], tupled(patch_size, dims), in_channels[0], dims)
        self.channels = (in_channels[0],)
        self.apply(init_windows)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        *skips, x = (each.movedim(1, -1) for each in maps)
        x = self.expand(x)
        for join, level, skip in zip(self.joins, self.levels, skips[::-1]):
            x = level(join(beside(x, skip)))
            if hasattr(level, 'downsample'):  # here it expands
                x = level.downsample(x)
        return [self.last(self.norm(x)).movedim(-1, 1)]


def beside(x: Tensor, skip: Tensor) -> Tensor:
    """Expanded tokens B *size C and the encoder's side by side; what the encoder's padding added is cut off."""
    size = skip.shape[1:-1]
    x = x[(slice(None), *map(slice, size))]
    missing = [new - old for new, old in zip(size, x.shape[1:-1])]
    if any(missing):
        x = F.pad(x, [0, 0, *(each for gap in reversed(missing) for each in (0, gap))])
    return torch.cat([x, skip], dim=-1)
