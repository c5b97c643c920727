"""Cell-DETR's masks: a map of attention for each query, decoded by convolutions (https://arxiv.org/abs/2011.09763).

A query's attention maps stand beside the features of the coarsest level; block by block they grow to twice the size
and meet the backbone's finer features. At last either the maps of all queries are read together, and a pixel belongs
to one of them (softmax), or each is read on its own (sigmoid), and only those that somebody asks for are decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS, build_part
from ..detr_masks.attention_maps import SeparateMasks
from ..structures import Memory
from .blocks import Bricks, ResidualBlock
from .pixel_adaptive import PixelAdaptiveConv


@MODELS.register_module()
class SkipBlock(nn.Module):
    """Variant A: to half the channels, twice the size, then beside the finer features, which are the other half."""

    def __init__(self, in_channels: int, out_channels: int, bricks: Bricks):
        super().__init__()
        self.block = ResidualBlock(in_channels, out_channels // 2, out_channels // 2, bricks)

    def forward(self, x: Tensor, skip: Tensor, image: Tensor) -> Tensor:
        """x P C H W; skip B O/2 h w; image P, the image of each map: P O h w."""
        return torch.cat([enlarge(self.block(x), skip.shape[-2:]), skip[image]], dim=1)


@MODELS.register_module()
class AdaptiveBlock(nn.Module):
    """Variant B: twice the size, then a pixel-adaptive convolution guided by the finer features."""

    def __init__(self, in_channels: int, out_channels: int, bricks: Bricks):
        super().__init__()
        self.block = ResidualBlock(in_channels, out_channels, out_channels, bricks)
        self.adapt = PixelAdaptiveConv(out_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor, image: Tensor) -> Tensor:
        """As :class:`SkipBlock`, but skip B O h w."""
        return self.adapt(enlarge(self.block(x), skip.shape[-2:]), self.adapt.alike(skip)[image])


@MODELS.register_module()
class JointOutput(nn.Module):
    """The maps of all queries of an image side by side as channels: B*N C h w -> B N H W."""

    def __init__(self, channels: int, num_queries: int, bricks: Bricks):
        super().__init__()
        if num_queries < 2:
            raise ValueError(
                f'a pixel is to choose among the queries, got num_queries={num_queries}; with one take '
                "output=dict(type='mmparts.SeparateOutput')"
            )
        self.num_queries = num_queries
        wide = channels * num_queries
        self.block = ResidualBlock(wide, wide // 2, wide // 8, bricks)
        self.output = nn.Sequential(
            bricks.conv(wide // 8, channels, 3), bricks.act(), bricks.conv(channels, num_queries, 1)
        )

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        x = x.unflatten(0, (-1, self.num_queries)).flatten(1, 2)
        return self.output(enlarge(self.block(x), size))

    @property
    def kind(self) -> type:
        return JointMasks


@MODELS.register_module()
class SeparateOutput(nn.Module):
    """Each map on its own: P C h w -> P H W.

    Args:
        mid_channels: before the last activation. The official code has one; where that falls below zero almost
            everywhere, as it may in the first steps, masks are hardly learned.
    """

    def __init__(self, channels: int, bricks: Bricks, mid_channels: int = 1):
        super().__init__()
        self.block = ResidualBlock(channels, channels, channels, bricks)
        self.output = nn.Sequential(
            bricks.conv(channels, mid_channels, 3), bricks.act(), bricks.conv(mid_channels, 1, 1)
        )

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        large = enlarge(self.block(x), size).contiguous(memory_format=torch.channels_last)  # as CPUs like it
        return self.output(large).squeeze(1)

    @property
    def kind(self) -> type:
        return SeparateMasks


@MODELS.register_module()
class CellMaskDecoder(nn.Module):
    """
    Args:
        channels: of each block's output, coarsest first.
        block: config of the blocks, :class:`SkipBlock` or :class:`AdaptiveBlock`.
        output: config of the last step, :class:`JointOutput` or :class:`SeparateOutput`.
        conv_cfg, act_cfg: as those of :class:`CellBackbone`.
        as_published: at test the instance norms use statistics of the training, as the official code does, and not
            those of the map at hand; official weights need it.
    """

    def __init__(
        self,
        embed_dims: int = 128,
        num_heads: int = 8,
        num_queries: int = 12,
        channels: tuple[int, ...] = (128, 64, 32),
        block: dict = dict(type=SkipBlock),
        output: dict = dict(type=JointOutput),
        conv_cfg: dict = dict(type=nn.Conv2d),
        act_cfg: dict = dict(type=nn.LeakyReLU),
        as_published: bool = False,
    ):
        super().__init__()
        bricks = Bricks(conv_cfg, act_cfg, partial(nn.InstanceNorm2d, affine=True, track_running_stats=as_published))
        self.blocks = nn.ModuleList(
            build_part(block, in_channels=before, out_channels=after, bricks=bricks)
            for before, after in zip((embed_dims + num_heads, *channels), channels)
        )
        self.output = build_part(output, channels=channels[-1], num_queries=num_queries, bricks=bricks)

    def forward(self, attention: Tensor, memory: Memory) -> SeparateMasks:
        """attention B N heads H W."""
        return self.output.kind(attention[None], memory.skips, memory.images, self.decode)

    def decode(self, attention: Tensor, skips: list[Tensor], image: Tensor, size: tuple[int, int]) -> Tensor:
        """attention P heads H W of queries of some images (P): P h w, or B N h w where the queries are read jointly."""
        x = torch.cat([skips[-1][image], attention], dim=1)
        for block, skip in zip(self.blocks, skips[-2::-1]):
            x = block(x, skip, image)
        return self.output(x, size).float()


@dataclass
class JointMasks(SeparateMasks):
    """Masks of which every pixel has one; all are decoded at once."""

    @cached_property
    def all(self) -> Tensor:
        """B N H W."""
        batch, num_queries = self.attention.shape[1:3]
        image = torch.arange(batch, device=self.attention.device).repeat_interleave(num_queries)
        return self.decode(self.attention[0].flatten(0, 1), self.skips, image, self.images.padded)

    def logits(self, image: Tensor, query: Tensor) -> Tensor:
        """P H W: how far the query is ahead of the best other one."""
        best = self.all.topk(2, dim=1).values
        rival = torch.where(self.all == best[:, :1], best[:, 1:], best[:, :1])
        return (self.all - rival)[image, query]

    def chances(self, image: Tensor, query: Tensor) -> Tensor:
        return self.all.softmax(1)[image, query]


def enlarge(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Twice the size, or one row or column less where a finer level has an odd number of them; bicubic."""
    rows, columns = (bicubic(before, after, maps) for before, after in zip(maps.shape[-2:], size))
    return rows.T @ maps @ columns


def bicubic(before: int, after: int, like: Tensor) -> Tensor:
    """before after: what each old pixel of a line adds to each new one. Products with it are several times faster on a
    CPU than ``F.interpolate`` of maps, forth and back."""
    line = torch.eye(before, dtype=torch.float32, device=like.device)[None, None]
    return F.interpolate(line, size=(before, after), mode='bicubic', align_corners=False)[0, 0].to(like.dtype)
