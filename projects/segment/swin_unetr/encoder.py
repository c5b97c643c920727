"""A Swin Transformer over images or volumes whose every stage ends in a merging (Swin UNETR,
https://arxiv.org/abs/2201.01266).

What differs from MONAI's code: in a window that shrinks to the map the bias is looked up by the true offsets
(``index='corner'`` takes the corner of the full table's index, as MONAI and Video Swin do); maps of odd sizes are
padded.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.patch import PatchEmbed, PatchMerging, tupled
from ...layers.window_attention import CornerWindowAttention, WindowAttention
from ...registry import MODELS
from ..swin_unet.encoder import init_windows, tiny_windows, window_stages
from ..unetr.decoder import conv_block

# The order in which a merging joins the eight neighbours (D H W offsets) is part of the weights: 'legacy' was MONAI's
# from 0.9 to 1.4, takes two of them twice and two never; 'merging' is its default since 1.5.
MERGE_ORDERS = {
    'legacy': ('000', '100', '010', '001', '101', '010', '001', '111'),
    'merging': ('000', '100', '010', '001', '110', '101', '011', '111'),
    'lexicographic': ('000', '001', '010', '011', '100', '101', '110', '111'),
}


def offsets(name: str, dims: int) -> tuple[tuple[int, ...], ...]:
    """Offsets by name; of images MONAI has one order, the first axis slowest."""
    if name not in MERGE_ORDERS:
        raise ValueError(f'merge_order={name!r} is unknown; choose from {", ".join(MERGE_ORDERS)}')
    texts = MERGE_ORDERS[name] if dims == 3 else ('00', '01', '10', '11')
    return tuple(tuple(map(int, text)) for text in texts)


@MODELS.register_module()
class MergingSwin(BaseModule):
    """B C *size -> maps at strides 2, 4, 8 and so on, one more than there are stages, each normalised over its
    channels.

    Args:
        merge_order: 'merging', 'legacy' or 'lexicographic'.
        index: 'offset' or 'corner', how the bias of a shrunken window is looked up.
        conv: a residual convolution block before every stage (version 2).
        with_cp: recompute each block in the backward pass to save memory.
    """

    tiny = tiny_windows(embed_dims=8)

    def __init__(
        self,
        in_channels: int = 1,
        embed_dims: int = 48,
        depths: Sequence[int] = (2, 2, 2, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        window_size: int | Sequence[int] = 7,
        patch_size: int | Sequence[int] = 2,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        merge_order: str = 'merging',
        index: str = 'offset',
        conv: bool = False,
        dims: int = 3,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if index not in ('offset', 'corner'):
            raise ValueError(f"index={index!r} is unknown; choose from 'offset', 'corner'")
        attention = WindowAttention if index == 'offset' else CornerWindowAttention
        window, order = tupled(window_size, dims), offsets(merge_order, dims)
        widths = [embed_dims * 2**i for i in range(len(depths))]
        self.in_channels = in_channels
        self.channels = (*widths, 2 * widths[-1])
        self.strides = tuple(tuple(side * 2**i for side in tupled(patch_size, dims)) for i in range(len(depths) + 1))

        self.patch_embed = PatchEmbed(in_channels, embed_dims, patch_size, dims)
        merges = [PatchMerging(width, dims=dims, order=order) for width in widths]
        self.stages = window_stages(widths, depths, num_heads, window, mlp_ratio, drop_path, merges, with_cp, attention)
        self.convs = nn.ModuleList(conv_block(width, width, dims) for width in widths) if conv else None
        self.apply(init_windows)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.patch_embed(images)
        maps = [normed(x)]
        for index, stage in enumerate(self.stages):
            if self.convs is not None:
                x = self.convs[index](x.movedim(-1, 1)).movedim(1, -1)
            x = stage.downsample(stage(x))
            maps.append(normed(x))
        return maps


def normed(x: Tensor) -> Tensor:
    """B *size C -> B C *size, normalised over the channels without factors."""
    return F.layer_norm(x, x.shape[-1:]).movedim(-1, 1)
