"""Deformable attention of gathers and sums alone, for exported graphs: GridSample is computed differently, or wrongly,
by some runtimes, and custom operators by none. Few operators, for a graph holds them again for each layer."""

import torch
import torch.nn.functional as F
from torch import Tensor


def ms_deform_attn_gather(
    value: Tensor, shapes: tuple[tuple[int, int], ...], locations: Tensor, weights: Tensor
) -> Tensor:
    """As `ms_deform_attn`."""
    batch, tokens, heads, dim = value.shape
    table = value.transpose(1, 2).reshape(-1, dim).to(weights.dtype)  # tokens of each image and head one after another
    heights, widths, first = (locations.new_tensor(each)[:, None] for each in layout(shapes))  # L 1
    images = torch.arange(batch * heads, device=value.device).view(batch, 1, heads, 1, 1) * tokens

    columns, rows = corners(locations[..., 0], widths), corners(locations[..., 1], heights)
    total = 0.0
    for row, share_y in rows:
        for column, share_x in columns:
            cell = (row * widths + column + first).long() + images
            share = (share_y * share_x * weights).flatten(3).unsqueeze(-2)  # B Q H 1 LP
            total = total + share @ F.embedding(cell.flatten(3), table)  # exact in float32 below 2^24 tokens
    return total.flatten(2)


def layout(shapes: tuple[tuple[int, int], ...]) -> tuple[list[int], list[int], list[int]]:
    """Heights and widths of levels, and the place of their first token."""
    sizes = [height * width for height, width in shapes]
    starts = [sum(sizes[:level]) for level in range(len(sizes))]
    return [height for height, _ in shapes], [width for _, width in shapes], starts


def corners(location: Tensor, sizes: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(cell, share) of the two cells around a location in [0, 1], along one axis; no share for one outside."""
    place = location * sizes - 0.5
    low = place.floor()
    far = place - low
    found = []
    for cell, share in ((low, 1 - far), (low + 1, far)):
        inside = (cell >= 0) & (cell < sizes)
        found.append((cell.clamp(min=0).minimum(sizes - 1), share * inside))
    return found
