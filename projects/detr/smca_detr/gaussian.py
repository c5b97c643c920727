"""Spatially modulated co-attention: every query looks around a place that it predicts (SMCA-DETR).

SMCA-DETR (https://arxiv.org/abs/2101.07448), sections 3.2 to 3.4. :class:`GaussianPrior` reads from a query, as it
enters a layer, where each head looks; :class:`GaussianCrossAttention` adds the logarithm of that Gaussian to the
products of queries and keys. The two go together.

The official code writes out the Gaussian of every query, head and token. But for the terms that are the same for all
tokens, which the softmax ignores, the logarithm is a product of four numbers of the query with four of the token: here
they are four more channels of queries and keys, and attention stays fused. The official code takes the images' sizes
from the annotations, fixes the stride at 32, and with several levels gives all images the gates of the first one.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmdet.models.layers import MLP
from torch import Tensor, nn

from ...layers.attention import split_heads
from ...ops.kernels.precision import without_autocast
from ...registry import MODELS, build_part
from ..attention import DenseCrossAttention, keep_tokens, xavier_init
from ..roles import CrossAttention, SpatialPrior
from ..structures import Memory, QueryGroup

SMALLEST = 1e-2  # square of a scale that divides: the Gaussian is a fifth of a cell wide


@dataclass
class Prior:
    """Where the heads of each query look in one layer; in cells of each level, whose first has its centre at (0, 0).

    Args:
        offset: B N heads levels 2, (x, y) from the reference to the centre of the Gaussian.
        fall: B N heads levels 2, how fast it falls along x and y: log G = -fall_x dx^2 - fall_y dy^2.
        mixed: B N heads levels, factor of a further term -dx^2 dy^2; None where there is none.
        gate: B N levels, share of each level; None where there is one.
    """

    offset: Tensor
    fall: Tensor
    mixed: Tensor | None = None
    gate: Tensor | None = None

    def centre(self, reference: Tensor, memory: Memory) -> Tensor:
        """B N heads levels 2, (x, y) of the Gaussian's centre in cells."""
        if self.offset.shape[3] != len(memory.shapes):
            raise ValueError(
                f'GaussianPrior has {self.offset.shape[3]} levels, the encoder gives '
                f'{len(memory.shapes)}; write num_levels once, on the detector'
            )
        return (reference[:, :, None, :2] * memory.extents[:, None])[:, :, None] + self.offset


class LayerPrior(nn.Module):
    """What one decoder layer reads from its queries."""

    def __init__(self, embed_dims: int, num_heads: int, num_levels: int, num_scales: int):
        super().__init__()
        self.grid = (num_heads, num_levels)
        self.norm = nn.LayerNorm(embed_dims)
        self.offset = nn.Linear(embed_dims, num_heads * num_levels * 2)
        self.scale = nn.Linear(embed_dims, num_heads * num_levels * num_scales) if num_scales else None
        self.gate = nn.Linear(embed_dims, num_levels) if num_levels > 1 else None
        xavier_init(self)
        if num_scales:
            nn.init.zeros_(self.scale.weight)
            nn.init.ones_(self.scale.bias)

    def forward(self, query: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Offsets (B N heads levels 2), scales (B N heads levels K) and gates (B N levels), in float32."""
        query = self.norm(query)
        offset = self.offset(query).float().unflatten(-1, (*self.grid, 2))
        scale = None if self.scale is None else self.scale(query).float().unflatten(-1, (*self.grid, -1))
        return offset, scale, None if self.gate is None else self.gate(query).float().softmax(-1)


@MODELS.register_module()
class GaussianPrior(SpatialPrior):
    """Centre, offsets, scales and gates of every query, read from its content and position as it enters a layer.

    Args:
        num_scales: of each head in each level: 0 (a Gaussian of fixed width; the official code's "type1"), 1 (wide or
            narrow, "type2"), 2 (along x and along y, "type3", the default), 3 (and one for dx^2 dy^2, "type4").
        beta: width of all Gaussians, in squared cells.
        centre: predict a centre in the first layer, which is the reference of all layers and of the boxes; False for
            queries that bring references of their own (points or boxes, of which the centre is taken).
        divide: divide by the squared scales, as in the paper; else multiply, as in the official code and its weights.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        num_layers: int = 6,
        num_levels: int = 1,
        num_scales: int = 2,
        beta: float = 8.0,
        centre: bool = True,
        divide: bool = False,
    ):
        super().__init__()
        if num_scales not in range(4):
            raise ValueError(f'num_scales is 0, 1, 2 or 3, got {num_scales!r}')
        self.embed_dims, self.num_scales, self.beta, self.divide = embed_dims, num_scales, beta, divide
        self.layers = nn.ModuleList(
            LayerPrior(embed_dims, num_heads, num_levels, num_scales) for _ in range(num_layers)
        )
        self.gives_reference = centre
        self.centre = MLP(embed_dims, embed_dims, 2, num_layers=3) if centre else None
        if centre:
            xavier_init(self.centre)

    def forward(self, content: Tensor, pos: Tensor, layer: int) -> Prior:
        """content B N C that enters decoder layer number ``layer``; pos B N C (or more, of which the first C count)."""
        offset, scale, gate = self.layers[layer](self._query(content, pos))
        fall = torch.ones_like(offset)
        if scale is not None:
            squares = 1 / scale.square().clamp(min=SMALLEST) if self.divide else scale.square()
            fall = squares[..., :2].expand_as(offset)  # one scale stands for both axes
        mixed = squares[..., 2] / self.beta if self.num_scales == 3 else None
        return Prior(offset, fall / self.beta, mixed, gate)

    def reference(self, given: Tensor | None, content: Tensor, groups: list[QueryGroup]) -> Tensor:
        """B N 2, the centres; or what the queries bring."""
        if (given is None) != (self.centre is not None):
            raise ValueError(
                'queries without references need GaussianPrior(centre=True), which predicts them; those '
                f'that bring references, GaussianPrior(centre=False); got {groups[0].name!r} '
                f'{"without" if given is None else "with"} them'
            )
        if given is not None:
            return given
        query = self._query(content, torch.cat([group.pos for group in groups], dim=1))
        return self.centre(self.layers[0].norm(query)).float().sigmoid()

    def _query(self, content: Tensor, pos: Tensor) -> Tensor:
        return content + pos[..., : self.embed_dims]


