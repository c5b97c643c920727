"""Cross entropy that counts more the more the outlines differ in shape (GT U-Net, https://arxiv.org/abs/2109.14813).

Shapes are compared by the lowest Fourier coefficients of their outlines, of which only the magnitudes count. The factor
has no gradient: it scales that of the cross entropy. beta stands in no text that could be read; 1 is our choice. As in
the official code an outline of another length of descriptors, of fewer than six points against a longer one, differs
by 1.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from ...registry import MODELS
from ..terms import BinaryCrossEntropyTerm

COEFFICIENTS = 5


@MODELS.register_module()
class FourierTerm(BinaryCrossEntropyTerm):
    """Binary cross entropy times ``1 / (1 + exp(-beta * dZ))``, dZ the mean distance of the outlines in a batch.

    Args:
        beta: how much shape counts.
        normaliser: what outlines are divided by to compare them at any size: 'z0' (the official code: the sum of the
            distances to the corner of the bounding box, which a rotation changes a little) or 'z1' (the classical first
            coefficient, truly invariant).
        others: see :class:`mmparts.segment.terms.BinaryCrossEntropyTerm`.
    """

    name = 'loss_fourier'
    every_scale = False

    def __init__(
        self, beta: float = 1.0, normaliser: str = 'z0', positive_weight: float | None = None, weight: float = 1.0
    ):
        super().__init__(positive_weight, weight)
        if normaliser not in ('z0', 'z1'):
            raise ValueError(f"normaliser={normaliser!r} is unknown; choose from 'z0', 'z1'")
        self.beta, self.normaliser = beta, normaliser

    def forward(self, logits, target, extras):
        entropy = super().forward(logits, target, extras)
        guess, true = (logits > 0) & target.valid, target.dense(logits.shape[1]) > 0
        distance = outline_distance(guess.flatten(0, 1), true.flatten(0, 1), self.normaliser)
        return entropy * torch.sigmoid(torch.tensor(self.beta * distance))


def outline_distance(guesses: Tensor, truths: Tensor, normaliser: str = 'z0') -> float:
    """The mean over pairs of masks N H W."""
    pairs = zip(guesses.cpu().numpy().astype(np.uint8), truths.cpu().numpy().astype(np.uint8))
    return float(np.mean([distance(*pair, normaliser) for pair in pairs]))


def distance(guess: np.ndarray, truth: np.ndarray, normaliser: str = 'z0') -> float:
    """Between the descriptors of the largest outlines of two masks (uint8); 1 where one mask has none."""
    one, other = (descriptor(mask, normaliser) for mask in (guess, truth))
    if one is None or other is None or len(one) != len(other):
        return 1.0
    return float(np.linalg.norm(one - other))


def descriptor(mask: np.ndarray, normaliser: str = 'z0') -> np.ndarray | None:
    """Magnitudes of coefficients 1 to 5 of the largest outer outline, from the corner of its bounding box."""
    outlines, _ = cv2.findContours(np.ascontiguousarray(mask), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    outline = max(outlines, key=cv2.contourArea)[:, 0].astype(float)  # the first of equals
    x, y = (outline - outline.min(0)).T
    magnitudes = np.abs(np.fft.fft(x + 1j * y))
    scale = magnitudes[0] if normaliser == 'z0' else magnitudes[1:2].sum()
    if not scale:
        return magnitudes[1 : 1 + COEFFICIENTS]
    return (magnitudes / scale)[1 : 1 + COEFFICIENTS]
