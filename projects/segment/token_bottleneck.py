"""A transformer over the pixels of the coarsest map (TransUNet, TransBTS)."""

from collections.abc import Sequence
from functools import partial

from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers.attention import MultiheadAttention
from ..layers.patch import PatchEmbed, tupled
from ..layers.position import LearnedGrid
from ..layers.token_block import TokenBlock, TokenBlocks
from ..registry import MODELS, build_part
from .conv_encoder import by


@MODELS.register_module()
class TokenBottleneck(BaseModule):
    """The coarsest map becomes tokens with learned positions, passes pre-norm blocks and becomes a map again.

    Args:
        in_channels, strides: of the maps, fine to coarse; set by the segmentor.
        embed: from the map to ``embed_dims`` channels of the same size; default: patches of ``patch_size``.
        size: of the grid of tokens that positions are learned for; other maps interpolate them.
        patch_size: sides of a patch of the coarsest map.
        joined: so many neighbours along the last axis make one token; then the map has ``embed_dims / joined``
            channels.
        branch_dropout: of what attention adds.
        norm_eps: of the layer norms.
        out_norm: a norm at the end.
        resize: interpolate positions for maps of other sizes; else those are refused.
        align_corners: whether resized positions keep the first and last place (``scipy.ndimage.zoom``).

    >>> bottleneck = TokenBottleneck([8, 16], [1, 2], size=7, embed_dims=16, num_layers=1, num_heads=2, mlp_dims=32)
    >>> [tuple(level.shape) for level in bottleneck([torch.zeros(1, 8, 14, 14), torch.zeros(1, 16, 7, 7)])]
    [(1, 8, 14, 14), (1, 16, 7, 7)]
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence,
        size: int | Sequence[int] = 14,
        embed_dims: int = 768,
        num_layers: int = 12,
        num_heads: int = 12,
        mlp_dims: int = 3072,
        embed: dict | None = None,
        patch_size: int | Sequence[int] = 1,
        qkv_bias: bool = True,
        dropout: float = 0.1,
        attn_dropout: float = 0.0,
        branch_dropout: float = 0.0,
        joined: int = 1,
        norm_eps: float = 1e-6,
        out_norm: bool = True,
        resize: bool = True,
        align_corners: bool = True,
        dims: int = 2,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        patch, self.size = tupled(patch_size, dims), tupled(size, dims)
        width = embed_dims // joined
        self.channels, self.joined = (*in_channels[:-1], width), joined
        coarse = tuple(stride * side for stride, side in zip(tupled(strides[-1], dims), patch))
        self.strides = (*strides[:-1], coarse)
        self.resize = resize
        norm = partial(nn.LayerNorm, eps=norm_eps)

        self.embed = (
            build_part(embed, in_channels=in_channels[-1], out_channels=width, dims=dims)
            if embed
            else PatchEmbed(in_channels[-1], width, patch, dims, pad=False)
        )
        self.channels_first = embed is not None
        self.positions = LearnedGrid(embed_dims, self.size, mode='linear', align_corners=align_corners)
        self.dropout = nn.Dropout(dropout)
        block = partial(dropped_block, branch_dropout) if branch_dropout else TokenBlock
        self.blocks = TokenBlocks(
            num_layers,
            embed_dims,
            num_heads,
            mlp_dims,
            norm=norm,
            biases=qkv_bias,
            dropout=dropout,
            attn_dropout=attn_dropout,
            with_cp=with_cp,
            make=block,
        )
        self.norm = norm(embed_dims) if out_norm else nn.Identity()

    @staticmethod
    def tiny(cfg: dict) -> dict:
        return dict(num_heads=4, mlp_dims=64)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        x = self.embed(maps[-1])
        x = x.movedim(1, -1) if self.channels_first else x
        if x.shape[-2] % self.joined:
            raise ValueError(f'a map of {by(x.shape[1:-1])}: {self.joined} neighbours of the last axis make a token')
        x = x.unflatten(-2, (-1, self.joined)).flatten(-2)
        size = tuple(x.shape[1:-1])
        if not self.resize and size != self.size:
            raise ValueError(f'a map of {by(size)} tokens: positions are learned for {by(self.size)}; set resize=True')
        tokens = self.dropout((x + self.positions(size)).flatten(1, -2))

        tokens = self.norm(self.blocks(tokens))
        x = tokens.unflatten(1, size).unflatten(-1, (self.joined, -1)).flatten(-3, -2)
        return [*maps[:-1], x.movedim(-1, 1)]


class DroppedAttention(MultiheadAttention):
    """Self-attention with dropout of its output."""

    def __init__(self, *args, branch_dropout: float, **kwargs):
        super().__init__(*args, **kwargs)
        self.branch_dropout = nn.Dropout(branch_dropout)

    def forward(self, *args, **kwargs) -> Tensor:
        return self.branch_dropout(super().forward(*args, **kwargs))


def dropped_block(rate: float, embed_dims: int, num_heads: int, *args, attn_dropout=0.0, biases=True, **kwargs):
    """A :class:`TokenBlock` with such an attention."""
    attn = DroppedAttention(embed_dims, num_heads, attn_dropout, biases=biases, branch_dropout=rate)
    return TokenBlock(embed_dims, num_heads, *args, attn=attn, **kwargs)