@MODELS.register_module()
class GaussianCrossAttention(CrossAttention):
    """Attention whose weights are multiplied by Gaussians; each level has its own softmax, and the gates add them up.

    Args:
        base: config of the attention that compares queries with tokens.
    """

    takes_prior = True

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        dropout: float = 0.0,
        layer: int = 0,
        base: dict = dict(type=DenseCrossAttention),
    ):
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.base = build_part(base, embed_dims=embed_dims, num_heads=num_heads, dropout=dropout, layer=layer)
        if not self.base.compares:
            raise ValueError(
                'GaussianCrossAttention modulates how queries compare with tokens, and '
                f'{type(self.base).__name__} has no method `project` for that; take DenseCrossAttention '
                'or ConditionalCrossAttention as its base'
            )

    @property
    def inner(self) -> CrossAttention:
        return self.base.inner

    def forward(self, content: Tensor, pos: Tensor, reference: Tensor, memory: Memory, prior: Prior) -> Tensor:
        """content, pos: B N C; reference: B N 2 or B N 4, divided by the images' sizes without padding."""
        heads = [split_heads(x, self.num_heads) for x in self.base.project(content, pos, memory)]
        centre, dropout = prior.centre(reference, memory), self.dropout if self.training else 0.0

        # In float32 whatever the autocast: the squares of coordinates do not fit a half.
        with without_autocast(content):
            query, key, value = (x.float() for x in heads)
            looks = [
                modulated(query, key[:, :, tokens], value[:, :, tokens], gaussian, shape, keep, dropout)
                for gaussian, shape, tokens, keep in by_level(prior, centre, memory)
            ]
            look = (
                looks[0]
                if prior.gate is None
                else sum(gate[:, None, :, None] * each for gate, each in zip(prior.gate.unbind(-1), looks))
            )
        return self.base.out_proj(look.transpose(1, 2).flatten(2).to(content.dtype))

    def weights(self, content: Tensor, pos: Tensor, reference: Tensor, memory: Memory, prior: Prior) -> Tensor:
        """B heads N S: attention to each token, for pictures; a level's sum is its gate."""
        query, key, _ = (split_heads(x, self.num_heads).float() for x in self.base.project(content, pos, memory))
        levels = []
        for gaussian, shape, tokens, keep in by_level(prior, prior.centre(reference, memory), memory):
            scores = query @ key[:, :, tokens].transpose(-1, -2) * query.shape[-1] ** -0.5 + gaussian.log_map(shape)
            levels.append((scores if keep is None else scores.masked_fill(~keep, -torch.inf)).softmax(-1))
        return _gated(levels, prior.gate)

    def gaussians(self, content: Tensor, pos: Tensor, reference: Tensor, memory: Memory, prior: Prior) -> Tensor:
        """B heads N S: the Gaussians themselves, 1 at their centres times the gate of the level; 0 on padding."""
        levels = []
        for gaussian, shape, _, keep in by_level(prior, prior.centre(reference, memory), memory):
            levels.append(gaussian.log_map(shape).exp() * (1.0 if keep is None else keep))
        return _gated(levels, prior.gate)


