"""The way up from two transformers (BiTr-Unet, https://arxiv.org/abs/2109.12271).

As in the official code the branch of the finer transformer passes a transposed convolution of kernel 1 before it is
fused.
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.conv_block import UpConv
from ...layers.patch import CONVS
from ...registry import MODELS
from ..conv_encoder import DoubleConv, PlusConv
from ..trans_bts.levels import PointwiseLevel


class Branch(nn.Sequential):
    """From a transformer's map to the decoder's channels: two convolutions, then two with a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, dims: int):
        super().__init__(
            DoubleConv(in_channels, out_channels, dims, bias=True),
            PlusConv(out_channels, out_channels, dims, bias=True),
        )


@MODELS.register_module()
class TwoLevelDecoder(BaseModule):
    """Maps of :class:`TwoLevelBottleneck` -> one feature map."""

    def __init__(self, in_channels: Sequence[int], strides: Sequence, dims: int = 3, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        *skips, fine, coarse = in_channels
        width = skips[-1]
        self.coarse, self.fine = Branch(coarse, width, dims), Branch(fine, width, dims)
        self.first = PointwiseLevel(width, width, width, dims=dims)
        self.narrow = CONVS[dims - 1](width, width, 1)
        self.same = UpConv(width, width, 1, dims)
        self.fuse = CONVS[dims - 1](2 * width, width, 1)
        self.block = PlusConv(width, width, dims, bias=True)
        self.levels = nn.ModuleList(
            PointwiseLevel(before, skip, skip, dims=dims) for before, skip in zip(skips[:0:-1], skips[-2::-1])
        )
        self.channels = (skips[0],)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        *skips, fine, coarse = maps
        x = self.first(self.coarse(coarse), skips[-1])

        branch = self.same(self.narrow(self.fine(fine)))
        x = self.block(self.fuse(torch.cat([x, branch], dim=1)))

        for level, skip in zip(self.levels, skips[-2::-1]):
            x = level(x, skip)
        return [x]
