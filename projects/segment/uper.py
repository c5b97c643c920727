"""UPerNet: pooled context on the coarsest map, and a pyramid that is fused on the finest.

Paper: "Unified perceptual parsing for scene understanding", https://arxiv.org/abs/1807.10221; the decoder of Swin,
ViT-Adapter, InternImage and BEiT on ADE20K. As mmseg's `UPerHead`, whose weights fit by name, see the test.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers.conv_block import NORM, conv_norm_act
from ..registry import MODELS


@MODELS.register_module()
class UPerDecoder(BaseModule):
    """
    Args:
        in_channels, strides: of the encoder's maps; set by the segmentor.
        mid_channels: of all maps inside, and of the features.
        pools: sides of the grids that the coarsest map is averaged to.
        norm: of all convolutions.

    Raises:
        ValueError: batch norm in training on a single image, whose coarsest map is pooled to one pixel.
    """

    tiny = dict(mid_channels=16)

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[int],
        mid_channels: int = 512,
        pools: Sequence[int] = (1, 2, 3, 6),
        norm: dict | None = NORM,
        init_cfg: dict | list | None = None,
    ):
        super().__init__(init_cfg)
        self.channels, self.strides, self.pools = (mid_channels,), tuple(strides[:1]), tuple(pools)

        def conv(channels: int, kernel_size: int) -> nn.Module:
            return conv_norm_act(channels, mid_channels, kernel_size, norm=norm)

        *finer, coarsest = in_channels
        self.contexts = nn.ModuleList(conv(coarsest, 1) for _ in pools)
        self.join_context = conv(coarsest + len(pools) * mid_channels, 3)
        self.laterals = nn.ModuleList(conv(channels, 1) for channels in finer)
        self.smooth = nn.ModuleList(conv(mid_channels, 3) for _ in finer)
        self.fuse = conv(len(in_channels) * mid_channels, 3)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """B C *size each, finest first -> one feature map of the size of the finest."""
        *finer, coarsest = maps
        tops = [lateral(each) for lateral, each in zip(self.laterals, finer)] + [self.context(coarsest)]
        for index in reversed(range(len(finer))):
            tops[index] = tops[index] + resized(tops[index + 1], tops[index])

        smoothed = [conv(each) for conv, each in zip(self.smooth, tops)] + tops[-1:]
        return [self.fuse(torch.cat([resized(each, smoothed[0]) for each in smoothed], dim=1))]

    def context(self, x: Tensor) -> Tensor:
        try:
            pooled = [conv(F.adaptive_avg_pool2d(x, side)) for conv, side in zip(self.contexts, self.pools)]
        except ValueError as error:  # torch's, of batch norm
            raise ValueError(
                f'UPerDecoder trains on a batch of {len(x)}, pooled to one pixel: its batch norm has a single value; '
                "batch_size=2, norm=dict(type='SyncBN') on several processes, or norm=dict(type='GN', num_groups=32)"
            ) from error
        return self.join_context(torch.cat([x, *(resized(each, x) for each in pooled)], dim=1))


def resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode='bilinear', align_corners=False)
