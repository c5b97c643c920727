"""Logits back on the grid of the file: resampled, then decided, slab by slab.

The transforms that lead to a model's input (orientation, spacing, crop, pad) permute, flip, scale and shift axes, so
the two affines say everything that has to be undone. Only a slab of the resampled logits exists at a time: those of 8
classes at 512 x 512 x 128 would be 1 GB.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..registry import MODELS
from .restore import Decode, RestoreInput, without_padding
from .structures import name_of

SLAB_BYTES = 1 << 26


@MODELS.register_module()
class RestoreFile:
    """The grid of a volume's file; of the logits, those on the grid of the input are kept.

    Args:
        slab_bytes: of resampled logits that exist at a time.

    Raises:
        ValueError: the sample does not say where it lies in its file: ``affine``, ``source_affine``, ``source_shape``.
    """

    def __init__(self, slab_bytes: int = SLAB_BYTES):
        self.slab_bytes = slab_bytes

    def __call__(self, logits: Tensor, sample, decode: Decode) -> tuple[Tensor, Tensor]:
        logits = without_padding(logits, sample)
        missing = [key for key in ('affine', 'source_affine', 'source_shape') if sample.get(key) is None]
        if missing:
            raise ValueError(f'sample {name_of(sample)} has no {missing[0]}; name it in the meta_keys of PackVolume')
        grid = (sample.get('affine'), sample.get('source_affine'), sample.get('source_shape'))
        return logits, restore(logits, *grid, decode, self.slab_bytes)

    def labels(self, labels: Tensor, sample) -> Tensor:
        """The same of a map N *padded that is decided already: the nearest."""
        labels = without_padding(labels, sample)
        order, axes = axis_maps(
            sample.get('affine'), sample.get('source_affine'), labels.shape[1:], sample.get('source_shape')
        )
        labels = labels.permute(0, *[axis + 1 for axis in order])
        for axis, each in enumerate(axes, 1):
            size = labels.shape[axis]
            nearest = torch.from_numpy(each.round().clip(0, size - 1).astype(np.int64))
            labels = labels.index_select(axis, nearest.to(labels.device))
            beyond = torch.from_numpy((each < -0.5) | (each > size - 0.5))
            labels.index_fill_(axis, beyond.nonzero()[:, 0].to(labels.device), 0)
        return labels.cpu()


@MODELS.register_module()
class RestoreVolume(RestoreFile):
    """The same for samples of files; those that say nothing of a file stay on the grid of the input."""

    def __call__(self, logits: Tensor, sample, decode: Decode) -> tuple[Tensor, Tensor]:
        whole = super().__call__ if of_file(sample) else RestoreInput()
        return whole(logits, sample, decode)

    def labels(self, labels: Tensor, sample) -> Tensor:
        """The same of a map N *padded that is decided already."""
        return super().labels(labels, sample) if of_file(sample) else RestoreInput().labels(labels, sample)


def of_file(sample) -> bool:
    """Whether a sample says anything of a file that it comes from."""
    return any(sample.get(key) is not None for key in ('case', 'affine', 'source_affine'))


def restore(
    logits: Tensor,
    affine: np.ndarray,
    source_affine: np.ndarray,
    source_shape: Sequence[int],
    decode: Decode,
    slab_bytes: int = SLAB_BYTES,
) -> Tensor:
    """What ``decode`` says of the logits, interpolated linearly on the grid of the file; 0 beyond the input.

    Args:
        logits: K D H W on the grid of the model's input.
        affine: of that grid: (d, h, w, 1) to millimetres.
        source_affine, source_shape: of the grid of the file.
        decode: K d h w -> N d h w: what is decided of interpolated logits.
        slab_bytes: of interpolated logits that exist at a time.

    Returns:
        N D H W of the file, on the CPU.

    Raises:
        ValueError: the grids are rotated against each other, as after an augmentation.
    """
    order, axes = axis_maps(affine, source_affine, logits.shape[1:], source_shape)
    logits = logits.permute(0, *[axis + 1 for axis in order])
    depth, *plane = source_shape
    rows = max(1, slab_bytes // (4 * len(logits) * int(np.prod(plane))))
    result = None
    for first, last in pairwise([*range(0, depth, rows), depth]):
        slab = logits
        for axis, each in enumerate(axes, 1):
            slab = interpolate(slab, axis, each[first:last] if axis == 1 else each)
        decided = decode(slab)
        if result is None:
            result = torch.zeros(len(decided), *source_shape, dtype=decided.dtype)
        result[:, first:last] = decided
    for axis, each in enumerate(axes, 1):
        size = logits.shape[axis]
        beyond = torch.from_numpy((each < -0.5) | (each > size - 0.5))
        if beyond.any():
            result.index_fill_(axis, beyond.nonzero()[:, 0], 0)
    return result


def axis_maps(
    affine: np.ndarray, source_affine: np.ndarray, shape: Sequence[int], source_shape: Sequence[int]
) -> tuple[list[int], list[np.ndarray]]:
    """Which axis of the input belongs to each axis of the file, and the coordinate there of each row of the file."""
    matrix = np.linalg.inv(np.asarray(affine, float)) @ np.asarray(source_affine, float)
    turn = np.abs(matrix[:3, :3])
    order = [int(turn[:, axis].argmax()) for axis in range(3)]
    rest = turn.copy()
    rest[order, range(3)] = 0
    reach = (rest * np.asarray(source_shape)).max()  # in voxels, at the far end of the file
    if sorted(order) != [0, 1, 2] or reach > 0.5:
        raise ValueError(
            f'the input lies rotated in the file ({np.round(matrix[:3, :3], 3).tolist()} voxels); only orientation, '
            'spacing, crop and pad can be undone'
        )
    maps = [matrix[a, axis] * np.arange(source_shape[axis]) + matrix[a, 3] for axis, a in enumerate(order)]
    return order, [np.where(np.abs(each - each.round()) < 1e-3, each.round(), each) for each in maps]


def interpolate(values: Tensor, axis: int, where: np.ndarray) -> Tensor:
    """``values`` at the coordinates ``where`` of an axis, those beyond taken as the last ones."""
    where = where.clip(0, values.shape[axis] - 1)
    low = np.floor(where).astype(np.int64)
    share = torch.from_numpy((where - low).astype(np.float32)).to(values.device)
    if not share.any():
        if len(low) and (np.diff(low) == 1).all():  # a view
            return values.narrow(axis, int(low[0]), len(low))
        return values.index_select(axis, torch.from_numpy(low).to(values.device))
    high = np.minimum(low + 1, values.shape[axis] - 1)
    first, second = (values.index_select(axis, torch.from_numpy(each).to(values.device)) for each in (low, high))
    share = share.view(-1, *[1] * (values.ndim - axis - 1))
    return first.float().lerp_(second.float(), share)
