"""A small fully convolutional branch on one of the encoder's maps, which only training sees (PSPNet, UPerNet)."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers.conv_block import NORM, ConvBlock
from ..layers.patch import CONVS
from ..registry import MODELS


@MODELS.register_module()
class FCNBranch(BaseModule):
    """Convolutions with norm and ReLU, dropout, and a convolution of kernel 1 to the classes.

    Args:
        in_channels: of the encoder's maps; set by the segmentor.
        num_classes: channels of the logits; set by the segmentor.
        index: which of the maps it reads.
        mid_channels: between.
        weight: of its losses.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        index: int = 2,
        mid_channels: int = 256,
        num_convs: int = 1,
        weight: float = 1.0,
        dropout: float = 0.1,
        norm: dict | None = NORM,
        dims: int = 2,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.index, self.weight = index, weight
        self.convs = ConvBlock(in_channels[index], mid_channels, num_convs, dims=dims, norm=norm)
        self.dropout = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)[dims - 1](dropout)
        self.classify = CONVS[dims - 1](mid_channels, num_classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """B C *size each -> B K *size of the map that it reads."""
        return self.classify(self.dropout(self.convs(maps[self.index])))
