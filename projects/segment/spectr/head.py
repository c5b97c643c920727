"""From cubes of features to a map of pixels (SpecTr): a level of the way up, and heads that take the mean over the
bands."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS, build_part
from ..heads import RegionHead, SoftmaxHead
from ..up_decoder import joined
from .encoder import CubeConvs


@MODELS.register_module()
class ResizeLevel(nn.Module):
    """Nearest neighbours to the size of the skip, joined behind it, and a block."""

    def __init__(
        self, in_channels: int, skip_channels: int, out_channels: int, dims: int = 3, block: dict = dict(type=CubeConvs)
    ):
        super().__init__()
        self.block = build_part(block, in_channels=in_channels + skip_channels, out_channels=out_channels, dims=dims)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.block(joined(F.interpolate(x, skip.shape[2:], mode='nearest'), skip))


class _OverBands:
    """A convolution of kernel 1 and the mean over the bands, in either order the same."""

    def make(self, channels: int, kernel_size: int, dims: int, bias: bool) -> nn.Module:
        return nn.Conv3d(channels, self.num_classes, kernel_size, padding=kernel_size // 2, bias=bias)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [each.mean(2) for each in super().forward(features)]


@MODELS.register_module()
class SpectralRegionHead(_OverBands, RegionHead):
    """Sigmoid regions of a cube: B C S H W -> B K H W."""


@MODELS.register_module()
class SpectralSoftmaxHead(_OverBands, SoftmaxHead):
    """Softmax classes of a cube: B C S H W -> B K H W."""
