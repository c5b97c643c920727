"""Transformers over the two coarsest maps (BiTr-Unet, https://arxiv.org/abs/2109.12271)."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor

from ...registry import MODELS, build_part
from ..token_bottleneck import TokenBottleneck


@MODELS.register_module()
class TwoLevelBottleneck(BaseModule):
    """Maps a ... y z -> a ... y y' z': y stays for the skip, y' and z' are what transformers make of y and z.

    Args:
        fine, coarse: configs of the two.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence,
        fine: dict = dict(type=TokenBottleneck),
        coarse: dict = dict(type=TokenBottleneck),
        dims: int = 3,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.coarse = build_part(coarse, in_channels=in_channels, strides=strides, dims=dims)
        self.fine = build_part(fine, in_channels=in_channels[:-1], strides=strides[:-1], dims=dims)
        self.channels = (*in_channels[:-1], self.fine.channels[-1], self.coarse.channels[-1])
        self.strides = (*strides[:-1], strides[-2], strides[-1])

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [*maps[:-1], self.fine(maps[:-1])[-1], self.coarse(maps)[-1]]
