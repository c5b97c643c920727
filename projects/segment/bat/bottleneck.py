"""A DETR-like transformer with gates for the outline (BAT, https://arxiv.org/abs/2110.03864).

As in the official code a decoder asks the tokens with a learned query, and what it found gates the map once more. With
one query that cross-attention is no attention: its softmax is over one key, so the same vector is added to every pixel;
more queries (``num_queries``) make sense of it. What differs: maps need not be square.
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.attention import MultiheadAttention
from ...layers.conv_block import conv_norm_act
from ...layers.mlp import Mlp
from ...layers.position import LearnedAxes
from ...registry import MODELS
from ..structures import Maps


class BoundaryGate(nn.Module):
    """x B C H W -> x + x m, and m B 1 H W, between 0 and 1: where the outline turns."""

    def __init__(self, channels: int):
        super().__init__()
        self.convs = nn.Sequential(conv_norm_act(channels, channels), conv_norm_act(channels, channels))
        self.out = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        gate = self.out(self.convs(x)).sigmoid()
        return x + x * gate, gate


class AtrousGate(nn.Module):
    """The same, from convolutions of several reaches side by side.

    Args:
        dilations: of the convolutions with kernel 3, beside one of kernel 1.
    """

    def __init__(self, channels: int, dilations: Sequence[int] = (1, 2, 4, 6)):
        super().__init__()
        width = channels // 2
        self.convs = nn.ModuleList([conv_norm_act(channels, width, 1)])
        self.convs += [conv_norm_act(channels, width, padding=rate, dilation=rate) for rate in dilations]
        self.out = nn.Conv2d(len(self.convs) * width, 1, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        gate = self.out(torch.cat([conv(x) for conv in self.convs], dim=1)).sigmoid()
        return x + x * gate, gate


class PostNormLayer(nn.Module):
    """Attention and an MLP, each with norm after the sum, as in DETR.

    Args:
        cross: attention to a memory, between the two.
        attends_itself: attention to itself.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        mlp_dims: int,
        dropout: float,
        act: type[nn.Module] = nn.LeakyReLU,
        attends_itself: bool = True,
        cross: bool = False,
    ):
        super().__init__()
        self.self_attn = MultiheadAttention(channels, num_heads, dropout) if attends_itself else None
        self.norm1 = nn.LayerNorm(channels) if attends_itself else None
        self.cross_attn = MultiheadAttention(channels, num_heads, dropout) if cross else None
        self.norm2 = nn.LayerNorm(channels) if cross else None
        self.mlp = Mlp(channels, mlp_dims, act=act, dropout=dropout)
        self.norm3 = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, place: Tensor | float = 0.0, memory: Tensor | None = None, memory_place: Tensor | float = 0.0
    ) -> Tensor:
        """x B N C; places are added to queries and keys."""
        if self.self_attn is not None:
            asked = x + place
            x = self.norm1(x + self.dropout(self.self_attn(asked, asked, x)))
        if self.cross_attn is not None:
            x = self.norm2(x + self.dropout(self.cross_attn(x + place, memory + memory_place, memory)))
        return self.norm3(x + self.mlp(x))


@MODELS.register_module()
class BoundaryBottleneck(BaseModule):
    """The coarsest map, plus what a gated transformer makes of it; extras: ``gates``, of all encoder layers and of the
    last cross-attention, B 1 H W each.

    Args:
        num_layers, num_decoder_layers: of the transformer.
        max_size: the most rows and columns.
        num_queries: see above.
        cross_gate: ask the tokens with queries and gate the map with the answers (the paper's text has only the layers;
            its numbers were made with it, says the author).
    """

    tiny = dict(num_heads=4, mlp_dims=32, cross_dims=16)

    def __init__(
        self,
        in_channels: Sequence[int],
        embed_dims: int = 128,
        num_layers: int = 6,
        num_decoder_layers: int = 2,
        num_heads: int = 8,
        mlp_dims: int = 2048,
        cross_dims: int = 512,
        dropout: float = 0.1,
        num_queries: int = 1,
        max_size: int = 100,
        cross_gate: bool = True,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        width = in_channels[-1]
        self.channels = tuple(in_channels)
        self.into, self.out = nn.Conv2d(width, embed_dims, 1), nn.Conv2d(embed_dims, width, 1)
        self.positions = LearnedAxes(embed_dims, (max_size, max_size), joined=True)
        for axis in self.positions.axes:
            nn.init.uniform_(axis.weight)
        self.layers = nn.ModuleList(PostNormLayer(embed_dims, num_heads, mlp_dims, dropout) for _ in range(num_layers))
        self.gates = nn.ModuleList(BoundaryGate(embed_dims) for _ in range(num_layers))
        self.queries = None
        if cross_gate:
            self.queries = nn.Parameter(torch.rand(num_queries, embed_dims))
            self.decoder = nn.ModuleList(
                PostNormLayer(embed_dims, num_heads, mlp_dims, dropout, cross=True) for _ in range(num_decoder_layers)
            )
            self.norm = nn.LayerNorm(embed_dims)
            self.ask = PostNormLayer(embed_dims, num_heads, cross_dims, 0.0, attends_itself=False, cross=True)
            self.last_gate = AtrousGate(embed_dims)

    def forward(self, maps: Sequence[Tensor]) -> Maps:
        x = self.into(maps[-1])
        size, gates = tuple(x.shape[2:]), []
        place = self.positions(size).roll(x.shape[1] // 2, -1).flatten(0, 1)  # columns come first

        for layer, gate in zip(self.layers, self.gates):
            x = layer(x.flatten(2).transpose(1, 2), place).transpose(1, 2).unflatten(2, size)
            x, found = gate(x)
            gates.append(found)

        if self.queries is not None:
            tokens = x.flatten(2).transpose(1, 2)
            answers = torch.zeros_like(self.queries).expand(len(x), -1, -1)
            for layer in self.decoder:
                answers = layer(answers, self.queries, tokens, place)
            x = self.ask(tokens, memory=self.norm(answers)).transpose(1, 2).unflatten(2, size)
            x, found = self.last_gate(x)
            gates.append(found)
        return Maps([*maps[:-1], maps[-1] + self.out(x)], dict(gates=gates))
