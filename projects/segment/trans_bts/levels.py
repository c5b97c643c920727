"""How TransBTS enters its transformer and how it comes up again (https://arxiv.org/abs/2103.04430)."""

from collections.abc import Sequence

from torch import Tensor, nn

from ...layers.conv_block import NORM, UpConv, conv_norm_act
from ...layers.patch import CONVS
from ...registry import MODELS, build_part
from ..conv_encoder import PlusConv
from ..up_decoder import joined


@MODELS.register_module()
class NormActConv(nn.Module):
    """Norm, ReLU, convolution: to the channels of the tokens."""

    def __init__(self, in_channels: int, out_channels: int, dims: int = 3, norm: dict = NORM):
        super().__init__()
        self.conv = conv_norm_act(
            in_channels,
            out_channels,
            dims=dims,
            norm=norm,
            act=dict(type='ReLU'),
            order=('norm', 'act', 'conv'),
            bias=True,
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


@MODELS.register_module()
class PointwiseLevel(nn.Module):
    """A convolution of kernel 1, a transposed one, joined behind the skip, one of kernel 1, and a block. None of the
    three has norm or activation.

    Args:
        block: at the channels of the level.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        scale: int | Sequence[int] = 2,
        dims: int = 3,
        block: dict = dict(type=PlusConv, bias=True),
    ):
        super().__init__()
        self.narrow = CONVS[dims - 1](in_channels, out_channels, 1)
        self.up = UpConv(out_channels, out_channels, scale, dims)
        self.fuse = CONVS[dims - 1](skip_channels + out_channels, out_channels, 1)
        self.block = build_part(block, in_channels=out_channels, out_channels=out_channels, dims=dims)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        return self.block(self.fuse(joined(self.up(self.narrow(x)), skip)))
