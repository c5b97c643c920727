"""The pixel decoder of Mask DINO and Mask2Former (https://arxiv.org/abs/2206.02777, section 3.2): deformable attention
over the coarse levels, and one step of a feature pyramid down to the finest, of which masks are made.

Differences from the official code: levels go from fine to coarse, and padding is masked.
"""

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmdet.models.layers import SinePositionalEncoding
from mmdet.models.necks import ChannelMapper
from torch import Tensor, nn

from ...registry import MODELS
from ..encoder import DeformableEncoder
from ..roles import MaskNeck
from ..structures import Memory


@MODELS.register_module()
class PixelMapper(ChannelMapper, MaskNeck):
    """mmdet's ``ChannelMapper`` on all levels but the finest, which gets a map of its own and stands before them.

    Args:
        in_channels: of the backbone's levels, finest first.
        out_channels: of all maps.
        num_outs: levels besides the finest; those that the backbone lacks are made of its coarsest.
        encode_finest: the finest level is one of these too (Mask DINO with Swin-L).
        norm_cfg: of all maps; that of the finest has no bias.
    """

    num_pixel_levels = 1

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_outs: int,
        kernel_size: int = 1,
        norm_cfg: dict = dict(type='GN', num_groups=32),
        bias: bool | str = True,
        encode_finest: bool = False,
    ):
        self.first = 0 if encode_finest else 1
        super().__init__(
            list(in_channels[self.first :]),
            out_channels,
            kernel_size,
            norm_cfg=norm_cfg,
            act_cfg=None,
            bias=bias,
            num_outs=num_outs,
        )
        self.lateral = ConvModule(in_channels[0], out_channels, 1, norm_cfg=norm_cfg, act_cfg=None, bias=False)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """B C H W of each level, finest first."""
        return self.lateral(inputs[0]), *super().forward(inputs[self.first :])


@MODELS.register_module()
class DeformablePixelDecoder(DeformableEncoder):
    """A deformable encoder of all maps but the finest, to which its own finest output is added: ``memory.pixels``.

    Args:
        norm_cfg: of the convolution over the sum.
        others: as those of :class:`DeformableEncoder`.
    """

    gives = ('pixels',)

    def __init__(
        self,
        embed_dims: int = 256,
        num_levels: int = 4,
        ffn_channels: int = 2048,
        dropout: float = 0.0,
        positional_encoding: dict = dict(type=SinePositionalEncoding, normalize=True),
        norm_cfg: dict = dict(type='GN', num_groups=32),
        **kwargs,
    ):
        super().__init__(
            embed_dims=embed_dims,
            num_levels=num_levels,
            ffn_channels=ffn_channels,
            dropout=dropout,
            positional_encoding=positional_encoding,
            **kwargs,
        )
        self.smooth = ConvModule(embed_dims, embed_dims, 3, padding=1, norm_cfg=norm_cfg, bias=False)
        self.mask_features = nn.Conv2d(embed_dims, embed_dims, 1)
        for conv in (self.smooth.conv, self.mask_features):
            nn.init.kaiming_uniform_(conv.weight, a=1)
        nn.init.zeros_(self.mask_features.bias)

    def forward(self, feats: list[Tensor], keeps: list[Tensor] | None) -> Memory:
        """feats: B C H W of each map, finest first; keeps: B H W bool of each, False on padding, or None."""
        finest, *feats = feats
        memory = super().forward(feats, None if keeps is None else keeps[1:])

        above = F.interpolate(memory.maps()[0], finest.shape[-2:], mode='bilinear', align_corners=False)
        memory.pixels = self.mask_features(self.smooth(finest + above.to(finest.dtype)))
        return memory