@dataclass
class Gaussian:
    """Of every query and head in one level: centre B heads N 2 in cells, fall B heads N 2, mixed B heads N or None."""

    centre: Tensor
    fall: Tensor
    mixed: Tensor | None

    def log_map(self, shape: tuple[int, int]) -> Tensor:
        """B heads N h*w: the logarithm, written out."""
        x, y = (squared_distance(self.centre[..., axis], size) for axis, size in enumerate(reversed(shape)))
        x, y = x[..., None, :], y[..., None]
        log = -(self.fall[..., 0, None, None] * x + self.fall[..., 1, None, None] * y)
        return (log if self.mixed is None else log - self.mixed[..., None, None] * x * y).flatten(-2)

    def channels(self, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Channels of queries (B heads N 4) and of tokens (h*w 4) whose product is the logarithm but for a constant of
        each query: -(c - x)^2 = 2 c x - x^2 - c^2. Coordinates count from the middle of the map, to stay small."""
        height, width = shape
        x, y = self.centre[..., :1] - (width - 1) / 2, self.centre[..., 1:] - (height - 1) / 2
        query = torch.cat([2 * self.fall * torch.cat([x, y], dim=-1), -self.fall], dim=-1)
        y, x = torch.meshgrid(
            *(torch.arange(size, device=query.device) - (size - 1) / 2 for size in shape), indexing='ij'
        )
        cells = torch.stack([x, y], dim=-1).flatten(0, 1)
        return query, torch.cat([cells, cells.square()], dim=-1)


def squared_distance(centre: Tensor, size: int) -> Tensor:
    """... -> ... size: of every cell of an axis."""
    return (torch.arange(size, device=centre.device) - centre[..., None]).square()


def modulated(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    gaussian: Gaussian,
    shape: tuple[int, int],
    keep: Tensor | None,
    dropout: float,
) -> Tensor:
    """Attention under a Gaussian: query B heads N D, key B heads S D, value B heads S C -> B heads N C."""
    scale = query.shape[-1] ** -0.5
    if gaussian.mixed is not None:  # products of squared coordinates lose too many digits as channels
        log = gaussian.log_map(shape)
        log = log if keep is None else log.masked_fill(~keep, -torch.inf)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=log, dropout_p=dropout, scale=scale)

    query_channels, cells = gaussian.channels(shape)
    query = torch.cat([query * scale, query_channels], dim=-1)
    key = torch.cat([key, cells.expand(*key.shape[:2], -1, -1)], dim=-1)
    dims = value.shape[-1]
    value = F.pad(value, (0, query.shape[-1] - dims))  # the fused kernel of CPUs wants all three equally wide
    return F.scaled_dot_product_attention(query, key, value, attn_mask=keep, dropout_p=dropout, scale=1.0)[..., :dims]


def by_level(prior: Prior, centre: Tensor, memory: Memory):
    """(Gaussian, shape, slice of the tokens, which of them may be looked at: B 1 1 S or None) of each level."""
    keep, start = keep_tokens(memory), 0
    for level, (h, w) in enumerate(memory.shapes):
        tokens = slice(start, start + h * w)
        start = tokens.stop
        # B N heads ... -> B heads N ...
        parts = [x[:, :, :, level].transpose(1, 2) for x in (centre, prior.fall)]
        mixed = None if prior.mixed is None else prior.mixed[..., level].transpose(1, 2)
        yield Gaussian(*parts, mixed), (h, w), tokens, None if keep is None else keep[..., tokens]


def _gated(levels: list[Tensor], gate: Tensor | None) -> Tensor:
    if gate is not None:
        levels = [share[:, None, :, None] * level for share, level in zip(gate.unbind(-1), levels)]
    return torch.cat(levels, dim=-1)
