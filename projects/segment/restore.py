"""From logits on the padded grid of a batch to a prediction on the grid on which it is wanted.

A restoring part is called as ``restore(logits, sample, decode)``: K *padded, the data sample, the head's function from
logits to a map; it returns the logits to keep and the map.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from ..registry import MODELS

Decode = Callable[[Tensor], Tensor]


@MODELS.register_module()
class RestoreInput:
    """The grid of the input: padding is cut off (volumes)."""

    def __call__(self, logits: Tensor, sample, decode: Decode) -> tuple[Tensor, Tensor]:
        logits = without_padding(logits, sample)
        return logits, decode(logits)

    def labels(self, labels: Tensor, sample) -> Tensor:
        """The same of a map N *padded that is decided already; the nearest where sizes change."""
        return without_padding(labels, sample)


@MODELS.register_module()
class RestoreImage:
    """The image of the file: padding is cut off, a flip undone, and what was resized gets its old size (``ori_shape``).

    Args:
        align_corners: of the interpolation.
    """

    def __init__(self, align_corners: bool = False):
        self.align_corners = align_corners

    def __call__(self, logits: Tensor, sample, decode: Decode) -> tuple[Tensor, Tensor]:
        logits = unflipped(without_padding(logits, sample), sample)
        logits = enlarge(logits[None], tuple(sample.get('ori_shape') or logits.shape[1:])[:2], self.align_corners)[0]
        return logits, decode(logits)

    def labels(self, labels: Tensor, sample) -> Tensor:
        """The same of a map N *padded that is decided already; the nearest where sizes change."""
        labels = unflipped(without_padding(labels, sample), sample)
        size = tuple(sample.get('ori_shape') or labels.shape[1:])[:2]
        return F.interpolate(labels[None].float(), size, mode='nearest-exact')[0].to(labels.dtype)


def unflipped(maps: Tensor, sample) -> Tensor:
    """K H W of a flipped image as of the image itself."""
    if not sample.get('flip'):
        return maps
    return maps.flip(-1 if sample.get('flip_direction', 'horizontal') == 'horizontal' else -2)


def without_padding(logits: Tensor, sample) -> Tensor:
    """K *padded -> K *size of the sample's ``img_shape``."""
    size = tuple(sample.get('img_shape') or logits.shape[1:])[: logits.ndim - 1]
    return logits[(slice(None), *map(slice, size))]


def enlarge(maps: Tensor, size: tuple[int, ...], align_corners: bool = False) -> Tensor:
    """B C *old -> B C *size, linearly interpolated."""
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    mode = ('linear', 'bilinear', 'trilinear')[len(size) - 1]
    return F.interpolate(maps, tuple(size), mode=mode, align_corners=align_corners)
