"""Images and volumes cut into patches, and maps made coarser or finer: for any number of axes (channels last)."""

from collections.abc import Callable, Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def tupled(value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    """One number for each axis, from one for all."""
    return (value,) * dims if isinstance(value, int) else tuple(value)


def pad_to_multiple(x: Tensor, sides: Sequence[int], channels_last: bool = False) -> Tensor:
    """Zero-pad the end of every spatial axis of B C *size (or B *size C) to a multiple of ``sides``."""
    size = x.shape[1:-1] if channels_last else x.shape[2:]
    padding = [each for length, side in zip(size, sides) for each in (-length % side, 0)][::-1]
    if not any(padding):
        return x
    return F.pad(x, (0, 0, *padding) if channels_last else padding)


class PatchEmbed(nn.Module):
    """B C *size -> B *size/patch embed_dims: a convolution whose stride is its kernel.

    Args:
        dims: axes of the image.
        patch_size: sides of a patch; one number for all axes.
        stride: distance between patches; default: their size.
        norm: makes a norm of so many channels; None: none.
        pad: zero-pad images to whole patches; else what is left over is refused.

    Raises:
        ValueError: an image is no multiple of the patch, and ``pad`` is off; it has another number of channels.
    """

    def __init__(
        self,
        in_channels: int,
        embed_dims: int,
        patch_size: int | Sequence[int],
        dims: int = 2,
        stride: int | Sequence[int] | None = None,
        norm: Callable[[int], nn.Module] | None = None,
        bias: bool = True,
        pad: bool = True,
    ):
        super().__init__()
        self.patch_size = tupled(patch_size, dims)
        stride = self.patch_size if stride is None else tupled(stride, dims)
        self.proj = CONVS[dims - 1](in_channels, embed_dims, self.patch_size, stride=stride, bias=bias)
        self.norm = norm(embed_dims) if norm else nn.Identity()
        self.pad = pad

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[1] != self.proj.in_channels:
            raise ValueError(f'images have {images.shape[1]} channels, patches are made of {self.proj.in_channels}')
        if self.pad:
            images = pad_to_multiple(images, self.patch_size)
        elif any(length % side for length, side in zip(images.shape[2:], self.patch_size)):
            right = [-(-length // side) * side for length, side in zip(images.shape[2:], self.patch_size)]
            raise ValueError(
                f'image {_by(images.shape[2:])} is not a multiple of {_by(self.patch_size)}; pad to {_by(right)}'
            )
        return self.norm(self.proj(images).movedim(1, -1))


class PatchMerging(nn.Module):
    """2^dims neighbours become one token of ``out_dims``: B *size C -> B *size/2 out_dims; odd maps are zero-padded.

    Args:
        out_dims: default: twice ``embed_dims``.
        order: offsets of the neighbours in the order in which their channels are joined, one tuple for each; default:
            the first axis runs fastest, as in the official Swin codes in 2-D. MONAI's forms in 3-D have other orders,
            one of them with doubled neighbours.
        norm: makes a norm of so many channels.
        norm_last: norm after the linear map (Swin v2), not before (Swin).
    """

    def __init__(
        self,
        embed_dims: int,
        out_dims: int | None = None,
        dims: int = 2,
        order: Sequence[Sequence[int]] | None = None,
        norm: Callable[[int], nn.Module] = nn.LayerNorm,
        norm_last: bool = False,
    ):
        super().__init__()
        out_dims = out_dims or 2 * embed_dims
        self.order = tuple(map(tuple, order)) if order else first_axis_fastest(dims)
        joined = len(self.order) * embed_dims
        self.norm_last = norm_last
        self.norm = norm(out_dims if norm_last else joined)
        self.reduction = nn.Linear(joined, out_dims, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = pad_to_multiple(x, (2,) * (x.ndim - 2), channels_last=True)
        parts = [x[(slice(None), *(slice(start, None, 2) for start in offset))] for offset in self.order]
        x = torch.cat(parts, dim=-1)
        return self.norm(self.reduction(x)) if self.norm_last else self.reduction(self.norm(x))


def first_axis_fastest(dims: int) -> tuple[tuple[int, ...], ...]:
    """(0, 0), (1, 0), (0, 1), (1, 1) and so on."""
    return tuple(offset[::-1] for offset in product((0, 1), repeat=dims))


class PatchExpand(nn.Module):
    """A token becomes ``scale^dims`` neighbours: B *size C -> B *size*scale out_dims (Swin-Unet,
    https://arxiv.org/abs/2105.05537, section 3.5).

    Args:
        scale: new sides over old ones, one number for all axes or one for each.
        out_dims: default: half of ``embed_dims``.
        norm: makes a norm of so many channels.
    """

    def __init__(
        self,
        embed_dims: int,
        scale: int | Sequence[int] = 2,
        out_dims: int | None = None,
        dims: int = 2,
        norm: Callable[[int], nn.Module] = nn.LayerNorm,
    ):
        super().__init__()
        self.scale = tupled(scale, dims)
        out_dims = out_dims or embed_dims // 2
        self.expand = nn.Linear(embed_dims, out_dims * int(torch.Size(self.scale).numel()), bias=False)
        self.norm = norm(out_dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(spread(self.expand(x), self.scale))


def spread(x: Tensor, scale: Sequence[int]) -> Tensor:
    """B *size (prod(scale) C) -> B *size*scale C; the last axis of the neighbours runs fastest."""
    dims = len(scale)
    x = x.unflatten(-1, (*scale, -1))
    order = [each for axis in range(dims) for each in (1 + axis, 1 + dims + axis)]
    x = x.permute(0, *order, 2 * dims + 1)
    for axis in range(dims):
        x = x.flatten(1 + axis, 2 + axis)
    return x


def _by(sides: Sequence[int]) -> str:
    return 'x'.join(map(str, sides))
