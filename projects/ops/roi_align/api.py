"""RoIAlign (Mask R-CNN, https://arxiv.org/abs/1703.06870) with average pooling, forward and backward, as in mmcv 2.1.0.

In plain torch: every output cell is a weighted sum of feature rows, an embedding bag of the corners of its samples.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..kernels.bags import spread_bags
from ..kernels.variants import Variant, Variants, from_module
from ..mmcv import compiled


@dataclass
class RoIGrid:
    """Where regions are sampled.

    Args:
        output_size: (height, width) of each region's result.
        spatial_scale: feature cells per unit of the regions.
        sampling_ratio: samples per output cell and axis; 0 takes one per feature cell.
        aligned: shift by half a cell, so that samples sit on cell centres.
    """

    output_size: tuple[int, int]
    spatial_scale: float = 1.0
    sampling_ratio: int = 0
    aligned: bool = True


def roi_align(features: Tensor, rois: Tensor, grid: RoIGrid) -> Tensor:
    """Average of bilinear samples in each cell of each region, R C h w; not differentiable, see `roi_align_grad`.

    Args:
        features: B C H W.
        rois: R 5: index into the batch, then xyxy.

    Raises:
        IndexError: a region of an image that the batch does not have.
    """
    _check(rois, len(features))
    precise, rois = _common(features, rois)
    op, _ = VARIANTS.choose(precise.device, precise.dtype)
    return op(precise, rois, grid).to(features.dtype)


def roi_align_grad(grad: Tensor, rois: Tensor, grid: RoIGrid, shape: tuple[int, ...]) -> Tensor:
    """Gradient for features of the given ``shape`` (B C H W) from ``grad`` of the result (R C h w)."""
    _check(rois, shape[0])
    precise, rois = _common(grad, rois)
    _, op = VARIANTS.choose(precise.device, precise.dtype)
    return op(precise, rois, grid, tuple(shape)).to(grad.dtype)


def roi_align_reference(features: Tensor, rois: Tensor, grid: RoIGrid) -> Tensor:
    """As `roi_align`, on any device."""
    rows, weights, sizes, order = _bags(rois, grid, features.shape)
    table = features.permute(0, 2, 3, 1).flatten(0, 2)  # B*H*W C
    starts = (sizes.cumsum(0) - sizes).to(rows.dtype)
    cells = F.embedding_bag(rows, table, starts, mode='sum', per_sample_weights=weights)
    output = cells.view(len(rois), *grid.output_size, features.shape[1]).permute(0, 3, 1, 2)
    return output[order.argsort()]


def roi_align_grad_reference(grad: Tensor, rois: Tensor, grid: RoIGrid, shape: tuple[int, ...]) -> Tensor:
    """As `roi_align_grad`, on any device."""
    rows, weights, sizes, order = _bags(rois, grid, shape)
    cells = grad[order].flatten(2).transpose(1, 2).flatten(0, 1)
    batch, channels, height, width = shape
    bags = torch.arange(len(cells), dtype=rows.dtype, device=rows.device).repeat_interleave(sizes)
    (table,) = spread_bags(rows, bags, [weights], cells, batch * height * width)
    return table.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _bags(rois: Tensor, grid: RoIGrid, shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Feature rows and weights of all output cells one after another (M each), entries per cell (R*h*w), and the order
    in which the regions come (R): those with equally many samples together."""
    corners = rois[:, 1:] * grid.spatial_scale - (0.5 if grid.aligned else 0)
    start, extent = corners[:, :2], corners[:, 2:] - corners[:, :2]
    if not grid.aligned:
        extent = extent.clamp(min=1)
    bins = extent / extent.new_tensor(grid.output_size[::-1])  # R 2: width, height
    counts = torch.full_like(bins, grid.sampling_ratio) if grid.sampling_ratio > 0 else bins.ceil().clamp(min=0)

    counts, group = counts.long().unique(dim=0, return_inverse=True)
    members = [(group == index).nonzero().squeeze(1) for index in range(len(counts))]
    rows, weights, sizes = [rois.new_zeros(0, dtype=torch.int32)], [rois.new_zeros(0)], [group.new_zeros(0)]
    for member, (across, down) in zip(members, counts.tolist()):
        x, x_weight = _axis(start[member, 0], bins[member, 0], grid.output_size[1], across, shape[3])
        y, y_weight = _axis(start[member, 1], bins[member, 1], grid.output_size[0], down, shape[2])
        image = rois[member, 0].long()[:, None, None] * shape[2]
        row = ((image + y) * shape[3])[:, :, None, :, None] + x[:, None, :, None, :]  # n h w 2*down 2*across
        rows.append(row.flatten().int())
        weights.append((y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]).flatten())
        sizes.append(group.new_full((row.shape[:3].numel(),), 4 * across * down))
    return torch.cat(rows), torch.cat(weights), torch.cat(sizes), torch.cat(members) if members else group


def _axis(start: Tensor, step: Tensor, cells: int, samples: int, size: int) -> tuple[Tensor, Tensor]:
    """Feature indices along one axis and their weights, n cells 2*samples each.

    A sample up to one feature cell outside takes the border's value, one further out counts as zero.
    """
    start, step = start[:, None, None], step[:, None, None]
    cell, sample = torch.arange(cells, device=start.device)[:, None], torch.arange(samples, device=start.device)
    # In mmcv's order of operations: whether a sample on the very edge counts depends on the rounding.
    position = start + cell * step + (sample + 0.5) * step / samples  # n cells samples
    inside = (position >= -1) & (position <= size)
    position = position.clamp(0, size - 1)
    low = position.floor()
    upper = position - low
    index = torch.stack([low, (low + 1).clamp(max=size - 1)], -1).long()
    weight = torch.stack([1 - upper, upper], -1) * inside[..., None] / max(samples, 1)
    return index.flatten(2), weight.flatten(2)


def _common(tensor: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the finer of their precisions, at least float32."""
    dtype = torch.promote_types(torch.promote_types(tensor.dtype, rois.dtype), torch.float32)
    return tensor.to(dtype), rois.to(dtype)


def _check(rois: Tensor, batch: int):
    # On a GPU asking would wait for it.
    if rois.device.type == 'cpu' and not ((rois[:, 0] >= 0) & (rois[:, 0] < batch)).all():
        raise IndexError(f'regions lie in images {rois[:, 0].min()} to {rois[:, 0].max()}, but the batch has {batch}')


def _example():
    start = torch.rand(512, 2) * torch.tensor([1000.0, 600.0])
    rois = torch.cat([torch.zeros(512, 1), start, start + 32 + 300 * torch.rand(512, 2)], 1)
    grid, features = RoIGrid((7, 7), 1 / 16), torch.randn(1, 256, 50, 84)

    def run(features: Tensor, rois: Tensor) -> list[Tensor]:
        output = roi_align(features, rois, grid)
        return [output, roi_align_grad(output.contiguous(), rois, grid, features.shape)]

    return run, (features, rois)


# Each a pair: the op and its gradient.
VARIANTS = Variants(
    'roi_align',
    example=_example,
    numba=Variant(from_module('roi_align.numba_kernels.ROI_ALIGN', 'fast'), ('cpu',)),
    mmcv=compiled.ROI_ALIGN,
    reference=Variant(lambda: (roi_align_reference, roi_align_grad_reference)),
)
