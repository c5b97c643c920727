"""How a network's logits for a whole input come about: in one piece, or in overlapping tiles.

An inference part is called as ``inference(images, logits)``: images B C *size, ``logits`` the network as a function
from B C *any to B K *any; it returns B K *size.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from ..layers.patch import tupled
from ..registry import MODELS

Network = Callable[[Tensor], Tensor]
ROWS = 4  # decided at a time: `argmax` may copy what it reads


class Inference:
    """Base of the inference parts.

    Args:
        mirror_axes: spatial axes (0 is D of a volume, H of an image) over whose flips logits are averaged. Only axes
            that were mirrored in training are of use: `restrict_mirror`.
    """

    def __init__(self, mirror_axes: Sequence[int] = ()):
        self.mirror_axes = tuple(sorted(set(mirror_axes)))

    def __call__(self, images: Tensor, network: Network) -> Tensor:
        """Logits B K *S of images B C *S."""
        parts = [part for _, part in self.slabs(images, network)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 2)

    def slabs(self, images: Tensor, network: Network) -> Iterator[tuple[int, Tensor]]:
        """Pieces of the logits along the first axis, in order: (start, B K s *rest)."""
        raise NotImplementedError

    def restrict_mirror(self, trained: Sequence[int]) -> tuple[int, ...]:
        """Keep only the axes that were mirrored in training; returns those that were dropped."""
        dropped = tuple(axis for axis in self.mirror_axes if axis not in trained)
        self.mirror_axes = tuple(axis for axis in self.mirror_axes if axis in trained)
        return dropped

    def mirrored(self, network: Network, images: Tensor) -> Tensor:
        """Logits averaged over all combinations of flips."""
        total = network(images)
        flips = [
            [axis + 2 for axis, on in zip(self.mirror_axes, chosen) if on]
            for chosen in product((False, True), repeat=len(self.mirror_axes))
        ][1:]
        for axes in flips:
            total = total + network(images.flip(axes)).flip(axes)
        return total / (len(flips) + 1) if flips else total


def decided(inference: Inference, images: Tensor, network: Network, decode: Callable[[Tensor], Tensor]) -> Tensor:
    """Maps B N *S that ``decode`` (K *s -> N *s) makes of each slab of the logits; no other logits are kept."""
    maps = []
    for _, slab in inference.slabs(images, network):
        maps += [torch.stack([decode(each) for each in rows]) for rows in slab.split(ROWS, 2)]
    return torch.cat(maps, 2)


@MODELS.register_module()
class WholeInference(Inference):
    """The image or volume at once.

    Args:
        divisor: sizes are filled up to a multiple of it at their far end, with ``pad_value``, and the logits are cut.
        mirror_axes: see `Inference`.

    Example:
        >>> inference = WholeInference(divisor=16)
        >>> inference(torch.zeros(1, 2, 30, 17, 5), lambda x: x[:, :1]).shape
        torch.Size([1, 1, 30, 17, 5])
    """

    def __init__(self, divisor: int = 1, pad_value: float = 0.0, mirror_axes: Sequence[int] = ()):
        super().__init__(mirror_axes)
        self.divisor, self.pad_value = divisor, pad_value

    def slabs(self, images: Tensor, network: Network) -> Iterator[tuple[int, Tensor]]:
        size = images.shape[2:]
        padded = pad_far(images, [-(-length // self.divisor) * self.divisor for length in size], self.pad_value)
        logits = self.mirrored(network, padded)
        yield 0, logits[(..., *[slice(length) for length in size])]


@MODELS.register_module()
class MirroredInference:
    """The whole input at once for a net of valid convolutions: its surroundings are mirrored until the output covers it
    (U-Net's overlap-tile strategy, https://arxiv.org/abs/1505.04597, section 2).

    Args:
        margin: pixels that the net loses at each end of an axis; the output is cut to the input.
        divisor, offset: sides that the net can take are multiples of one plus the other.
    """

    def __init__(self, margin: int | Sequence[int], divisor: int = 1, offset: int = 0):
        self.margin, self.divisor, self.offset = margin, divisor, offset

    def __call__(self, images: Tensor, logits: Network) -> Tensor:
        size = images.shape[2:]
        margins = []
        for side, margin in zip(size, tupled(self.margin, len(size))):
            gap = -(side + 2 * margin - self.offset) % self.divisor
            margins.append((margin + gap // 2, margin + gap - gap // 2))
        out = logits(mirror_pad(images, margins))
        starts = [(have - want) // 2 for have, want in zip(out.shape[2:], size)]
        if min(starts) < 0:
            raise ValueError(
                f'with margin={self.margin} the net gives {tuple(out.shape[2:])} of an input of {tuple(size)}; '
                'enlarge it'
            )
        return out[(..., *(slice(start, start + want) for start, want in zip(starts, size)))]


def mirror_pad(images: Tensor, margins: Sequence[tuple[int, int]]) -> Tensor:
    """B C *size with so many mirrored pixels before and after each axis, in as many steps as a short axis needs."""
    left = [list(pair) for pair in margins]
    while any(map(any, left)):
        if any(any(pair) and length == 1 for pair, length in zip(left, images.shape[2:])):
            raise ValueError(f'an axis of one pixel cannot be mirrored: input {tuple(images.shape[2:])}')
        step = [[min(each, length - 1) for each in pair] for pair, length in zip(left, images.shape[2:])]
        images = F.pad(images, [each for pair in reversed(step) for each in pair], mode='reflect')
        left = [[each - now for each, now in zip(*pairs)] for pairs in zip(left, step)]
    return images


def pad_far(images: Tensor, sizes: Sequence[int], value: float) -> Tensor:
    """Fill up to ``sizes`` at the far end of each axis."""
    missing = [(0, size - length) for size, length in zip(sizes, images.shape[2:])]
    return pad(images, missing, value)


def pad_around(images: Tensor, sizes: Sequence[int], before: Sequence[int], value: float) -> Tensor:
    """Fill up to at least ``sizes``, with ``before`` at the near end."""
    lengths = images.shape[2:]
    return pad(images, [(b, max(s - n, 0) - b) for b, s, n in zip(before, sizes, lengths)], value)


def pad(images: Tensor, missing: Sequence[tuple[int, int]], value: float) -> Tensor:
    """Fill up each axis by (near, far)."""
    if not any(far or near for near, far in missing):
        return images
    return F.pad(images, [n for pair in reversed(missing) for n in pair], value=value)
