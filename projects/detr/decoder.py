"""The decoder: runs all query groups through self-attention, cross-attention and feed-forward layers."""

import torch
from mmdet.models.layers import MLP
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..layers.residual import residual
from ..registry import MODELS, build_part, resolve
from .attention import DeformableCrossAttention, DenseSelfAttention, feed_forward, xavier_init
from .boxes import sine_yxwh
from .references import FixedReference
from .roles import CrossAttention, DecoderRole, HeadRole, PositionSource, SelfAttention, require
from .structures import Memory, QueryGroup, Run


class DecoderLayer(nn.Module):
    """Queries attend to each other, then to the memory, then pass a feed-forward net.

    Args:
        shared: what the attention parts take of it unless their configs set it.
    """

    order = 'post'  #: of norm, part and sum, see layers/residual.py

    def __init__(
        self,
        embed_dims: int,
        ffn_channels: int,
        dropout: float,
        act_cfg: dict,
        self_attn: dict,
        cross_attn: dict,
        **shared,
    ):
        super().__init__()
        shared.update(embed_dims=embed_dims, dropout=dropout)
        self.self_attn = build_part(self_attn, **shared)
        self.norm_self = nn.LayerNorm(embed_dims)
        self.cross_attn = build_part(cross_attn, **shared)
        self.norm_cross = nn.LayerNorm(embed_dims)
        self.ffn = feed_forward(embed_dims, ffn_channels, act_cfg, dropout)
        self.norm_ffn = nn.LayerNorm(embed_dims)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, content: Tensor, pos: Tensor, reference: Tensor | None, memory: Memory, runs: list[Run], *prior
    ) -> Tensor:
        def see_queries(x: Tensor) -> Tensor:
            return self._attend(x, pos, runs)

        def see_memory(x: Tensor) -> Tensor:
            return self.cross_attn(x, pos, reference, memory, *prior)

        content = residual(content, see_queries, self.norm_self, self.order, self.dropout)
        content = residual(content, see_memory, self.norm_cross, self.order, self.dropout)
        return residual(content, self.ffn, self.norm_ffn, self.order, self.dropout)

    def _attend(self, content: Tensor, pos: Tensor, runs: list[Run]) -> Tensor:
        """Self-attention of each run of queries on its own."""
        if len(runs) == 1:
            return self.self_attn(content, pos, runs[0].keep)
        sizes = [run.size for run in runs]
        parts = zip(content.split(sizes, dim=1), pos.split(sizes, dim=1), runs)
        return torch.cat([self.self_attn(*part, run.keep) for *part, run in parts], dim=1)


@MODELS.register_module()
class BoxPosition(PositionSource):
    """Query positions from reference boxes: sines of y, x, w, h through a small net (DINO, DAB-Deformable-DETR).

    Args:
        scale_positions: multiply them by a small net of the content, but in the first layer (DAB-Deformable-DETR).
    """

    position_width = 1

    def __init__(self, embed_dims: int, scale_positions: bool = False):
        super().__init__()
        self.embed_dims = embed_dims
        self.net = nn.Sequential(nn.Linear(2 * embed_dims, embed_dims), nn.ReLU(), nn.Linear(embed_dims, embed_dims))
        self.scale = MLP(embed_dims, embed_dims, embed_dims, num_layers=2) if scale_positions else None

    def forward(self, reference: Tensor, memory: Memory, content: Tensor | None = None, layer: int = 0) -> Tensor:
        """reference B N 4, measured in the padded map of the finest level, as the official code does; content B N C
        that enters decoder layer number ``layer``."""
        ratios = memory.valid_ratios[:, :1].repeat(1, 1, 2)
        pos = self.net(sine_yxwh(reference * ratios, self.embed_dims))
        return pos if self.scale is None or layer == 0 else pos * self.scale(content)


