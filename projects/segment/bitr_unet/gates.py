"""Convolutions followed by gates of channels and of places (CBAM, https://arxiv.org/abs/1807.06521), as BiTr-Unet has
them (https://arxiv.org/abs/2109.12271).

As in its code the convolutions have no norm, and the map of places passes a ReLU before the sigmoid, so that its gates
lie in [0.5, 1); ``signed=True`` leaves that ReLU out, as the CBAM paper does.
"""

import torch
from torch import Tensor, nn

from ...layers.conv_block import ACT, ConvBlock
from ...layers.patch import CONVS
from ...registry import MODELS


class ChannelGate(nn.Module):
    """A factor for each channel, from its mean and its maximum, which one MLP reads.

    Args:
        reduction: of the hidden channels.
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(self, x: Tensor) -> Tensor:
        places = x.flatten(2)
        factor = self.mlp(places.mean(2)) + self.mlp(places.amax(2))
        return x * factor.sigmoid().view(*factor.shape, *[1] * (x.ndim - 2))


class PlaceGate(nn.Module):
    """A factor for each place, from maximum and mean over the channels."""

    def __init__(self, dims: int, signed: bool = False):
        super().__init__()
        self.conv = CONVS[dims - 1](2, 1, 7, padding=3, bias=False)
        self.signed = signed

    def forward(self, x: Tensor) -> Tensor:
        factor = self.conv(torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], dim=1))
        return x * (factor if self.signed else factor.relu()).sigmoid()


@MODELS.register_module()
class GatedConv(nn.Module):
    """Two convolutions with activation, then both gates.

    Args:
        dilation: of both convolutions.
        norm: of the convolutions; the official code asks for none.
        signed: see above.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dims: int = 3,
        dilation: int = 1,
        norm: dict | None = None,
        act: dict = ACT,
        reduction: int = 16,
        signed: bool = False,
    ):
        super().__init__()
        how = dict(dims=dims, dilation=dilation, padding=dilation, norm=norm, act=act, bias=True)
        self.convs = ConvBlock(in_channels, out_channels, **how)
        self.channel_gate = ChannelGate(out_channels, reduction)
        self.place_gate = PlaceGate(dims, signed)

    def forward(self, x: Tensor) -> Tensor:
        return self.place_gate(self.channel_gate(self.convs(x)))
