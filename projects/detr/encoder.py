"""Encoders: feature maps in, :class:`Memory` out. Dense self-attention (DETR) or deformable (Deformable DETR)."""

import torch
from mmdet.models.layers import MLP, SinePositionalEncoding
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..layers.attention import MultiheadAttention
from ..layers.deformable import DeformableAttention
from ..layers.residual import residual
from ..registry import MODELS, build_part
from .attention import feed_forward, keep_tokens, look_around, xavier_init
from .roles import EncoderRole
from .structures import Memory


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward."""

    order = 'post'  #: of norm, part and sum, see layers/residual.py

    def __init__(self, embed_dims: int, ffn_channels: int, dropout: float, act_cfg: dict):
        super().__init__()
        self.norm_attn = nn.LayerNorm(embed_dims)
        self.ffn = feed_forward(embed_dims, ffn_channels, act_cfg, dropout)
        self.norm_ffn = nn.LayerNorm(embed_dims)
        self.dropout = nn.Dropout(dropout)

    def attend(self, tokens: Tensor, pos: Tensor, memory: Memory) -> Tensor:
        raise NotImplementedError

    def forward(self, tokens: Tensor, pos: Tensor, memory: Memory) -> Tensor:
        tokens = residual(tokens, lambda x: self.attend(x, pos, memory), self.norm_attn, self.order, self.dropout)
        return residual(tokens, self.ffn, self.norm_ffn, self.order, self.dropout)


class DenseEncoderLayer(EncoderLayer):
    def __init__(self, embed_dims: int, num_heads: int, ffn_channels: int, dropout: float, act_cfg: dict):
        super().__init__(embed_dims, ffn_channels, dropout, act_cfg)
        self.self_attn = MultiheadAttention(embed_dims, num_heads, dropout)

    def attend(self, tokens: Tensor, pos: Tensor, memory: Memory) -> Tensor:
        query = tokens + pos
        return self.self_attn(query, query, tokens, keep_tokens(memory))


class DeformableEncoderLayer(EncoderLayer):
    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        ffn_channels: int,
        dropout: float,
        act_cfg: dict,
        num_levels: int,
        num_points: int,
    ):
        super().__init__(embed_dims, ffn_channels, dropout, act_cfg)
        self.self_attn = DeformableAttention(embed_dims, num_heads, num_levels, num_points)

    def attend(self, tokens: Tensor, pos: Tensor, memory: Memory) -> Tensor:
        return look_around(self.self_attn, tokens + pos, memory.centres, memory, tokens)


class Encoder(EncoderRole):
    """Flattens the levels, adds positions, runs the layers. Subclasses bring the layers.

    Args:
        layers: the encoder layers.
        positional_encoding: config of a part that maps a padding mask (B H W, True on padding) to B C H W, as mmdet's.
        level_embed: add one learned vector for each level to the positional map.
        scale_positions: multiply the positional map by a small net of the tokens that enter a layer (DAB-DETR).
        with_cp: recompute each layer in the backward pass to save memory.
    """

    def __init__(
        self,
        layers: list[EncoderLayer],
        embed_dims: int,
        num_levels: int,
        positional_encoding: dict,
        level_embed: bool,
        scale_positions: bool,
        with_cp: bool,
    ):
        super().__init__()
        self.with_cp = with_cp
        self.positional_encoding = build_part(positional_encoding, num_feats=embed_dims // 2)
        self.layers = nn.ModuleList(layers)
        self.position_scale = MLP(embed_dims, embed_dims, embed_dims, num_layers=2) if scale_positions else None
        xavier_init(self.layers)
        if scale_positions:
            xavier_init(self.position_scale)
        self.level_embed = nn.Parameter(torch.randn(num_levels, embed_dims)) if level_embed else None

    def forward(self, feats: list[Tensor], keeps: list[Tensor] | None) -> Memory:
        """feats: B C H W of each level, finest first; keeps: B H W bool of each, False on padding, or None."""
        memory = Memory.from_levels(feats, self._positions(feats, keeps), keeps)
        tokens = memory.tokens
        for layer in self.layers:
            pos = memory.pos if self.position_scale is None else memory.pos * self.position_scale(tokens)
            if self.with_cp and self.training:
                tokens = checkpoint(layer, tokens, pos, memory, use_reentrant=False)
            else:
                tokens = layer(tokens, pos, memory)
        memory.tokens = tokens
        return memory

    def _positions(self, feats: list[Tensor], keeps: list[Tensor] | None) -> list[Tensor]:
        pos = [
            self.positional_encoding(None if keeps is None else ~keeps[level], input=feat)
            for level, feat in enumerate(feats)
        ]
        if self.level_embed is None:
            return pos
        return [level + embed[:, None, None] for level, embed in zip(pos, self.level_embed)]


@MODELS.register_module()
class DenseEncoder(Encoder):
    """DETR's encoder: every token attends to every token.

    Args:
        positional_encoding: default: sines, temperature 10000, no offset.
        scale_positions: see :class:`Encoder`.
    """

    layer_type: type[EncoderLayer] = DenseEncoderLayer

    def __init__(
        self,
        embed_dims: int = 256,
        num_layers: int = 6,
        num_heads: int = 8,
        ffn_channels: int = 2048,
        dropout: float = 0.1,
        act_cfg: dict = dict(type=nn.ReLU),
        num_levels: int = 1,
        positional_encoding: dict = dict(type=SinePositionalEncoding, normalize=True),
        scale_positions: bool = False,
        with_cp: bool = False,
    ):
        layers = [self.layer_type(embed_dims, num_heads, ffn_channels, dropout, act_cfg) for _ in range(num_layers)]
        super().__init__(
            layers,
            embed_dims,
            num_levels,
            positional_encoding,
            level_embed=False,
            scale_positions=scale_positions,
            with_cp=with_cp,
        )


@MODELS.register_module()
class DeformableEncoder(Encoder):
    """Deformable DETR's encoder: every token samples a few points in every level.

    Args:
        positional_encoding: default: sines, temperature 10000, coordinates shifted by half a cell.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_layers: int = 6,
        num_heads: int = 8,
        ffn_channels: int = 1024,
        dropout: float = 0.1,
        act_cfg: dict = dict(type=nn.ReLU),
        num_levels: int = 4,
        num_points: int = 4,
        positional_encoding: dict = dict(type=SinePositionalEncoding, normalize=True, offset=-0.5),
        with_cp: bool = False,
    ):
        layers = [
            DeformableEncoderLayer(embed_dims, num_heads, ffn_channels, dropout, act_cfg, num_levels, num_points)
            for _ in range(num_layers)
        ]
        super().__init__(
            layers,
            embed_dims,
            num_levels,
            positional_encoding,
            level_embed=True,
            scale_positions=False,
            with_cp=with_cp,
        )
