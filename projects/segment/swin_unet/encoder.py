"""A Swin Transformer whose maps are the inputs of its stages (Swin-Unet, https://arxiv.org/abs/2105.05537).

As in the official code a skip is taken before the blocks of its resolution; the last map is the normed end. What
differs: images of any size are padded to patches and windows, where the official masks are made for one size.
"""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.patch import PatchEmbed, PatchMerging, tupled
from ...layers.token_block import drop_path_rates
from ...layers.window_attention import WindowAttention
from ...layers.window_block import WindowBlock, WindowStage
from ...registry import MODELS


def tiny_windows(**widths: int) -> staticmethod:
    """The method `tiny` of encoders and decoders of windows: as many stages as the config has, few blocks and heads."""

    def tiny(cfg: dict) -> dict:
        stages = len(cfg.get('depths', range(4)))
        return dict(depths=(2, 1, 1, 1)[:stages], num_heads=(1, 2, 2, 4)[:stages], window_size=3, **widths)

    return staticmethod(tiny)


@MODELS.register_module()
class InputsSwin(BaseModule):
    """B C *size -> what enters stages 1, 2 ..., and what leaves the last.

    Args:
        drop_path: rate at the last block; grows linearly from 0 at the first.
        with_cp: recompute each block in the backward pass to save memory.
    """

    tiny = tiny_windows(embed_dims=8)

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 96,
        depths: Sequence[int] = (2, 2, 2, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        window_size: int | Sequence[int] = 7,
        patch_size: int | Sequence[int] = 4,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.2,
        dims: int = 2,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        count, window = len(depths), tupled(window_size, dims)
        widths = [embed_dims * 2**i for i in range(count)]
        self.in_channels, self.channels = in_channels, tuple(widths)
        self.strides = tuple(tuple(side * 2**i for side in tupled(patch_size, dims)) for i in range(count))
        self.patch_embed = PatchEmbed(in_channels, embed_dims, patch_size, dims, norm=nn.LayerNorm)
        merges = [*(PatchMerging(width, dims=dims) for width in widths[:-1]), None]
        self.stages = window_stages(widths, depths, num_heads, window, mlp_ratio, drop_path, merges, with_cp)
        self.norm = nn.LayerNorm(widths[-1])
        self.apply(init_windows)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = self.patch_embed(images), []
        for stage in self.stages:
            maps.append(x)
            x = stage(x)
            if hasattr(stage, 'downsample'):
                x = stage.downsample(x)
        return [each.movedim(-1, 1) for each in (*maps[:-1], self.norm(x))]


def window_stages(
    widths: Sequence[int],
    depths: Sequence[int],
    num_heads: Sequence[int],
    window: Sequence[int],
    mlp_ratio: float,
    drop_path: float,
    downsamples: Sequence[nn.Module | None],
    with_cp: bool = False,
    attention: type[nn.Module] = WindowAttention,
) -> nn.ModuleList:
    """Stages of Swin blocks; the rate of drop path grows linearly over all of them."""
    rates, stages = drop_path_rates(drop_path, sum(depths)), nn.ModuleList()
    for i, (width, heads, downsample) in enumerate(zip(widths, num_heads, downsamples)):
        some = rates[sum(depths[:i]) : sum(depths[: i + 1])]
        stages.append(window_stage(width, heads, some, window, mlp_ratio, downsample, with_cp, attention))
    return stages


def window_stage(
    width: int,
    heads: int,
    rates: Sequence[float],
    window: Sequence[int],
    mlp_ratio: float,
    downsample: nn.Module | None = None,
    with_cp: bool = False,
    attention: type[nn.Module] = WindowAttention,
) -> WindowStage:
    """Swin blocks, one for each rate of drop path."""
    blocks = [WindowBlock(width, attention(width, heads, window), mlp_ratio, rate) for rate in rates]
    return WindowStage(blocks, window, downsample, with_cp)


def init_windows(module: nn.Module):
    """Swin's initialisation."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, WindowAttention):
        nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)
