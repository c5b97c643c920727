"""Pixel-adaptive convolution (https://arxiv.org/abs/1904.05373, equation 3).

out(i) = sum over the window of K(f(i), f(j)) W(p(j) - p(i)) v(j) + b: a convolution whose taps weigh by how much the
guide f at the two pixels is alike, K being a Gaussian. Outside the image values and guide are zero.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PixelAdaptiveConv(nn.Conv2d):
    """Stride 1, size kept; the weights K of a window are divided by their sum.

    Args:
        kernel_size: odd.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 5):
        if kernel_size % 2 == 0:
            raise ValueError(f'a window with a middle pixel has an odd side, got kernel_size={kernel_size}')
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)

    def alike(self, guide: Tensor) -> Tensor:
        """B C H W -> B taps H W: how much each pixel of the window is like the middle one, sums to one."""
        distances = [(near - guide).float().square().sum(1) for _, near in self._shifted(guide)]
        weights = torch.exp(-0.5 * torch.stack(distances, dim=1))
        return (weights / weights.sum(1, keepdim=True)).to(guide.dtype)

    def forward(self, values: Tensor, alike: Tensor) -> Tensor:
        """Tap by tap, so that no window is ever copied out. values P C H W; alike P taps H W: P O H W."""
        out = self.bias[:, None, None]
        for tap, ((row, column), near) in enumerate(self._shifted(values)):
            out = out + F.conv2d(near * alike[:, tap, None], self.weight[:, :, row, column, None, None])
        return out

    def _shifted(self, maps: Tensor):
        """((row, column), B C H W) of every tap: what it sees from each pixel."""
        side, (height, width) = self.kernel_size[0], maps.shape[-2:]
        padded = F.pad(maps, [side // 2] * 4)
        for row in range(side):
            for column in range(side):
                yield (row, column), padded[..., row : row + height, column : column + width]
