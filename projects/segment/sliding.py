"""Inference by windows that slide and are blended.

``slabs`` gives the logits piece by piece along the first axis, so that memory is bounded by a window's depth however
deep a volume is.
"""

from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import Tensor

from ..registry import MODELS
from .inference import Inference, Network, pad_around


@MODELS.register_module()
class SlidingInference(Inference):
    """Windows that overlap, blended by weights that fall off from their centres; as many axes as ``size`` has.

    Positions and weights are MONAI's (`monai.inferers.sliding_window_inference`), to which the logits are equal.

    Args:
        size: of the windows. A smaller volume is filled up around it.
        overlap: share of a window that the next one covers, below 1.
        weights: 'gaussian' or 'constant'.
        sigma: of the Gaussian, in sizes of the window (nnU-Net's and MONAI's 1/8). Weights below 1e-3 are 1e-3.
        batch_size: windows at a time.
        accumulate: device of the sums, such as 'cpu' for volumes that are too large for the GPU; None: that of images.
        pad_value: around a volume smaller than a window.
        mirror_axes: see `Inference`.

    Example:
        >>> inference = SlidingInference(size=(16, 16, 16), overlap=0.25)
        >>> inference(torch.zeros(1, 1, 37, 41, 9), lambda x: x.repeat(1, 2, 1, 1, 1)).shape
        torch.Size([1, 2, 37, 41, 9])
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        return dict(size=[min(side, 64) for side in cfg['size']])

    def __init__(
        self,
        size: Sequence[int],
        overlap: float = 0.5,
        weights: str = 'gaussian',
        sigma: float = 0.125,
        batch_size: int = 1,
        accumulate: str | None = None,
        pad_value: float = 0.0,
        mirror_axes: Sequence[int] = (),
    ):
        super().__init__(mirror_axes)
        if not 0 <= overlap < 1:
            raise ValueError(f'overlap={overlap}; a share from 0 to below 1')
        if weights not in ('gaussian', 'constant'):
            raise ValueError(f"weights={weights!r}; 'gaussian' or 'constant'")
        self.size, self.overlap, self.weights, self.sigma = tuple(size), overlap, weights, sigma
        self.batch_size, self.accumulate, self.pad_value = batch_size, accumulate, pad_value

    def __call__(self, images: Tensor, network: Network) -> Tensor:
        padded, before = self._prepare(images)
        *_, (_, _, sums) = self._finished(network, padded, rolling=False)  # every piece lies in ``sums``
        return sums[(..., *[slice(b, b + length) for b, length in zip(before, images.shape[2:])])]

    def slabs(self, images: Tensor, network: Network) -> Iterator[tuple[int, Tensor]]:
        padded, before = self._prepare(images)
        (near, *before), (length, *rest) = before, images.shape[2:]
        inner = tuple(slice(b, b + n) for b, n in zip(before, rest))
        for start, piece, _ in self._finished(network, padded, rolling=True):
            low, high = max(start - near, 0), min(start + piece.shape[2] - near, length)
            if low < high:
                offset = low + near - start
                yield low, piece[(slice(None), slice(None), slice(offset, offset + high - low), *inner)]

    def _prepare(self, images: Tensor) -> tuple[Tensor, list[int]]:
        """Inputs at least as large as a window, and what was added before each axis."""
        if images.ndim != len(self.size) + 2:
            raise ValueError(
                f'windows {"x".join(map(str, self.size))} over images of shape {tuple(images.shape)}; they would need '
                f'a number for each of its {images.ndim - 2} spatial axes'
            )
        before = [max(window - length, 0) // 2 for window, length in zip(self.size, images.shape[2:])]
        return pad_around(images, self.size, before, self.pad_value), before

    def _finished(self, network: Network, padded: Tensor, rolling: bool) -> Iterator[tuple[int, Tensor, Tensor]]:
        """(start, weighted means, buffer) of each piece that no further window reaches.

        Args:
            rolling: the buffer is as deep as a window and a piece is valid until the next one; else it is whole.
        """
        first, *others = [
            positions(length, window, self.overlap) for length, window in zip(padded.shape[2:], self.size)
        ]
        places = list(product(*others))
        device = torch.device(self.accumulate) if self.accumulate else padded.device
        weight = self._weight().to(device)
        total = torch.zeros(self.size[0], *padded.shape[3:], device=device)
        sums = None
        for depth, following in zip(first, [*first[1:], padded.shape[2]]):
            for place, logits in self._windows(network, padded, depth, places):
                if sums is None:
                    shape = total.shape if rolling else padded.shape[2:]
                    sums = torch.zeros(*logits.shape[:2], *shape, device=device)
                layer = sums if rolling else sums[:, :, depth : depth + self.size[0]]
                where = tuple(slice(p, p + window) for p, window in zip(place, self.size[1:]))
                layer[(slice(None), slice(None), slice(None), *where)].addcmul_(logits.to(device, sums.dtype), weight)
                total[(slice(None), *where)] += weight
            step = following - depth
            yield depth, layer[:, :, :step].div_(total[:step]), sums
            move_up(total[None], step)
            if rolling:
                move_up(sums.flatten(0, 1), step)

    def _windows(
        self, network: Network, padded: Tensor, depth: int, places: list[tuple[int, ...]]
    ) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """(place, logits B K *size) of each window of one depth."""
        batch = len(padded)
        for i in range(0, len(places), self.batch_size):
            chosen = places[i : i + self.batch_size]
            windows = [
                padded[(..., *[slice(p, p + window) for p, window in zip((depth, *place), self.size)])]
                for place in chosen
            ]
            logits = self.mirrored(network, windows[0] if len(windows) == 1 else torch.cat(windows))
            if logits.shape[2:] != self.size:
                raise ValueError(f'logits of {tuple(logits.shape[2:])} for windows of {self.size}; they must be equal')
            yield from zip(chosen, logits.split(batch))

    def _weight(self) -> Tensor:
        """Weights of the voxels of a window, all positive."""
        if self.weights == 'constant':
            return torch.ones(self.size)
        weight = torch.ones(())
        for window in self.size:
            offset = torch.arange(window) - (window - 1) / 2
            weight = weight[..., None] * torch.exp(-(offset**2) / (2 * (self.sigma * window) ** 2))
        return weight.clamp(min=max(weight.min().item(), 1e-3))


def positions(length: int, window: int, overlap: float) -> list[int]:
    """Starts of windows along an axis; the last one ends with it."""
    if length == window:
        return [0]
    step = max(int(window * (1 - overlap)), 1)
    count = -(-(length - window) // step) + 1
    return [min(i * step, length - window) for i in range(count)]


def move_up(buffer: Tensor, step: int):
    """Forget the first ``step`` rows of every map N D *rest: the others move up, zeros follow."""
    kept = buffer.shape[1] - step
    for each in buffer:
        if kept > 0:
            each[:kept] = each[step:].clone()
        each[max(kept, 0) :] = 0
