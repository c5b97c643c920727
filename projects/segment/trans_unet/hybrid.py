"""The convolutional stem of the hybrid ViT: a ResNet with standardised weights and group norms (TransUNet,
https://arxiv.org/abs/2102.04306; "Big transfer", https://arxiv.org/abs/1912.11370).

The pooling has no padding, so the second map is a pixel short and is filled up for the skip alone, as in the official
code; what goes on is not. The ViT's own stem (`backbones/hybrid_resnet.py`) pads as TensorFlow does and has other
shortcuts.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...registry import MODELS
from ..conv_encoder import by


class StandardisedConv(nn.Conv2d):
    """Each filter has mean 0 and deviation 1 (https://arxiv.org/abs/1903.10520). mmcv's ``ConvWS`` divides by the
    unbiased deviation plus eps, which published weights do not know."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
        weight = (self.weight - mean) * torch.rsqrt(variance + 1e-5)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class Bottleneck(nn.Module):
    """Convolutions of kernels 1, 3, 1, each with a group norm; the stride is the middle one's."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        width = out_channels // 4
        self.conv1 = StandardisedConv(in_channels, width, 1, bias=False)
        self.gn1 = nn.GroupNorm(32, width, eps=1e-6)
        self.conv2 = StandardisedConv(width, width, 3, stride, padding=1, bias=False)
        self.gn2 = nn.GroupNorm(32, width, eps=1e-6)
        self.conv3 = StandardisedConv(width, out_channels, 1, bias=False)
        self.gn3 = nn.GroupNorm(32, out_channels, eps=1e-6)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = StandardisedConv(in_channels, out_channels, 1, stride, bias=False)
            self.gn_proj = nn.GroupNorm(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.gn_proj(self.downsample(x))
        x = self.gn1(self.conv1(x)).relu()
        x = self.gn2(self.conv2(x)).relu()
        return (self.gn3(self.conv3(x)) + shortcut).relu()


@MODELS.register_module()
class TransUNetStem(BaseModule):
    """B C H W -> maps at strides 2, 4, 8, 16.

    Args:
        depths: bottlenecks of the three stages.
        width: channels of the root, a multiple of 32; the stages have 4, 8 and 16 times as many.
        with_cp: recompute each bottleneck in the backward pass to save memory.
    """

    tiny = dict(depths=(1, 1, 1), width=32)

    def __init__(
        self,
        in_channels: int = 3,
        depths: Sequence[int] = (3, 4, 9),
        width: int = 64,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        widths = [width * 4 * 2**i for i in range(3)]
        self.in_channels, self.with_cp = in_channels, with_cp
        self.channels, self.strides = (width, *widths), (2, 4, 8, 16)
        self.root = nn.Sequential()
        self.root.add_module('conv', StandardisedConv(in_channels, width, 7, 2, padding=3, bias=False))
        self.root.add_module('gn', nn.GroupNorm(32, width, eps=1e-6))
        self.root.add_module('relu', nn.ReLU(inplace=True))
        self.stages = nn.ModuleList()
        for index, (before, out, depth) in enumerate(zip((width, *widths), widths, depths)):
            units = [Bottleneck(before if i == 0 else out, out, 2 if i == 0 and index else 1) for i in range(depth)]
            self.stages.append(nn.ModuleList(units))

    def forward(self, images: Tensor) -> list[Tensor]:
        size = images.shape[2:]
        x = self.root(images)
        maps = [x]
        x = F.max_pool2d(x, 3, 2)
        for index, stage in enumerate(self.stages):
            for unit in stage:
                cp = self.with_cp and torch.is_grad_enabled()
                x = checkpoint(unit, x, use_reentrant=False) if cp else unit(x)
            maps.append(filled_up(x, [side // (4 * 2**index) for side in size]))
        return maps

    def check_size(self, size: Sequence[int]):
        if any(side % 16 for side in size):
            right = [-(-side // 16) * 16 for side in size]
            raise ValueError(f'image {by(size)} is not a multiple of 16; pad to {by(right)}')


def filled_up(x: Tensor, size: Sequence[int]) -> Tensor:
    """Zeros at the far ends, to the size that the decoder expects."""
    return F.pad(x, [0, size[1] - x.shape[3], 0, size[0] - x.shape[2]])
