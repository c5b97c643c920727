"""What Cell-DETR's backbone and mask decoder are built of (https://arxiv.org/abs/2011.09763)."""

from dataclasses import dataclass

from torch import Tensor, nn

from ...registry import MODELS


@dataclass
class Bricks:
    """Which convolution, norm and activation a net is made of.

    Args:
        conv_cfg: built with in_channels, out_channels, kernel_size and padding.
        act_cfg: built for every place anew, for it may have parameters.
        norm: called with the number of channels.
    """

    conv_cfg: dict
    act_cfg: dict
    norm: type

    def conv(self, in_channels: int, out_channels: int, kernel_size: int) -> nn.Module:
        return MODELS.build(
            dict(
                self.conv_cfg,
                in_channels=in_channels,
                out_channels=out_channels,
                kernel_size=kernel_size,
                padding=kernel_size // 2,
            )
        )

    def act(self) -> nn.Module:
        return MODELS.build(dict(self.act_cfg))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each with norm and activation, beside a 1x1 one, or nothing where the channels stay."""

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int, bricks: Bricks):
        super().__init__()
        self.main = nn.Sequential(
            bricks.conv(in_channels, mid_channels, 3),
            bricks.norm(mid_channels),
            bricks.act(),
            bricks.conv(mid_channels, out_channels, 3),
            bricks.norm(out_channels),
            bricks.act(),
        )
        self.shortcut = nn.Identity() if in_channels == out_channels else bricks.conv(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.shortcut(x)
