"""Atrous spatial pyramid pooling (DeepLab v3, https://arxiv.org/abs/1706.05587), as BAT has it: every convolution has
a bias and is followed by norm and ReLU."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.conv_block import conv_norm_act
from ...registry import MODELS
from ..restore import enlarge


@MODELS.register_module()
class ASPPDecoder(BaseModule):
    """The coarsest map through branches of several reaches -> one feature map of its size.

    Args:
        channels: of a branch and of the output.
        dilations: of the branches with kernel 3.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 256,
        dilations: Sequence[int] = (6, 12, 18),
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        width = in_channels[-1]
        self.point = conv_norm_act(width, channels, 1, bias=True)
        self.atrous = nn.ModuleList(
            conv_norm_act(width, channels, 3, padding=rate, dilation=rate, bias=True) for rate in dilations
        )
        self.pooled = conv_norm_act(width, channels, 1, bias=True)
        self.fuse = conv_norm_act((len(dilations) + 2) * channels, channels, 1, bias=True)
        self.channels = (channels,)

    @staticmethod
    def tiny(cfg: dict) -> dict:
        return dict(channels=16)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        x = maps[-1]
        pooled = enlarge(self.pooled(x.mean((2, 3), keepdim=True)), tuple(x.shape[2:]))
        branches = [self.point(x), *(branch(x) for branch in self.atrous), pooled]
        return [self.fuse(torch.cat(branches, dim=1))]
