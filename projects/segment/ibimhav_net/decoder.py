"""The block of IBIMHAV-Net's way up, which mirrors its encoder; for `UpDecoder` and `ConcatLevel`."""

from collections.abc import Sequence

from torch import Tensor, nn

from ...layers.conv_block import conv_norm_act
from ...layers.patch import tupled
from ...registry import MODELS
from .encoder import ACT, NORM, VoxelLevel


@MODELS.register_module()
class VoxelBlock(nn.Module):
    """A convolution to the channels of the level, then a :class:`VoxelLevel`.

    Args:
        others: see :class:`VoxelLevel`.
    """

    tiny = dict(window_size=2, num_heads=1)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dims: int = 3,
        num_heads: int = 2,
        window_size: int | Sequence[int] = 4,
        windows: bool = True,
        in_queries: bool = True,
        relative: bool = True,
        with_cp: bool = False,
    ):
        super().__init__()
        self.narrow = conv_norm_act(in_channels, out_channels, dims=dims, norm=NORM, act=ACT)
        window = tupled(window_size, dims)
        self.level = VoxelLevel(out_channels, num_heads, window, dims, windows, in_queries, relative, with_cp)

    def forward(self, x: Tensor) -> Tensor:
        return self.level(self.narrow(x))