@MODELS.register_module()
class QueryDecoder(DecoderRole):
    """Decoder layers with a rule by which references move between them.

    Args:
        self_attn, cross_attn: configs of the attention parts of every layer.
        reference_update: config of the rule, see references.py.
        position: config of the part that derives query positions from references, for groups that bring none. It is
            called as ``position(reference, memory, content, layer)``.
        spatial_prior: config of the part that says, before a layer's self-attention, where each query is to look; for
            cross-attention that takes a prior (SMCA). It gives references to queries that bring none.
        output_norm: apply one LayerNorm to the output of every layer; references are updated from what precedes it.
        logit_eps: clamp of the inverse sigmoid.
        with_cp: recompute each layer in the backward pass to save memory.
    """

    layer_type: type[DecoderLayer] = DecoderLayer

    def __init__(
        self,
        embed_dims: int = 256,
        num_layers: int = 6,
        num_heads: int = 8,
        ffn_channels: int = 1024,
        dropout: float = 0.1,
        act_cfg: dict = dict(type=nn.ReLU),
        num_levels: int = 4,
        self_attn: dict = dict(type=DenseSelfAttention),
        cross_attn: dict = dict(type=DeformableCrossAttention),
        reference_update: dict = dict(type=FixedReference),
        position: dict | None = None,
        spatial_prior: dict | None = None,
        output_norm: bool = False,
        logit_eps: float = 1e-5,
        with_cp: bool = False,
    ):
        super().__init__()
        require(resolve(cross_attn), CrossAttention, 'decoder.cross_attn')
        if bool(spatial_prior) != resolve(cross_attn).takes_prior:
            raise ValueError(
                f'{resolve(cross_attn).__name__} and spatial_prior={spatial_prior} do not go together: a '
                'cross-attention that takes a prior needs one, any other ignores it; '
                'GaussianCrossAttention and GaussianPrior are a pair'
            )
        self.num_layers = num_layers
        self.logit_eps = logit_eps
        self.with_cp = with_cp
        self.layers = nn.ModuleList(
            self.layer_type(
                embed_dims,
                ffn_channels,
                dropout,
                act_cfg,
                self_attn,
                cross_attn,
                num_heads=num_heads,
                num_levels=num_levels,
                layer=layer,
            )
            for layer in range(num_layers)
        )
        self.reference_update = MODELS.build(reference_update)
        self.position = build_part(position, embed_dims=embed_dims) if position else None
        self.norm = nn.LayerNorm(embed_dims) if output_norm else nn.Identity()
        xavier_init(self)
        self.spatial_prior = (
            build_part(
                spatial_prior, embed_dims=embed_dims, num_heads=num_heads, num_layers=num_layers, num_levels=num_levels
            )
            if spatial_prior
            else None
        )

    def attention(self) -> list[SelfAttention | CrossAttention]:
        layer = self.layers[0]
        return [layer.self_attn, layer.cross_attn.inner]

    def forward(
        self, groups: list[QueryGroup], memory: Memory, runs: list[Run], head: HeadRole
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """Run the groups side by side.

        Args:
            runs: groups that do not look into each other, see :func:`isolated`.
            head: gives the box branch of each layer to the reference update.

        Returns:
            hidden states B N C and references B N 2|4 (or None) of every layer, the latter as they entered it.
        """
        content = torch.cat([group.content for group in groups], dim=1)
        reference = kept = self._references(groups, content)

        hidden, references = [], []
        for index, layer in enumerate(self.layers):
            pos = self._positions(groups, reference, memory, content, index)
            prior = () if self.spatial_prior is None else (self.spatial_prior(content, pos, index),)
            if self.with_cp and self.training:
                content = checkpoint(layer, content, pos, reference, memory, runs, *prior, use_reentrant=False)
            else:
                content = layer(content, pos, reference, memory, runs, *prior)
            hidden.append(self.norm(content))
            references.append(kept)
            if index + 1 < self.num_layers:
                branch = head.box_branch(index)
                reference, kept = self.reference_update(branch, content, reference, self.logit_eps)
        return hidden, references

    def _references(self, groups: list[QueryGroup], content: Tensor) -> Tensor | None:
        reference = join_references(groups)
        if self.spatial_prior is None:
            return reference
        return self.spatial_prior.reference(reference, content, groups)

    def _positions(
        self, groups: list[QueryGroup], reference: Tensor | None, memory: Memory, content: Tensor, layer: int
    ) -> Tensor:
        if all(group.pos is None for group in groups):
            return self._derive(groups[0], reference, memory, content, layer)
        parts, start = [], 0
        for group in groups:
            own = slice(start, start + group.size)
            parts.append(
                group.pos
                if group.pos is not None
                else self._derive(group, reference[:, own], memory, content[:, own], layer)
            )
            start = own.stop
        return torch.cat(parts, dim=1)

    def _derive(self, group: QueryGroup, *args) -> Tensor:
        if self.position is None:
            raise ValueError(
                f"query group '{group.name}' brings no positions and the decoder has no part to derive "
                "them from reference boxes; give it `position=dict(type='mmparts.BoxPosition')`"
            )
        return self.position(*args)


def join_references(groups: list[QueryGroup]) -> Tensor | None:
    """B N 2|4 of all groups; None when no group has any."""
    kinds = {group.name: None if group.reference is None else group.reference.shape[-1] for group in groups}
    if len(set(kinds.values())) > 1:
        raise ValueError(
            f'query groups disagree on their references: {kinds} coordinates; all need boxes (4), '
            'all points (2), or all none'
        )
    return None if groups[0].reference is None else torch.cat([group.reference for group in groups], dim=1)
