"""Deformable convolution, version 2, as a layer that reads its own offsets (https://arxiv.org/abs/1811.11168)."""

from torch import Tensor, nn

from ...ops.deform_conv import deform_conv2d
from ...registry import MODELS


@MODELS.register_module()
class ModulatedDeformConv(nn.Conv2d):
    """Offsets start at zero and the factors of the taps at one half. Arguments as those of ``nn.Conv2d``."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding)
        self.offset_mask = nn.Conv2d(in_channels, 3 * kernel_size**2, kernel_size, stride, padding)
        nn.init.zeros_(self.offset_mask.weight)
        nn.init.zeros_(self.offset_mask.bias)

    def forward(self, x: Tensor) -> Tensor:
        """B C H W -> B O h w."""
        taps = self.kernel_size[0] ** 2
        offset, mask = self.offset_mask(x).split([2 * taps, taps], dim=1)
        return deform_conv2d(x, offset, self.weight, mask.sigmoid(), self.bias, self.stride, self.padding)
