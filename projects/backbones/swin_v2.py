"""Swin Transformer v2: norms after the branches, cosine attention, a bias that follows the size of the window.

Paper: https://arxiv.org/abs/2111.09883. Code: microsoft/Swin-Transformer; parameter names are theirs. What differs:

* what `swin.py` says of windows, sizes and unbuilt stages;
* the bias net's coordinates are finite in a window of one token, where the official code gives NaN;
* the bias is kept in eval mode; a huge map may be attended window by window (`sequential`).
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ..layers.patch import PatchMerging
from ..layers.window_attention import CosineWindowAttention
from ..layers.window_block import WindowBlock
from ..layers.window_grid import WindowGrid
from ..registry import MODELS
from .swin import ARCHS as V1
from .swin import WindowBackbone

ARCHS = {
    **V1,
    'huge': dict(embed_dims=352, depths=(2, 2, 18, 2), num_heads=(11, 22, 44, 88)),
    'g': dict(embed_dims=448, depths=(2, 2, 18, 2), num_heads=(14, 28, 56, 112)),  # of SimMIM's data scaling, 1 B
    'giant': dict(embed_dims=512, depths=(2, 2, 42, 4), num_heads=(16, 32, 64, 128)),  # G, 3 B
}


class SwinV2Block(WindowBlock):
    """A window block with norms after its branches; they start at zero, the block as the identity.

    Args:
        sequential: windows that are attended to at a time; 0: all.
        extra_norm: one more norm at the end, on the main path (huge and giant: every sixth block of a stage).
    """

    def __init__(
        self, dims: int, attn: nn.Module, mlp_ratio: float, rate: float, sequential: int = 0, extra_norm: bool = False
    ):
        super().__init__(dims, attn, mlp_ratio, rate, order='res-post')
        self.sequential = sequential
        if extra_norm:
            self.norm3 = nn.LayerNorm(dims)

    def forward(self, x: Tensor, grid: WindowGrid) -> Tensor:
        x = super().forward(x, grid)
        return self.norm3(x) if hasattr(self, 'norm3') else x

    def attend(self, x: Tensor, grid: WindowGrid) -> Tensor:
        return grid.reverse(self.attn(grid.partition(x), grid, self.sequential))


@MODELS.register_module()
class SwinV2(WindowBackbone):
    """Swin Transformer v2. Publishes `channels` and `strides`.

    Args:
        arch: 'tiny', 'small', 'base', 'large', 'huge', 'g', 'giant', or a dict of `embed_dims, depths, num_heads`.
        window_size: side of a window in tokens; published weights have 8, 12, 16 or 24.
        pretrained_windows: windows of each stage that the bias nets were trained on, where those were others: (12, 12,
            12, 6) for weights that were pre-trained at 192 pixels.
        extra_norm_every: blocks of a stage after which one more norm stands on the main path; 6 for huge and giant, 0:
            none.
        sequential: windows that are attended to at a time, against memory on huge maps; 0: all.
        others: those of :class:`Swin`.
    """

    archs = ARCHS

    def __init__(
        self,
        arch: str | dict = 'tiny',
        window_size: int = 8,
        pretrained_windows: Sequence[int] | None = None,
        in_channels: int = 3,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        mlp_ratio: float = 4.0,
        drop_path: float = 0.2,
        extra_norm_every: int = 0,
        sequential: int = 0,
        with_cp: bool = False,
        frozen_stages: int = -1,
        init_cfg: dict | list | None = None,
    ):
        self.window, self.mlp_ratio, self.sequential = (window_size, window_size), mlp_ratio, sequential
        self.pretrained_windows, self.extra_norm_every = pretrained_windows, extra_norm_every
        super().__init__(arch, window_size, in_channels, out_indices, drop_path, 0, with_cp, frozen_stages, init_cfg)
        self.apply(_init)
        for stage in self.layers:
            for block in stage.blocks:  # the identity at the start
                for norm in (block.norm1, block.norm2):
                    nn.init.zeros_(norm.weight)
        self._freeze()

    def block(self, dims, stage, index, rate):
        if self.pretrained_windows is not None and len(self.pretrained_windows) != len(self.depths):
            raise ValueError(
                f'pretrained_windows={tuple(self.pretrained_windows)} must name {len(self.depths)}, one a stage'
            )
        pretrained = self.pretrained_windows and (self.pretrained_windows[stage],) * 2
        attn = CosineWindowAttention(dims, self.num_heads[stage], self.window, pretrained)
        extra = bool(self.extra_norm_every) and (index + 1) % self.extra_norm_every == 0
        return SwinV2Block(dims, attn, self.mlp_ratio, rate, self.sequential, extra)

    def merging(self, dims):
        return PatchMerging(dims, norm_last=True)


def _init(module: nn.Module):
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
