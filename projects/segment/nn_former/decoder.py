"""A decoder whose levels ask the encoder's map by attention (nnFormer, https://arxiv.org/abs/2109.03201, section 3.3),
and the head that undoes the patches.

As in the official code queries are the normed map itself, without a projection, and one norm serves both maps.
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...layers.attention import split_heads
from ...layers.conv_block import crop_or_pad
from ...layers.patch import tupled
from ...layers.token_block import drop_path_rates
from ...layers.window_block import WindowBlock
from ...layers.window_grid import WindowGrid
from ...registry import MODELS
from ..heads import SoftmaxHead
from ..swin_unet.encoder import init_windows
from .encoder import ATTENTIONS


def asking(kind: type) -> type:
    """A window attention whose keys and values come from another map, and whose queries are not projected."""

    class SkipAttention(kind):
        def __init__(self, embed_dims: int, num_heads: int, window_size: Sequence[int]):
            super().__init__(embed_dims, num_heads, window_size)
            del self.qkv
            self.kv = nn.Linear(embed_dims, 2 * embed_dims)

        def forward(self, windows: Tensor, grid: WindowGrid, skip: Tensor) -> Tensor:
            """Queries and the skip, both nW*B N C -> nW*B N C."""
            key, value = self.kv(skip).chunk(2, dim=-1)
            heads = (split_heads(each, self.num_heads) for each in (windows, key, value))
            return self.attend(*heads, grid)

    return SkipAttention


SKIP_ATTENTIONS = {name: asking(kind) for name, kind in ATTENTIONS.items()}


class SkipBlock(WindowBlock):
    """Attention of a map to the skip, then an MLP; plus the sum of both maps."""

    def forward(self, x: Tensor, skip: Tensor, grid: WindowGrid) -> Tensor:
        queries, keys = (grid.partition(self.norm1(each)) for each in (x, skip))
        attended = grid.reverse(self.attn(queries, grid, keys))
        x = x + skip + self.drop_path(attended)
        return x + self.drop_path(self.mlp(self.norm2(x)))


class Upsample(nn.Module):
    """LayerNorm, and a transposed convolution to half the channels: B D H W C -> B *size C/2."""

    def __init__(self, embed_dims: int, stride: Sequence[int]):
        super().__init__()
        self.norm = nn.LayerNorm(embed_dims)
        self.up = nn.ConvTranspose3d(embed_dims, embed_dims // 2, tuple(stride), tuple(stride))

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """A side that a merging without padding cut off is made of the convolution's bias."""
        x = self.norm(x).movedim(-1, 1)
        least = [side * stride for side, stride in zip(x.shape[2:], self.up.stride)]
        possible = [min(max(want, low), low + stride - 1) for want, low, stride in zip(size, least, self.up.stride)]
        return crop_end(self.up(x, output_size=possible), size).movedim(1, -1)


def crop_end(x: Tensor, size: Sequence[int]) -> Tensor:
    """B C *old -> B C *size, what is too much cut off at the ends."""
    x = x[(..., *map(slice, size))]
    return x if tuple(x.shape[2:]) == tuple(size) else crop_or_pad(x, size)


@MODELS.register_module()
class SkipAttentionDecoder(BaseModule):
    """Maps fine to coarse -> features of all levels but the coarsest, or the finest alone.

    Args:
        in_channels, strides: of the maps; set by the segmentor.
        depths, num_heads, windows: of the levels, fine to coarse. The official code for tumours takes its heads from
            the encoder's list one place off, 6, 12, 24; that for Synapse and ACDC does not, 3, 6, 12.
        num_outputs: how many of the finest levels are features, for deep supervision.
        index: see the encoder.
        with_cp: recompute each block in the backward pass to save memory.
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        stages = len(cfg.get('depths', range(3)))
        return dict(depths=(2, 1, 1)[:stages], num_heads=(1, 2, 2)[:stages], windows=(3, 3, 3)[:stages])

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Sequence[int]],
        depths: Sequence[int] = (2, 2, 2),
        num_heads: Sequence[int] = (6, 12, 24),
        windows: Sequence[int | Sequence[int]] = (4, 4, 8),
        mlp_ratio: float = 4.0,
        drop_path: float = 0.2,
        num_outputs: int = 1,
        index: str = 'offset',
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        rates = drop_path_rates(drop_path, sum(depths))
        self.windows, self.with_cp = [tupled(window, 3) for window in windows[::-1]], with_cp
        self.ups, self.levels = nn.ModuleList(), nn.ModuleList()
        for i in range(len(in_channels) - 2, -1, -1):
            width, window, start = in_channels[i], tupled(windows[i], 3), sum(depths[:i])
            kinds = [(SkipBlock, SKIP_ATTENTIONS), *[(WindowBlock, ATTENTIONS)] * (depths[i] - 1)]
            self.levels.append(
                nn.ModuleList(
                    kind(width, attentions[index](width, num_heads[i], window), mlp_ratio, rates[start + j])
                    for j, (kind, attentions) in enumerate(kinds)
                )
            )
            ratio = tuple(b // a for a, b in zip(strides[i], strides[i + 1]))
            self.ups.append(Upsample(in_channels[i + 1], ratio))
        self.channels = tuple(in_channels[:num_outputs])
        self.apply(init_windows)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        *skips, x = (each.movedim(1, -1) for each in maps)
        features = []
        for up, level, skip, window in zip(self.ups, self.levels, skips[::-1], self.windows):
            grids = [WindowGrid.of(skip.shape[1:-1], window, shifted) for shifted in (False, True)]
            x = self.run(level[0], up(x, skip.shape[1:-1]), skip, grids[0])
            for index, block in enumerate(level[1:], 1):
                x = self.run(block, x, grids[index % 2])
            features.append(x.movedim(-1, 1))
        return features[::-1][: len(self.channels)]

    def run(self, block: nn.Module, *inputs) -> Tensor:
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)


@MODELS.register_module()
class PatchHead(SoftmaxHead):
    """A transposed convolution for each feature map, which undoes the patches: the finest logits are as large as the
    image.

    Args:
        patch_size: sides of a patch.
        others: see :class:`mmparts.segment.heads.SegmentHead`.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        patch_size: int | Sequence[int] = 4,
        dims: int = 3,
        init_cfg: dict | None = None,
    ):
        self.patch_size = tupled(patch_size, dims)
        super().__init__(in_channels, num_classes, dims=dims, init_cfg=init_cfg)

    def make(self, channels, kernel_size, dims, bias):
        kind = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dims - 1]
        return kind(channels, self.num_classes, self.patch_size, self.patch_size)
