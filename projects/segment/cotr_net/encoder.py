"""An encoder whose every stage ends in a transformer over few tokens (COTR-Net, Shen et al., KiTS 2021).

An interpretation: no code is public, and the text gives a convolution-transformer encoder of four layers with
positional encoding, skips, and deep supervision. Widths, tokens and layers are our choice. Not to be confused with CoTr
(https://arxiv.org/abs/2103.03024).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...layers.conv_block import ResidualConvBlock, conv_norm_act
from ...layers.patch import CONVS, tupled
from ...layers.position import sine_code
from ...layers.token_block import TokenBlocks
from ...registry import MODELS
from ..restore import enlarge

NORM, ACT = dict(type='IN', affine=True), dict(type='LeakyReLU', negative_slope=0.01, inplace=True)


class LightTransformer(nn.Module):
    """A map, plus what attention among few of its places makes of it: B C *size -> the same.

    Args:
        channels: of the map; embed_dims: of the tokens.
        tokens: the most places along each axis; larger maps are averaged to so many.
        positions: whether tokens know their places.
    """

    def __init__(
        self,
        channels: int,
        embed_dims: int,
        tokens: Sequence[int],
        num_layers: int,
        num_heads: int,
        dims: int,
        positions: bool = True,
    ):
        super().__init__()
        self.tokens, self.positions = tuple(tokens), positions
        self.into, self.out = CONVS[dims - 1](channels, embed_dims, 1), CONVS[dims - 1](embed_dims, channels, 1)
        self.blocks = TokenBlocks(num_layers, embed_dims, num_heads, order='post')

    def forward(self, x: Tensor) -> Tensor:
        size = tuple(x.shape[2:])
        few = [min(side, most) for side, most in zip(size, self.tokens)]
        pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[len(size) - 1]
        tokens = pool(self.into(x), few).movedim(1, -1)
        if self.positions:
            tokens = tokens + sine_code(few, tokens.shape[-1], x.device)
        tokens = self.blocks(tokens.flatten(1, -2)).transpose(1, 2).unflatten(2, few)
        return x + self.out(enlarge(tokens, size))


@MODELS.register_module()
class LightTransformerEncoder(BaseModule):
    """B C *size -> maps at strides 2, 4, 8, 16 (times ``stem_stride`` over 2).

    Args:
        channels: of the stages.
        depths: residual blocks of each.
        stem_stride: of the first convolution, (1, 2, 2) for thick slices.
        transformers, positions: switches for ablations.
        with_cp: recompute each stage in the backward pass to save memory.
    """

    tiny = dict(depths=(1, 1, 1, 1), num_heads=4, tokens=(2, 3, 3))

    def __init__(
        self,
        in_channels: int = 1,
        channels: Sequence[int] = (64, 128, 256, 512),
        depths: Sequence[int] = (1, 2, 2, 2),
        stem_stride: int | Sequence[int] = 2,
        embed_dims: int = 256,
        num_layers: int = 1,
        num_heads: int = 8,
        tokens: Sequence[int] = (8, 12, 12),
        transformers: bool = True,
        positions: bool = True,
        norm: dict = NORM,
        act: dict = ACT,
        dims: int = 3,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        first = tupled(stem_stride, dims)
        self.in_channels, self.channels, self.with_cp = in_channels, tuple(channels), with_cp
        self.strides = tuple(tuple(side * 2**i for side in first) for i in range(len(channels)))
        how = dict(dims=dims, norm=norm, act=act)
        self.stem = conv_norm_act(in_channels, channels[0], stride=first, **how)
        self.stages = nn.ModuleList()
        for i, (before, out, depth) in enumerate(zip((channels[0], *channels), channels, depths)):
            parts = [ResidualConvBlock(before, out, stride=2 if i else 1, **how)]
            parts += [ResidualConvBlock(out, out, **how) for _ in range(depth - 1)]
            if transformers:
                parts.append(LightTransformer(out, embed_dims, tokens, num_layers, num_heads, dims, positions))
            self.stages.append(nn.Sequential(*parts))

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = self.stem(images), []
        for stage in self.stages:
            cp = self.with_cp and torch.is_grad_enabled()
            x = checkpoint(stage, x, use_reentrant=False) if cp else stage(x)
            maps.append(x)
        return maps
