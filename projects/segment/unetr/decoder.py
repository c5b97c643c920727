"""The convolutional decoders of UNETR (https://arxiv.org/abs/2103.10504) and Swin UNETR
(https://arxiv.org/abs/2201.01266).

As in MONAI's code: residual blocks with instance norm without affine and LeakyReLU 0.01 (the paper's figure has batch
norm and ReLU), no bias in any convolution but the head's.
"""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.conv_block import ConvBlock, ResidualConvBlock, UpConv
from ...layers.patch import tupled
from ...registry import MODELS
from ..conv_encoder import by
from ..up_decoder import joined

INSTANCE = dict(type='IN')
LEAKY = dict(type='LeakyReLU', negative_slope=0.01, inplace=True)


def conv_block(
    in_channels: int, out_channels: int, dims: int, residual: bool = True, norm: dict = INSTANCE
) -> nn.Module:
    """Two convolutions with norm and LeakyReLU, with a shortcut or without."""
    kind = ResidualConvBlock if residual else ConvBlock
    return kind(in_channels, out_channels, dims=dims, norm=norm, act=LEAKY)


class Projection(nn.Module):
    """Tokens of a tap, enlarged step by step to the size of a decoder level.

    Args:
        steps: enlargements by 2 after the first.
        conv: whether a block follows each of those steps.
    """

    def __init__(
        self, in_channels: int, out_channels: int, steps: int, dims: int, conv: bool, residual: bool, norm: dict
    ):
        super().__init__()
        self.first = UpConv(in_channels, out_channels, dims=dims, bias=False)
        self.steps = nn.ModuleList()
        for _ in range(steps):
            step = [UpConv(out_channels, out_channels, dims=dims, bias=False)]
            step += [conv_block(out_channels, out_channels, dims, residual, norm)] if conv else []
            self.steps.append(nn.Sequential(*step))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for step in self.steps:
            x = step(x)
        return x


class UpBlock(nn.Module):
    """A transposed convolution, joined with the skip, and a block."""

    def __init__(self, in_channels: int, out_channels: int, dims: int, residual: bool = True, norm: dict = INSTANCE):
        super().__init__()
        self.up = UpConv(in_channels, out_channels, dims=dims, bias=False)
        self.block = conv_block(2 * out_channels, out_channels, dims, residual, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.block(joined(self.up(x), skip, skip_first=False))


@MODELS.register_module()
class UNETRDecoder(BaseModule):
    """Image and n maps, all at stride 2^n -> features at strides 1 [, 2, 4]. The paper has four, at stride 16.

    Args:
        feature_dims: channels of the finest level.
        conv: blocks between the enlargements of the taps (MONAI's ``conv_block``).
        residual: residual blocks (MONAI's ``res_block``).
        num_outputs: how many of the finest levels are features, for deep supervision.
    """

    takes_image = True
    tiny = dict(feature_dims=4)

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Sequence[int]],
        image_channels: int,
        feature_dims: int = 16,
        conv: bool = True,
        residual: bool = True,
        norm: dict = INSTANCE,
        num_outputs: int = 1,
        dims: int = 3,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        levels = len(in_channels)
        if any(side != 2**levels for stride in strides for side in tupled(stride, dims)):
            raise ValueError(
                f'{levels} maps at strides {", ".join(by(tupled(each, dims)) for each in strides)}; UNETR reads n maps '
                f'at stride 2^n, {levels} at {2**levels}: taps and patch_size of the encoder go together'
            )
        widths = [feature_dims * 2**i for i in range(levels)]
        self.image = conv_block(image_channels, feature_dims, dims, residual, norm)
        self.projections = nn.ModuleList(
            Projection(channels, width, steps, dims, conv, residual, norm)
            for channels, width, steps in zip(in_channels, widths[1:], range(levels - 2, -1, -1))
        )
        before = (in_channels[-1], *widths[:0:-1])
        self.ups = nn.ModuleList(
            UpBlock(each, width, dims, residual, norm) for each, width in zip(before, widths[::-1])
        )
        self.channels = tuple(widths[:num_outputs])

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        image, *taps, x = maps
        skips = [self.image(image), *(project(tap) for project, tap in zip(self.projections, taps))]
        features = []
        for up, skip in zip(self.ups, skips[::-1]):
            x = up(x, skip)
            features.append(x)
        return features[::-1][: len(self.channels)]


@MODELS.register_module()
class SwinUNETRDecoder(BaseModule):
    """Image and five maps at strides 2 to 32 -> features at strides 1 [, 2, 4 ...].

    Every map but the second coarsest passes a residual block before it is joined.

    Args:
        num_outputs: how many of the finest levels are features, for deep supervision.
    """

    takes_image = True

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Sequence[int]],
        image_channels: int,
        norm: dict = INSTANCE,
        num_outputs: int = 1,
        dims: int = 3,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        width = in_channels[0]
        self.image = conv_block(image_channels, width, dims, norm=norm)
        self.skips = nn.ModuleList(
            nn.Identity() if index == len(in_channels) - 2 else conv_block(channels, channels, dims, norm=norm)
            for index, channels in enumerate(in_channels)
        )
        targets = (*in_channels[-2::-1], width)
        self.ups = nn.ModuleList(
            UpBlock(before, out, dims, norm=norm) for before, out in zip((in_channels[-1], *targets), targets)
        )
        self.channels = tuple(targets[::-1][:num_outputs])
        self.coarsest = strides[-1]

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        image, *maps = maps
        *skips, x = (block(each) for block, each in zip(self.skips, maps))
        features = []
        for up, skip in zip(self.ups, [*skips[::-1], self.image(image)]):
            x = up(x, skip)
            features.append(x)
        return features[::-1][: len(self.channels)]

    def check_size(self, size: Sequence[int]):
        """Refuse what leaves one voxel at the coarsest level, where an instance norm has nothing to compare."""
        if all(side <= stride for side, stride in zip(size, self.coarsest)):
            raise ValueError(
                f'image {by(size)} leaves one voxel at stride {by(self.coarsest)}; one side must be longer than that'
            )
