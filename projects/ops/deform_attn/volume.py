"""Multi-scale deformable attention in volumes: `ms_deform_attn` with three axes and trilinear samples (CoTr,
https://arxiv.org/abs/2103.03024; COTR-Net).

What differs from CoTr's code: locations are (x, y, z), x along the last axis, as `grid_sample` reads them; the official
ones come in the order of the axes, so that off the diagonal of a cube every query looks elsewhere.
"""

import math
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from ..kernels.variants import Variant, Variants

Shapes3d = tuple[tuple[int, int, int], ...]


def ms_deform_attn_3d(value: Tensor, shapes: Shapes3d, locations: Tensor, weights: Tensor) -> Tensor:
    """Sample ``value`` at ``locations`` and sum with ``weights``: trilinear, zeros outside, align_corners=False.

    Args:
        value: B S H D, the tokens of all levels one after another, the last axis of a level fastest.
        shapes: (depth, height, width) of each level, as Python ints.
        locations: B Q H L P 3, (x, y, z) in [0, 1] of each level.
        weights: B Q H L P, softmaxed over L P.

    Returns:
        B Q H*D, heads one after another, in the dtype of ``value``.
    """
    expected = sum(map(math.prod, shapes))
    if value.shape[1] != expected:
        raise ValueError(f'value has {value.shape[1]} tokens, but the levels {shapes} have {expected}')
    if value.is_meta:
        return value.new_empty(*locations.shape[:2], value.shape[2:].numel())
    precise = torch.promote_types(value.dtype, torch.float32)
    op = VARIANTS.choose(value.device, precise)
    return op(value.to(precise), shapes, locations.to(precise), weights.to(precise)).to(value.dtype)


def ms_deform_attn_3d_reference(value: Tensor, shapes: Shapes3d, locations: Tensor, weights: Tensor) -> Tensor:
    """The definition of the op, for any device."""
    batch, _, heads, dim = value.shape
    images = value.permute(0, 2, 3, 1).flatten(0, 1)  # B*H D S
    grids = (2 * locations - 1).transpose(1, 2).flatten(0, 1)  # B*H Q L P 3
    weights = weights.transpose(1, 2).flatten(0, 1).unsqueeze(1)  # B*H 1 Q L P

    output = 0.0
    for level, volume in enumerate(images.split([math.prod(shape) for shape in shapes], -1)):
        grid = grids[:, :, level, :, None]  # B*H Q P 1 3
        samples = F.grid_sample(volume.unflatten(-1, shapes[level]), grid, padding_mode='zeros', align_corners=False)
        output = output + (samples[..., 0] * weights[:, :, :, level]).sum(-1)
    return output.view(batch, heads * dim, -1).transpose(1, 2)


def ms_deform_attn_3d_cpu(value: Tensor, shapes: Shapes3d, locations: Tensor, weights: Tensor) -> Tensor:
    """The same as a bag of 8 L P rows for each query and head, for which torch has a fused kernel on CPUs."""
    batch, queries, heads = locations.shape[:3]
    rows, shares = [], []
    first = 0
    for level, shape in enumerate(shapes):
        size = locations.new_tensor(shape[::-1])  # (width, height, depth), as locations are
        place = locations[:, :, :, level] * size - 0.5  # B Q H P 3
        low = place.detach().floor()
        for corner in product((0, 1), repeat=3):
            cell = low + low.new_tensor(corner)
            inside = ((cell >= 0) & (cell < size)).all(-1)
            share = (1 - (place - cell).abs()).prod(-1) * inside
            x, y, z = torch.where(inside[..., None], cell, 0).long().unbind(-1)
            rows.append(first + (z * shape[1] + y) * shape[2] + x)
            shares.append(share * weights[:, :, :, level])
        first += math.prod(shape)

    # Rows of the table are (image, token, head), so that it is a view of the values.
    image = torch.arange(batch, device=value.device).view(-1, 1, 1, 1)
    head = torch.arange(heads, device=value.device).view(-1, 1)
    bags = ((image * value.shape[1] + torch.cat(rows, -1)) * heads + head).flatten(0, 2)
    table = value.flatten(0, 2)
    sums = F.embedding_bag(bags, table, mode='sum', per_sample_weights=torch.cat(shares, -1).flatten(0, 2))
    return sums.view(batch, queries, -1)


def _example():
    shapes = (8, 16, 16), (4, 8, 8)
    tokens = sum(map(math.prod, shapes))
    value = torch.randn(1, tokens, 6, 16, requires_grad=True)
    locations = torch.rand(1, 300, 6, 2, 4, 3)
    weights = torch.rand(1, 300, 6, 2, 4, requires_grad=True)
    return lambda value, *rest: ms_deform_attn_3d(value, shapes, *rest), (value, locations, weights)


VARIANTS = Variants(
    'ms_deform_attn_3d',
    example=_example,
    torch=Variant(lambda: ms_deform_attn_3d_cpu, ('cpu',)),
    reference=Variant(lambda: ms_deform_attn_3d_reference),
)
