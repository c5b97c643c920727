"""Deformable attention on tokens of several maps (Deformable DETR, https://arxiv.org/abs/2010.04159, section 4.1), in
images and in volumes; plain tensors in, plain tensors out."""

import math

import torch
from torch import Tensor, nn

from ..ops.deform_attn.fused import ms_deform_attn_fused, samples
from ..ops.deform_attn.volume import ms_deform_attn_3d

Shapes = tuple[tuple[int, ...], ...]


class DeformableAttention(nn.Module):
    """Each query looks at a few sampled points around its reference, in every level.

    Args:
        num_levels: maps that every query looks into.
        num_points: points of each head in each level.
        dims: axes of the maps, 2 or 3.
        value_ratio: channels of the values over ``embed_dims`` (ViT-Adapter has 0.5 in its large forms).
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 4,
        dims: int = 2,
        value_ratio: float = 1.0,
    ):
        super().__init__()
        value_dims = int(embed_dims * value_ratio)
        for name, width in (('embed_dims', embed_dims), ('channels of the values', value_dims)):
            if width % num_heads:
                raise ValueError(f'{name} {width} is not a multiple of num_heads {num_heads}')
        self.num_heads, self.num_levels, self.num_points, self.dims = num_heads, num_levels, num_points, dims
        self.sampling_offsets = nn.Linear(embed_dims, num_heads * num_levels * num_points * dims)
        self.attention_weights = nn.Linear(embed_dims, num_heads * num_levels * num_points)
        self.value_proj = nn.Linear(embed_dims, value_dims)
        self.output_proj = nn.Linear(value_dims, embed_dims)
        self.reset_parameters()

    def reset_parameters(self):
        """Points start around the reference: one direction for each head, one radius (in cells) for each point."""
        ring = directions(self.num_heads, self.dims)
        ring = ring / ring.abs().max(dim=-1, keepdim=True).values
        radius = torch.arange(1, self.num_points + 1)[:, None]
        bias = (ring[:, None, None] * radius).expand(-1, self.num_levels, -1, -1)
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(bias.reshape(-1))
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for linear in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        shapes: Shapes,
        reference: Tensor,
        keep: Tensor | None = None,
        sizes: Tensor | None = None,
    ) -> Tensor:
        """query B N C -> B N C.

        Args:
            value: B S C, the tokens of all levels one after another.
            shapes: sides of each level, in the order of its axes.
            reference: in [0, 1] of each level, (x, y[, z]): B N L dims of points, from which an offset of one is a
                cell; B N L 2*dims of boxes (centre and size), from which ``num_points`` of them are half a box.
            keep: B S bool, False on padding, whose values count as zero; None: all are kept.
            sizes: see :func:`level_sizes`; made of ``shapes`` where not given.
        """
        value = self.value_proj(value)
        if keep is not None:
            value = value.masked_fill(~keep[..., None], 0.0)
        value = value.unflatten(-1, (self.num_heads, -1))
        where = self._look(query, reference, level_sizes(shapes, query.device) if sizes is None else sizes)
        if self.dims == 2:
            return self.output_proj(ms_deform_attn_fused(value, shapes, *where))
        return self.output_proj(ms_deform_attn_3d(value, shapes, *samples(*where)))

    def samples(self, query: Tensor, reference: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Where each query looks and how much: (B N heads levels points dims in [0, 1] of the map; without dims).

        Locations are float32 whatever the autocast: a half has no room for a third of a pixel on a large map.
        """
        return samples(*self._look(query, reference, sizes))

    def _look(self, query: Tensor, reference: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """The centre that each query looks around, how far an offset of one reaches, offsets, and logits of weights."""
        grid = (self.num_heads, self.num_levels, self.num_points)
        offsets = self.sampling_offsets(query).unflatten(-1, (*grid, self.dims))
        logits = self.attention_weights(query).unflatten(-1, grid)
        if reference.shape[-1] == self.dims:
            return reference, 1 / sizes, offsets, logits
        centre, size = reference.split(self.dims, dim=-1)
        return centre, size * (0.5 / self.num_points), offsets, logits


def directions(count: int, dims: int) -> Tensor:
    """count dims: unit vectors, evenly on the circle from (1, 0), or on the sphere along a spiral from pole to pole."""
    if dims == 2:
        angles = torch.arange(count) * (2 * math.pi / count)
        return torch.stack([angles.cos(), angles.sin()], dim=-1)
    z = 1 - (2 * torch.arange(count) + 1) / count
    turn = torch.arange(count) * math.pi * (3 - 5**0.5)  # the golden angle
    radius = (1 - z**2).sqrt()
    return torch.stack([radius * turn.cos(), radius * turn.sin(), z], dim=-1)


def level_sizes(shapes: Shapes, device: torch.device | str | None = None) -> Tensor:
    """L dims: (width, height) or (width, height, depth) of each level."""
    return torch.tensor([shape[::-1] for shape in shapes], dtype=torch.float32).to(device, non_blocking=True)


def centres(shape: tuple[int, ...], device: torch.device | str | None = None) -> Tensor:
    """S dims: the centre (x, y[, z]) of every cell of a map, in [0, 1] of it; the last axis fastest."""
    axes = [(torch.arange(length, device=device) + 0.5) / length for length in shape]
    return torch.stack(torch.meshgrid(*axes, indexing='ij')[::-1], dim=-1).flatten(0, -2)
