"""A pyramid out of the one map of a plain backbone ("Exploring plain vision transformer backbones for object
detection", https://arxiv.org/abs/2203.16527, section 3 and appendix A.2)."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..registry import MODELS


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of B C H W."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def rescale(channels: int, scale: float) -> tuple[list[nn.Module], int]:
    """What makes a map ``scale`` times as large, and the channels it leaves."""
    if scale == 4:
        half, quarter = channels // 2, channels // 4
        first, second = nn.ConvTranspose2d(channels, half, 2, 2), nn.ConvTranspose2d(half, quarter, 2, 2)
        return [first, ChannelNorm(half, eps=1e-6), nn.GELU(), second], quarter
    if scale == 2:
        return [nn.ConvTranspose2d(channels, channels // 2, 2, 2)], channels // 2
    pools = {1: 0, 0.5: 1, 0.25: 2}
    if scale not in pools:
        raise ValueError(f'scale {scale} of a simple pyramid is none of 4, 2, 1, 0.5, 0.25')
    return [nn.MaxPool2d(2, 2, ceil_mode=True) for _ in range(pools[scale])], channels


@MODELS.register_module()
class SimplePyramid(BaseModule):
    """Deconvolutions for finer maps, pooling for coarser ones; then two convolutions with norms for each.

    Args:
        in_channels: of the backbone's maps.
        maps: for each scale, which of the backbone's maps it is made of; default: the last for all. Frozen backbones
            keep what is small in earlier blocks.
        scales: sizes of the outputs over that of the map, finest first. On patches of 16 the default gives the strides
            4, 8, 16, 32; detectors that begin at 8 take ``(2, 1, 0.5, 0.25)``.
        num_outs: more outputs than scales are every second pixel of the last one.

    Raises:
        ValueError: an unknown scale; fewer outputs than scales; `maps` that are no number of a map for each scale.

    >>> pyramid = SimplePyramid([32], out_channels=16)
    >>> [tuple(level.shape[2:]) for level in pyramid([torch.zeros(1, 32, 4, 6)])]
    [(16, 24), (8, 12), (4, 6), (2, 3)]
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 256,
        scales: Sequence[float] = (4, 2, 1, 0.5),
        num_outs: int | None = None,
        maps: Sequence[int] | None = None,
        init_cfg: dict | list | None = None,
    ):
        super().__init__(init_cfg)
        self.maps = tuple(maps) if maps is not None else (-1,) * len(scales)
        count = len(in_channels)
        if len(self.maps) != len(scales) or not all(-count <= number < count for number in self.maps):
            raise ValueError(f'maps={self.maps} must name, for each of the scales {tuple(scales)}, one of {count} maps')
        self.num_outs = num_outs or len(scales)
        if self.num_outs < len(scales):
            raise ValueError(f'{len(scales)} scales {tuple(scales)}, but only {self.num_outs} outputs are asked for')
        self.levels = nn.ModuleList()
        for scale, number in zip(scales, self.maps):
            layers, channels = rescale(in_channels[number], scale)
            for kernel in (1, 3):
                conv = nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2, bias=False)
                layers += [conv, ChannelNorm(out_channels, eps=1e-6)]
                channels = out_channels
            self.levels.append(nn.Sequential(*layers))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        outs = [level(maps[number]) for level, number in zip(self.levels, self.maps)]
        while len(outs) < self.num_outs:
            outs.append(F.max_pool2d(outs[-1], 1, 2))
        return tuple(outs)


@MODELS.register_module()
class PyramidBackbone(BaseModule):
    """A plain backbone with its pyramid, as a backbone: for heads with necks of their own (Mask DINO, UPerNet).
    Publishes ``channels`` and ``strides``.

    Args:
        backbone: config of one whose last map is taken, such as a `ViT`.
        out_channels, scales: those of :class:`SimplePyramid`.
    """

    def __init__(
        self,
        backbone: dict,
        out_channels: int = 256,
        scales: Sequence[float] = (4, 2, 1, 0.5),
        init_cfg: dict | list | None = None,
    ):
        super().__init__(init_cfg)
        self.backbone = MODELS.build(backbone)
        self.pyramid = SimplePyramid(self.backbone.channels, out_channels, scales)
        self.in_channels = self.backbone.in_channels
        self.channels = (out_channels,) * len(scales)
        self.strides = tuple(int(self.backbone.strides[-1] / scale) for scale in scales)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.pyramid(self.backbone(images))

    @property
    def num_layer_ids(self) -> int:
        return self.backbone.num_layer_ids

    def layer_id(self, name: str) -> int:
        """That of the backbone; the pyramid has the full rate."""
        part, _, rest = name.partition('.')
        return self.backbone.layer_id(rest) if part == 'backbone' else self.num_layer_ids - 1
