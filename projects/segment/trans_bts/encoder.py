"""The convolutional encoder of TransBTS (https://arxiv.org/abs/2103.04430): pre-activated residual blocks, strided
convolutions in between. Maps are taken after the blocks of their level."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...layers.conv_block import conv_norm_act
from ...layers.patch import CONVS
from ...registry import MODELS
from ..conv_encoder import DroppedConv

GROUPS = dict(type='GN', num_groups=8)


class PreActivated(nn.Sequential):
    """Twice norm, ReLU, convolution; plus the input."""

    def __init__(self, channels: int, dims: int, norm: dict):
        steps = dict(dims=dims, norm=norm, order=('norm', 'act', 'conv'), bias=True, act=dict(type='ReLU'))
        super().__init__(*(conv_norm_act(channels, channels, **steps) for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


@MODELS.register_module()
class PreActivatedEncoder(BaseModule):
    """Maps at strides 1, 2, 4, 8.

    Args:
        base_channels: of the finest map; they double from level to level.
        depths: blocks of each level.
        dropout: of the channels of the first convolution.
        always_drop: in evaluation, too, as the official code does.
        with_cp: recompute each block in the backward pass to save memory.
    """

    tiny = dict(base_channels=8, depths=(1, 1, 1, 1))

    def __init__(
        self,
        in_channels: int = 4,
        base_channels: int = 16,
        depths: Sequence[int] = (1, 2, 2, 4),
        dropout: float = 0.2,
        always_drop: bool = False,
        norm: dict = GROUPS,
        dims: int = 3,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        widths = [base_channels * 2**i for i in range(len(depths))]
        self.in_channels, self.with_cp = in_channels, with_cp
        self.channels, self.strides = tuple(widths), tuple(2**i for i in range(len(depths)))
        self.first = DroppedConv(in_channels, base_channels, dropout, always_drop, dims)
        self.downs = nn.ModuleList(
            CONVS[dims - 1](before, after, 3, stride=2, padding=1) for before, after in zip(widths, widths[1:])
        )
        self.levels = nn.ModuleList(
            nn.ModuleList(PreActivated(width, dims, norm) for _ in range(depth)) for width, depth in zip(widths, depths)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = self.first(images), []
        for index, level in enumerate(self.levels):
            x = self.downs[index - 1](x) if index else x
            for block in level:
                cp = self.with_cp and torch.is_grad_enabled()
                x = checkpoint(block, x, use_reentrant=False) if cp else block(x)
            maps.append(x)
        return maps
