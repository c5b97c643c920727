"""An encoder of single voxels: convolutions of several reaches, then windows (IBIMHAV-Net,
https://arxiv.org/abs/2111.03868).

An interpretation, see attention.py. Tokens are voxels, not patches, so that vessels one voxel thick are not lost; that
costs memory: two maps of 32 channels at 96^3 are 226 MB. ``with_cp`` recomputes the windows.
"""

from collections.abc import Sequence
from functools import partial

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.conv_block import conv_norm_act, norm_of
from ...layers.patch import CONVS, tupled
from ...layers.window_block import WindowBlock, WindowStage
from ...registry import MODELS
from .attention import PlaceBiasedAttention

NORM, ACT = dict(type='IN', affine=True), dict(type='GELU')


class MultiScaleConv(nn.Module):
    """Kernels 1, 3 and 5 (the last depth-wise) side by side; their sum, normed and activated, plus the input."""

    def __init__(self, channels: int, dims: int, norm: dict = NORM):
        super().__init__()
        conv = CONVS[dims - 1]
        self.convs = nn.ModuleList(
            [
                conv(channels, channels, 1),
                conv(channels, channels, 3, padding=1),
                conv(channels, channels, 5, padding=2, groups=channels),
            ]
        )
        self.norm = build_norm_layer(norm_of(norm, dims), channels)[1]
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.act(self.norm(sum(conv(x) for conv in self.convs)))


class VoxelLevel(nn.Module):
    """A :class:`MultiScaleConv` and a pair of window blocks, the second one shifted.

    Args:
        windows: off, there are convolutions alone (an ablation, and for the memory of full resolution).
        in_queries, relative: see :class:`PlaceBiasedAttention`.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        window_size: Sequence[int],
        dims: int,
        windows: bool = True,
        in_queries: bool = True,
        relative: bool = True,
        with_cp: bool = False,
    ):
        super().__init__()
        self.conv = MultiScaleConv(channels, dims)
        attention = partial(PlaceBiasedAttention, channels, num_heads, window_size)
        blocks = [WindowBlock(channels, attention(in_queries=in_queries, relative=relative)) for _ in range(2)]
        self.stage = WindowStage(blocks, window_size, with_cp=with_cp) if windows else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x if self.stage is None else self.stage(x.movedim(1, -1)).movedim(-1, 1)


@MODELS.register_module()
class VoxelEncoder(BaseModule):
    """B C *size -> maps at strides 1, 2, 4, 8.

    Args:
        channels: of the levels.
        windows: whether each level has windows.
        others: see :class:`VoxelLevel`.
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        stages = len(cfg.get('channels', range(4)))
        return dict(window_size=2, num_heads=(1, 1, 2, 2)[:stages])

    def __init__(
        self,
        in_channels: int = 1,
        channels: Sequence[int] = (32, 64, 128, 256),
        num_heads: Sequence[int] = (2, 4, 8, 16),
        window_size: int | Sequence[int] = 4,
        windows: Sequence[bool] = (True, True, True, True),
        in_queries: bool = True,
        relative: bool = True,
        dims: int = 3,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.in_channels, self.channels = in_channels, tuple(channels)
        self.strides = tuple(2**i for i in range(len(channels)))
        how = dict(dims=dims, norm=NORM, act=ACT)
        self.embed = nn.Sequential(
            conv_norm_act(in_channels, channels[0], **how), conv_norm_act(channels[0], channels[0], **how)
        )
        self.levels = nn.ModuleList(
            VoxelLevel(width, heads, tupled(window_size, dims), dims, on, in_queries, relative, with_cp)
            for width, heads, on in zip(channels, num_heads, windows)
        )
        self.downs = nn.ModuleList(
            CONVS[dims - 1](before, after, 3, stride=2, padding=1) for before, after in zip(channels, channels[1:])
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = self.embed(images), []
        for index, level in enumerate(self.levels):
            x = level(self.downs[index - 1](x) if index else x)
            maps.append(x)
        return maps
