"""A plain ViT over the patches of an image or a volume, read at several depths (UNETR,
https://arxiv.org/abs/2103.10504).

As in MONAI's code the taps are what leaves blocks 4, 7 and 10 (the paper says z3, z6, z9) and the normed end; there is
no class token, and queries, keys and values have no bias. Positions are learned for one size, others are interpolated.
"""

from collections.abc import Sequence
from functools import partial

from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.patch import PatchEmbed, tupled
from ...layers.position import LearnedGrid
from ...layers.token_block import TokenBlocks
from ...registry import MODELS
from ..conv_encoder import by


@MODELS.register_module()
class TokenEncoder(BaseModule):
    """B C *size -> as many maps B D *size/patch as there are taps, and the normed end of all blocks.

    Args:
        image_size: that the positions are learned for; one number for all axes or one for each.
        patch_size: sides of a patch.
        taps: numbers of blocks, from 0, whose outputs are maps, too.
        resize: interpolate positions to images of other sizes; else those are refused, as in the official code.
        with_cp: recompute each block in the backward pass to save memory.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: int | Sequence[int] = 96,
        patch_size: int | Sequence[int] = 16,
        embed_dims: int = 768,
        num_layers: int = 12,
        num_heads: int = 12,
        mlp_dims: int = 3072,
        taps: Sequence[int] = (3, 6, 9),
        qkv_bias: bool = False,
        norm_eps: float = 1e-5,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        resize: bool = True,
        dims: int = 3,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if any(tap not in range(num_layers) for tap in taps):
            raise ValueError(f'taps {tuple(taps)} must be numbers of the {num_layers} blocks, from 0')
        self.patch_size, self.image_size = tupled(patch_size, dims), tupled(image_size, dims)
        self.in_channels, self.taps, self.resize = in_channels, tuple(taps), resize
        self.channels = (embed_dims,) * (len(taps) + 1)
        self.strides = (self.patch_size,) * (len(taps) + 1)
        grid = [side // patch for side, patch in zip(self.image_size, self.patch_size)]

        self.patch_embed = PatchEmbed(in_channels, embed_dims, patch_size, dims, pad=False)
        self.positions = LearnedGrid(embed_dims, grid, mode='linear')
        self.dropout = nn.Dropout(dropout)
        self.blocks = TokenBlocks(
            num_layers,
            embed_dims,
            num_heads,
            mlp_dims,
            norm=partial(nn.LayerNorm, eps=norm_eps),
            biases=qkv_bias,
            dropout=dropout,
            drop_path=drop_path,
            with_cp=with_cp,
        )
        self.norm = nn.LayerNorm(embed_dims, eps=norm_eps)

    @staticmethod
    def tiny(cfg: dict) -> dict:
        return dict(num_layers=4, num_heads=4, mlp_dims=64, taps=tuple(range(len(cfg.get('taps', range(3))))))

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.patch_embed(images)
        size = x.shape[1:-1]
        tokens = self.dropout((x + self.positions(size)).flatten(1, -2))

        tokens, tapped = self.blocks(tokens, taps=self.taps) if self.taps else (self.blocks(tokens), [])
        return [each.transpose(1, 2).unflatten(2, size) for each in (*tapped, self.norm(tokens))]

    def check_size(self, size: Sequence[int]):
        if any(side % patch for side, patch in zip(size, self.patch_size)):
            right = [-(-side // patch) * patch for side, patch in zip(size, self.patch_size)]
            raise ValueError(
                f'image {by(size)} is not a multiple of the patches {by(self.patch_size)}; pad to {by(right)}'
            )
        if not self.resize and tuple(size) != self.image_size:
            raise ValueError(f'image {by(size)}: positions are learned for {by(self.image_size)}; set resize=True')
