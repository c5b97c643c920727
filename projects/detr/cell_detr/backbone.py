"""Cell-DETR's backbone and the neck behind it (https://arxiv.org/abs/2011.09763)."""

from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...registry import MODELS
from ..roles import MaskNeck
from .blocks import Bricks, ResidualBlock


@MODELS.register_module()
class GreyPreprocessor(DetDataPreprocessor):
    """Images become grey (the mean of their channels) and get zero mean and unit deviation, each on its own."""

    by_image = True  # what :meth:`normalise` computes hangs on the image

    def __init__(self, pad_size_divisor: int = 16, **kwargs):
        super().__init__(pad_size_divisor=pad_size_divisor, **kwargs)

    def forward(self, data: dict, training: bool = False) -> dict:
        """inputs: a list of 1|3 H W."""
        data = self.cast_data(data)  # images cross to the device as bytes, and the means are taken there
        return super().forward({**data, 'inputs': [self.normalise(image) for image in data['inputs']]}, training)

    def normalise(self, image: Tensor) -> Tensor:
        """1|3 H W -> 1 H W."""
        return standardised(image)


def standardised(image: Tensor) -> Tensor:
    grey = image.float().mean(0, keepdim=True)
    return (grey - grey.mean()) / grey.std().clamp(min=1e-3)  # a black image stays black


@MODELS.register_module()
class CellBackbone(BaseModule):
    """Residual blocks, each followed by a mean over 2x2 pixels; to the first a 7x7 convolution of the image is added.

    Args:
        in_channels: of the image.
        channels: of each block.
        conv_cfg: variant B has ``dict(type='mmparts.ModulatedDeformConv')``.
        act_cfg: variant B has ``dict(type='mmparts.PadeUnit')``.
    """

    def __init__(
        self,
        in_channels: int = 1,
        channels: tuple[int, ...] = (64, 128, 256, 256),
        conv_cfg: dict = dict(type=nn.Conv2d),
        act_cfg: dict = dict(type=nn.LeakyReLU),
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.channels = tuple(channels)
        self.strides = tuple(2 ** (index + 1) for index in range(len(channels)))
        bricks = Bricks(conv_cfg, act_cfg, nn.BatchNorm2d)
        self.stem = bricks.conv(in_channels, channels[0], 7)
        self.blocks = nn.ModuleList(
            ResidualBlock(before, before, after, bricks) for before, after in zip((in_channels, *channels), channels)
        )
        self.pool = nn.AvgPool2d(2, ceil_mode=True)
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and not name.endswith('offset_mask'):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """B C H W -> the output of every block, finest first."""
        x, outputs = images, []
        for index, block in enumerate(self.blocks):
            x = block(x) if index else block(x) + self.stem(x)
            x = self.pool(x)
            outputs.append(x)
        return tuple(outputs)


@MODELS.register_module()
class SkipMapper(MaskNeck, nn.Module):
    """A 1x1 convolution on every level: on the coarsest for the transformer, on the others for the mask decoder.

    Args:
        in_channels: of the backbone's levels, finest first.
        out_channels: of the coarsest.
        skip_channels: of the others, finest first.
        conv_cfg: of the others.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        skip_channels: tuple[int, ...],
        conv_cfg: dict = dict(type=nn.Conv2d),
    ):
        super().__init__()
        if len(in_channels) != len(skip_channels) + 1:
            raise ValueError(
                f'the backbone gives {len(in_channels)} levels (channels {list(in_channels)}), so '
                f'{len(in_channels) - 1} skip_channels are needed, got {list(skip_channels)}'
            )
        self.num_skips = len(skip_channels)
        self.skips = nn.ModuleList(
            MODELS.build(dict(conv_cfg, in_channels=before, out_channels=after, kernel_size=1))
            for before, after in zip(in_channels, skip_channels)
        )
        self.level = nn.Conv2d(in_channels[-1], out_channels, 1)

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """B C H W of each level, finest first."""
        return *(skip(feat) for skip, feat in zip(self.skips, feats)), self.level(feats[-1])
