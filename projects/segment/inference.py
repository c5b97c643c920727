"""How a network's logits for a whole input come about: in one piece, or in overlapping tiles.

An inference part is called as ``inference(images, logits)``: images B C *size, ``logits`` the network as a function
from B C *any to B K *any; it returns B K *size.
"""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor

from ..layers.patch import tupled
from ..registry import MODELS

Network = Callable[[Tensor], Tensor]


@MODELS.register_module()
class WholeInference:
    """The whole input at once."""

    def __call__(self, images: Tensor, logits: Network) -> Tensor:
        return logits(images)


@MODELS.register_module()
class MirroredInference:
    """The whole input at once for a net of valid convolutions: its surroundings are mirrored until the output covers it
    (U-Net's overlap-tile strategy, https://arxiv.org/abs/1505.04597, section 2).

    Args:
        margin: pixels that the net loses at each end of an axis, at least; the output is cut to the input.
    """

    def __init__(self, margin: int | Sequence[int]):
        self.margin = margin

    def __call__(self, images: Tensor, logits: Network) -> Tensor:
        size = images.shape[2:]
        margin = tupled(self.margin, len(size))
        out = logits(mirror_pad(images, margin))
        starts = [(have - want) // 2 for have, want in zip(out.shape[2:], size)]
        if min(starts) < 0:
            raise ValueError(
                f'with margin={margin} the net gives {tuple(out.shape[2:])} of an input of {tuple(size)}; enlarge it'
            )
        return out[(..., *(slice(start, start + want) for start, want in zip(starts, size)))]


def mirror_pad(images: Tensor, margin: Sequence[int]) -> Tensor:
    """B C *size with so many mirrored pixels at both ends of each axis, in as many steps as a short axis needs."""
    left = list(margin)
    while any(left):
        step = [min(each, length - 1) for each, length in zip(left, images.shape[2:])]
        if any(each and not now for each, now in zip(left, step)):
            raise ValueError(f'an axis of one pixel cannot be mirrored: input {tuple(images.shape[2:])}')
        images = F.pad(images, [each for now in reversed(step) for each in (now, now)], mode='reflect')
        left = [each - now for each, now in zip(left, step)]
    return images
