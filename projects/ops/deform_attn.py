"""Multi-scale deformable attention: every query sums a few bilinear samples of every level, weighted.

Deformable DETR, https://arxiv.org/abs/2010.04159, equation 3 without the linear layers.
"""
import torch
import torch.nn.functional as F
from torch import Tensor


def ms_deform_attn_reference(value: Tensor, shapes: tuple[tuple[int, int], ...], locations: Tensor,
                             weights: Tensor) -> Tensor:
    """The definition of the op; arguments and result as in `ms_deform_attn`."""
    batch, _, heads, dim = value.shape
    queries = locations.shape[1]
    grids = (2 * locations - 1).transpose(1, 2).flatten(0, 1)  # B*H Q L P 2
    output = 0
    for level, ((height, width), tokens) in enumerate(zip(shapes, value.split([h * w for h, w in shapes], 1))):
        image = tokens.permute(0, 2, 3, 1).reshape(batch * heads, dim, height, width)
        samples = F.grid_sample(image, grids[:, :, level], padding_mode='zeros', align_corners=False)  # B*H D Q P
        weight = weights[:, :, :, level].transpose(1, 2).reshape(batch * heads, 1, queries, -1)
        output = output + (samples * weight).sum(-1)
    return output.view(batch, heads * dim, queries).transpose(1, 2)


def ms_deform_attn(value: Tensor, shapes: tuple[tuple[int, int], ...], locations: Tensor, weights: Tensor) -> Tensor:
    """Sample ``value`` at ``locations`` and sum with ``weights``: bilinear, zeros outside, align_corners=False.

    Args:
        value: B S H D, the tokens of all levels one after another, row by row.
        shapes: (height, width) of each level, as Python ints.
        locations: B Q H L P 2, (x, y) in [0, 1] of each level.
        weights: B Q H L P, softmaxed over L P.

    Returns:
        B Q H*D, heads one after another.
    """
    return ms_deform_attn_reference(value, shapes, locations, weights)
