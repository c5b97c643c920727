"""A dense decoder over several levels: each has its own softmax, and every query says how much it takes of each.

DN-DETR's code (https://github.com/IDEA-Research/DN-DETR) has it over a deformable encoder, "deformable encoder only".
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from ...registry import MODELS, build_part
from ..decoder import DecoderLayer, QueryDecoder
from ..roles import CrossAttention
from ..structures import Memory, Run


class LevelGatedAttention(CrossAttention):
    """Looks at each level on its own and adds up what it sees by the query's gates.

    Args:
        base: config of the cross-attention that looks at a level; it attends to tokens, not to sampled points.
    """

    def __init__(self, embed_dims: int, base: dict, num_heads: int = 8, dropout: float = 0.0, layer: int = 0):
        super().__init__()
        self.base = build_part(base, embed_dims=embed_dims, num_heads=num_heads, dropout=dropout, layer=layer)
        own = type(self.base).__name__
        if not self.base.compares or self.base.takes_prior:
            raise ValueError(
                f'{own} samples, or has a prior over, all levels at once; LevelGatedDecoder gates what is '
                'seen of each, so take DenseCrossAttention or ConditionalCrossAttention, or QueryDecoder'
            )

    @property
    def inner(self) -> CrossAttention:
        return self.base.inner

    def forward(self, content: Tensor, pos: Tensor, reference: Tensor | None, memory: Memory, gate: Tensor) -> Tensor:
        """content B N C; gate B N levels."""
        return sum(
            share[..., None] * self.base(content, pos, reference, level)
            for share, level in zip(gate.unbind(-1), levels(memory))
        )

    def weights(self, content: Tensor, pos: Tensor, reference: Tensor | None, memory: Memory, gate: Tensor) -> Tensor:
        """B heads N S, for pictures; a level's sum is its gate."""
        return torch.cat(
            [
                share[:, None, :, None] * self.base.weights(content, pos, reference, level)
                for share, level in zip(gate.unbind(-1), levels(memory))
            ],
            dim=-1,
        )


class LevelGatedLayer(DecoderLayer):
    """A layer whose gates are read from the queries that enter its self-attention."""

    def __init__(
        self,
        embed_dims: int,
        ffn_channels: int,
        dropout: float,
        act_cfg: dict,
        self_attn: dict,
        cross_attn: dict,
        num_levels: int,
        **shared,
    ):
        super().__init__(
            embed_dims,
            ffn_channels,
            dropout,
            act_cfg,
            self_attn,
            dict(type=LevelGatedAttention, base=cross_attn),
            num_levels=num_levels,
            **shared,
        )
        if not self.self_attn.gates:
            raise ValueError(
                f'{type(self.self_attn).__name__} has no method `query`, from which LevelGatedDecoder '
                'reads its gates; take ConditionalSelfAttention'
            )
        self.gate = nn.Linear(embed_dims, num_levels)

    def forward(
        self, content: Tensor, pos: Tensor, reference: Tensor | None, memory: Memory, runs: list[Run]
    ) -> Tensor:
        gate = self.gate(self.self_attn.query(content, pos)).softmax(-1)
        return super().forward(content, pos, reference, memory, runs, gate)


@MODELS.register_module()
class LevelGatedDecoder(QueryDecoder):
    """:class:`QueryDecoder` whose dense cross-attention looks at each level on its own."""

    layer_type: type[DecoderLayer] = LevelGatedLayer


def levels(memory: Memory) -> list[Memory]:
    """Each level as a memory of its own."""
    sizes = [height * width for height, width in memory.shapes]
    keeps = [None] * len(sizes) if memory.keep is None else memory.keep.split(sizes, dim=1)
    parts = zip(
        memory.tokens.split(sizes, dim=1),
        memory.pos.split(sizes, dim=1),
        keeps,
        memory.shapes,
        memory.valid_ratios.split(1, dim=1),
    )
    return [
        replace(memory, tokens=tokens, pos=pos, keep=keep, shapes=(shape,), valid_ratios=ratios)
        for tokens, pos, keep, shape, ratios in parts
    ]
