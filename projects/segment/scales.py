"""Inference at several sizes of the image, as papers call multi-scale and flip test."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..registry import MODELS, build_part
from .inference import Inference, Network, WholeInference
from .restore import enlarge

RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)  # of ADE20K's recipes


@MODELS.register_module()
class MultiScaleInference(Inference):
    """The mean of probabilities over sizes of the image, each of them mirrored, too, where ``mirror_axes`` are given.

    Args:
        ratios: sizes over that of the input.
        base: inference at one size, whole or in tiles.
        activation: what makes probabilities of logits, 'softmax' or 'sigmoid'; set by the segmentor.
        mirror_axes: see `Inference`; (1,) is left and right of an image.

    What is returned are logits again, of the mean: its logarithm, or the inverse of the sigmoid.

    Example:
        >>> inference = MultiScaleInference(ratios=(1.0, 1.5), mirror_axes=(1,))
        >>> inference(torch.zeros(1, 3, 20, 30), lambda x: x[:, :2]).shape
        torch.Size([1, 2, 20, 30])
    """

    def __init__(
        self,
        ratios: Sequence[float] = RATIOS,
        base: dict = dict(type=WholeInference),
        activation: str = 'softmax',
        mirror_axes: Sequence[int] = (),
    ):
        super().__init__(mirror_axes)
        if not ratios or min(ratios) <= 0:
            raise ValueError(f'ratios={tuple(ratios)}; at least one, each above 0')
        if activation not in ('softmax', 'sigmoid'):
            raise ValueError(f"activation={activation!r}; 'softmax' or 'sigmoid'")
        self.ratios, self.activation = tuple(ratios), activation
        self.base = build_part(base)

    def slabs(self, images: Tensor, network: Network) -> Iterator[tuple[int, Tensor]]:
        size = images.shape[2:]

        def probabilities(view: Tensor) -> Tensor:
            logits = enlarge(self.base(view, network), size)
            return logits.softmax(1) if self.activation == 'softmax' else logits.sigmoid()

        views = (enlarge(images, [max(round(side * ratio), 1) for side in size]) for ratio in self.ratios)
        mean = sum(self.mirrored(probabilities, view) for view in views) / len(self.ratios)
        yield 0, mean.clamp(min=1e-12).log() if self.activation == 'softmax' else torch.logit(mean, eps=1e-6)
