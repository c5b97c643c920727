"""SMCA-DETR's encoder of several levels (https://arxiv.org/abs/2101.07448, section 3.4): tokens attend within their own
level in most blocks, and to those of all levels in the middle one.

This is the paper's; the code that the authors released later mixes levels by convolutions.
"""

from collections.abc import Sequence

import torch
from mmdet.models.layers import SinePositionalEncoding
from torch import Tensor, nn

from ...layers.attention import MultiheadAttention
from ...registry import MODELS
from ..encoder import DenseEncoderLayer, Encoder, EncoderLayer
from ..structures import Memory


class IntraScaleEncoderLayer(EncoderLayer):
    """Every token attends to those of its own level; all levels share the weights."""

    def __init__(self, embed_dims: int, num_heads: int, ffn_channels: int, dropout: float, act_cfg: dict):
        super().__init__(embed_dims, ffn_channels, dropout, act_cfg)
        self.self_attn = MultiheadAttention(embed_dims, num_heads, dropout)

    def attend(self, tokens: Tensor, pos: Tensor, memory: Memory) -> Tensor:
        sizes = [h * w for h, w in memory.shapes]
        keeps = [None] * len(sizes) if memory.keep is None else memory.keep[:, None, None].split(sizes, dim=-1)
        levels = zip((tokens + pos).split(sizes, dim=1), tokens.split(sizes, dim=1), keeps)
        return torch.cat([self.self_attn(query, query, value, keep) for query, value, keep in levels], dim=1)


@MODELS.register_module()
class MultiScaleEncoder(Encoder):
    """Blocks within levels, and some across.

    Args:
        num_layers: blocks in all; the paper has two within levels, one across, two within.
        across: numbers of the blocks in which a token attends to those of all levels; None: the middle one.
        positional_encoding: default: sines, temperature 10000, no offset; each level adds a learned vector.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_layers: int = 5,
        across: Sequence[int] | None = None,
        num_heads: int = 8,
        ffn_channels: int = 1024,
        dropout: float = 0.1,
        act_cfg: dict = dict(type=nn.ReLU),
        num_levels: int = 3,
        positional_encoding: dict = dict(type=SinePositionalEncoding, normalize=True),
        with_cp: bool = False,
    ):
        across = (num_layers // 2,) if across is None else across
        if not set(across) <= set(range(num_layers)):
            raise ValueError(f'across={list(across)}: the encoder has blocks 0 to {num_layers - 1}')
        kinds = [DenseEncoderLayer if layer in across else IntraScaleEncoderLayer for layer in range(num_layers)]
        layers = [kind(embed_dims, num_heads, ffn_channels, dropout, act_cfg) for kind in kinds]
        super().__init__(
            layers,
            embed_dims,
            num_levels,
            positional_encoding,
            level_embed=True,
            scale_positions=False,
            with_cp=with_cp,
        )
