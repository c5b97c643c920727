"""An encoder of convolutions: a block a level, halved in between (U-Net and all that grew from it)."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers.conv_block import ACT, NORM, ConvBlock, ResidualConvBlock
from ..layers.patch import CONVS, tupled
from ..registry import MODELS, build_part


@MODELS.register_module()
class DoubleConv(ConvBlock):
    """Two convolutions (``num_convs``), each with norm and activation.

    Args:
        crops: valid convolutions, which make a map smaller.
        others: those of :func:`mmparts.layers.conv_block.conv_norm_act`.
    """

    def __init__(self, in_channels: int, out_channels: int, dims: int = 2, crops: bool = False, **kwargs):
        super().__init__(in_channels, out_channels, dims=dims, **(dict(padding=0) if crops else {}), **kwargs)


@MODELS.register_module()
class ResidualConv(ResidualConvBlock):
    """Two convolutions and a shortcut, which has a convolution where the channels change.

    Args:
        others: those of :class:`mmparts.layers.conv_block.ResidualConvBlock`.
    """

    def __init__(self, in_channels: int, out_channels: int, dims: int = 2, norm=NORM, act=ACT, num_convs: int = 2):
        super().__init__(in_channels, out_channels, num_convs, dims=dims, norm=norm, act=act)


@MODELS.register_module()
class PlusConv(DoubleConv):
    """What :class:`DoubleConv` makes of a map, plus the map: the last activation comes before the sum (TransBTS)."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


@MODELS.register_module()
class DroppedConv(nn.Module):
    """A convolution, of whose channels some are left out.

    Args:
        rate: chance of a channel, in training.
        always: in evaluation, too, as the official codes of TransBTS and BiTr-Unet do (by mistake).
    """

    def __init__(self, in_channels: int, out_channels: int, rate: float = 0.2, always: bool = False, dims: int = 3):
        super().__init__()
        self.conv = CONVS[dims - 1](in_channels, out_channels, 3, padding=1)
        self.rate, self.always = rate, always

    def forward(self, x: Tensor) -> Tensor:
        dropout = (F.dropout1d, F.dropout2d, F.dropout3d)[x.ndim - 3]
        return dropout(self.conv(x), self.rate, self.training or self.always)


@MODELS.register_module()
class ConvEncoder(BaseModule):
    """Maps at strides 1, 2, 4 and so on.

    Args:
        channels: of the levels, fine to coarse.
        stem: parts before the first level, one after the other, each with its ``out_channels``.
        block: what turns a map into one of other channels.
        block_after: the same from this level on, where it is another one.
        after: first level of ``block_after``.
        dropout: at the end of the contracting path, before the two coarsest levels' outputs leave.
        crops: whether the convolutions are valid.

    >>> encoder = ConvEncoder(in_channels=4, channels=(8, 16, 32), dims=3)
    >>> [tuple(level.shape[1:]) for level in encoder(torch.zeros(1, 4, 16, 24, 8))]
    [(8, 16, 24, 8), (16, 8, 12, 4), (32, 4, 6, 2)]
    """

    def __init__(
        self,
        in_channels: int = 1,
        channels: Sequence[int] = (64, 128, 256, 512, 1024),
        stem: Sequence[dict] = (),
        block: dict = dict(type=DoubleConv),
        block_after: dict | None = None,
        after: int = 0,
        dropout: float = 0.0,
        crops: bool = False,
        dims: int = 2,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.in_channels, self.channels, self.crops, self.dims = in_channels, tuple(channels), crops, dims
        self.strides = tuple(2**i for i in range(len(channels)))
        self.stem, width = chain(stem, in_channels, dims)
        self.levels = nn.ModuleList(
            build_part(
                block_after if block_after and i >= after else block,
                in_channels=before,
                out_channels=out,
                dims=dims,
                crops=crops,
            )
            for i, (before, out) in enumerate(zip((width, *channels), channels))
        )
        self.dropout = nn.Dropout(dropout)

    @staticmethod
    def tiny(cfg: dict) -> dict:
        return dict(channels=[max(16, width) for width in cfg.get('channels', (16,) * 5)])

    def forward(self, images: Tensor) -> list[Tensor]:
        """B C *size -> a map for each level."""
        x, maps = self.stem(images), []
        for index, level in enumerate(self.levels):
            x = level(pool(x) if index else x)
            if index >= len(self.levels) - 2:
                x = self.dropout(x)
            maps.append(x)
        return maps

    def check_size(self, size: Sequence[int]):
        """Refuse what the poolings would not halve evenly, of valid convolutions, or would leave nothing of."""
        needed = max(stride * getattr(level, 'multiple', 1) for level, stride in zip(self.levels, self.strides))
        if needed > self.strides[-1] and any(side % needed for side in size):
            right = [-(-side // needed) * needed for side in size]
            raise ValueError(
                f'image {by(size)} is not a multiple of {needed}, whole groups at every level; pad to {by(right)}'
            )
        if not self.crops:
            small = [side for side in size if side < self.strides[-1]]
            if small:
                raise ValueError(
                    f'image {by(size)} is too small for {len(self.channels)} levels; each side must be at least '
                    f'{self.strides[-1]}'
                )
        elif any(not self._halves(side) for side in size):
            right = [
                next(new for new in range(side, side + 2 ** len(self.channels) * 8) if self._halves(new))
                for side in size
            ]
            raise ValueError(
                f'image {by(size)}: valid convolutions need maps of even sides at every pooling; pad to {by(right)}'
            )

    def _halves(self, side: int) -> bool:
        """Whether a side is even, and above zero, at every pooling."""
        for level in range(len(self.channels)):
            side -= 2 * 2
            if side <= 0 or (level + 1 < len(self.channels) and side % 2):
                return False
            side //= 2
        return True


def chain(parts: Sequence[dict], channels: int, dims: int) -> tuple[nn.Sequential, int]:
    """Parts one after the other, each a config with its ``out_channels``; and the channels that leave them."""
    built = []
    for cfg in parts:
        built.append(build_part(cfg, in_channels=channels, dims=dims))
        channels = cfg['out_channels']
    return nn.Sequential(*built), channels


def pool(x: Tensor, kernel: int | Sequence[int] = 2) -> Tensor:
    """Max pooling of any number of axes; what an odd side leaves over is dropped."""
    dims = x.ndim - 2
    return (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1](x, tupled(kernel, dims))


def by(size: Sequence[int]) -> str:
    return 'x'.join(map(str, size))
