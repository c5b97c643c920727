"""Windows over a volume between convolutions (nnFormer, https://arxiv.org/abs/2109.03201; its code at d48aaeb).

A window as large as the map is the paper's global attention. What differs from the official code: its bias tables are
read with a wrong index, so that different offsets share a row and most rows are never used (``index='colliding'`` does
as it does); windows shrink axis by axis, where its shrink on all axes at once; maps need not be multiples of anything.
"""

from collections.abc import Sequence
from functools import partial
from itertools import product

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.patch import tupled
from ...layers.token_block import drop_path_rates
from ...layers.window_attention import WindowAttention
from ...layers.window_block import WindowBlock, WindowStage
from ...registry import MODELS
from ..swin_unet.encoder import init_windows


class CollidingWindowAttention(WindowAttention):
    """Reads row ``dd (3w-1) + dh (2w-1) + dw`` of its table, d... from 0 and w the window's second side: 115 of 343
    rows for w = 4."""

    def rows(self, window):
        index = torch.zeros((1,) * 6, dtype=torch.long)
        factors = (3 * self.window_size[1] - 1, 2 * self.window_size[1] - 1, 1)
        for axis, (side, full, factor) in enumerate(zip(window, self.window_size, factors)):
            place = torch.arange(side)
            query = place.view([-1 if each == axis else 1 for each in range(6)])
            key = place.view([-1 if each == 3 + axis else 1 for each in range(6)])
            index = index + factor * (query - key + full - 1)
        return index.to(self.table_index.device)


ATTENTIONS = {'offset': WindowAttention, 'colliding': CollidingWindowAttention}


class ConvEmbed(nn.Module):
    """Two pairs of convolutions of kernel 3, the first of each with a stride; GELU and LayerNorm between them, and a
    last LayerNorm without GELU before it.

    Args:
        strides: of the two pairs.
    """

    def __init__(self, in_channels: int, embed_dims: int, strides: Sequence[Sequence[int]]):
        super().__init__()
        widths = (in_channels, embed_dims // 2, embed_dims)
        self.convs = nn.ModuleList()
        for before, out, stride in zip(widths, widths[1:], strides):
            self.convs.append(nn.Conv3d(before, out, 3, stride, padding=1))
            self.convs.append(nn.Conv3d(out, out, 3, padding=1))
        self.norms = nn.ModuleList(nn.LayerNorm(conv.out_channels) for conv in self.convs)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            x = conv(x)
            x = norm((x if index == 3 else nn.functional.gelu(x)).movedim(1, -1))
            x = x.movedim(-1, 1) if index < 3 else x
        return x


class ConvMerging(nn.Module):
    """GELU, LayerNorm, and a convolution with a stride: B D H W C -> B D' H' W' 2C.

    Args:
        stride: of each axis; the kernel is 3 where it is 2, else 1.
        padding: of each axis; default: 1 for kernels of 3.
    """

    def __init__(self, embed_dims: int, stride: Sequence[int], padding: Sequence[int] | None = None):
        super().__init__()
        kernel = tuple(2 * each - 1 for each in stride)
        padding = tuple(side // 2 for side in kernel) if padding is None else tuple(padding)
        self.norm = nn.LayerNorm(embed_dims)
        self.reduction = nn.Conv3d(embed_dims, 2 * embed_dims, kernel, tuple(stride), padding)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(nn.functional.gelu(x)).movedim(-1, 1)
        if x.device.type == 'cpu' and x.shape[-1] < 3:
            # In bfloat16 oneDNN (of torch 2.13) leaves parts of an output of 11 x 2 x 1 unwritten.
            with torch.autocast('cpu', enabled=False):
                return self.reduction(x.float()).movedim(1, -1)
        return self.reduction(x).movedim(1, -1)


@MODELS.register_module()
class VolumeFormerEncoder(BaseModule):
    """B C D H W -> a normed map for each stage.

    Args:
        stem_strides: of the two pairs of convolutions; together the patch: (2,2,2),(2,2,2) for 4x4x4 (brain tumours),
            (2,2,2),(1,2,2) for 2x4x4 (Synapse), (1,2,2),(1,2,2) for 1x4x4 (ACDC).
        merge_strides: between the stages.
        merge_paddings: of those convolutions, None for half of the kernel; ACDC's last is (0, 1, 1).
        windows: sides of each stage's window.
        index: 'offset' or 'colliding', see above.
        with_cp: recompute each block in the backward pass to save memory.
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        stages = len(cfg.get('depths', range(4)))
        return dict(
            embed_dims=12, depths=(2, 1, 1, 1)[:stages], num_heads=(1, 2, 2, 4)[:stages], windows=(3, 3, 3, 2)[:stages]
        )

    def __init__(
        self,
        in_channels: int = 4,
        embed_dims: int = 96,
        depths: Sequence[int] = (2, 2, 2, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        windows: Sequence[int | Sequence[int]] = (4, 4, 8, 4),
        stem_strides: Sequence[Sequence[int]] = ((2, 2, 2), (2, 2, 2)),
        merge_strides: Sequence[Sequence[int]] = ((2, 2, 2), (2, 2, 2), (2, 2, 2)),
        merge_paddings: Sequence[Sequence[int] | None] | None = None,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.2,
        index: str = 'offset',
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        count = len(depths)
        widths = [embed_dims * 2**i for i in range(count)]
        paddings = merge_paddings or (None,) * (count - 1)
        rates = iter(drop_path_rates(drop_path, sum(depths)))
        self.in_channels, self.channels = in_channels, tuple(widths)
        strides = [tuple(a * b for a, b in zip(*stem_strides))]
        for merge in merge_strides:
            strides.append(tuple(a * b for a, b in zip(strides[-1], merge)))
        self.strides = tuple(strides)

        self.patch_embed = ConvEmbed(in_channels, embed_dims, stem_strides)
        self.stages, self.norms = nn.ModuleList(), nn.ModuleList()
        for i, (width, heads, depth) in enumerate(zip(widths, num_heads, depths)):
            window = tupled(windows[i], 3)
            block = partial(WindowBlock, width, mlp_ratio=mlp_ratio)
            blocks = [block(ATTENTIONS[index](width, heads, window), drop_path=next(rates)) for _ in range(depth)]
            merge = ConvMerging(width, merge_strides[i], paddings[i]) if i + 1 < count else None
            self.stages.append(WindowStage(blocks, window, merge, with_cp))
            self.norms.append(nn.LayerNorm(width))
        self.apply(init_windows)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = self.patch_embed(images), []
        for stage, norm in zip(self.stages, self.norms):
            x = stage(x)
            maps.append(norm(x).movedim(-1, 1))
            if hasattr(stage, 'downsample'):
                x = stage.downsample(x)
        return maps


def colliding_rows(window: Sequence[int]) -> int:
    """How many rows of the table the colliding index ever reads."""
    factors = (3 * window[1] - 1, 2 * window[1] - 1, 1)
    offsets = product(*(range(2 * side - 1) for side in window))
    return len({sum(factor * each for factor, each in zip(factors, offset)) for offset in offsets})
