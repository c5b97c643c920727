"""Cross entropy that counts the gaps between touching cells more (U-Net, https://arxiv.org/abs/1505.04597, section 3).

What is our choice: distances are Euclidean, to the nearest pixel of each instance, and only background pixels get the
border's weight; instances are the connected components of the foreground, so the weights follow every augmentation.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt, generate_binary_structure, label
from torch import Tensor

from ...registry import MODELS
from ..structures import IGNORE
from ..terms import Term


@MODELS.register_module()
class BorderWeightTerm(Term):
    """The mean over pixels of ``w(x) * cross entropy``, ``w = w_c + w0 exp(-(d1 + d2)^2 / (2 sigma^2))``; d1, d2 are
    the distances to the nearest and the second nearest cell.

    Args:
        w0, sigma: height and width (pixels) of the border's weight.
        balance: ``w_c`` of each class is its share's inverse, so that all classes count the same; else 1.
    """

    name = 'loss_ce'
    every_scale = False

    def __init__(self, w0: float = 10.0, sigma: float = 5.0, balance: bool = True, weight: float = 1.0):
        super().__init__(weight)
        self.w0, self.sigma, self.balance = w0, sigma, balance

    def forward(self, logits, target, extras):
        labels = target.labels(logits.shape[1])
        known = labels != IGNORE
        losses = F.cross_entropy(logits.float(), labels, ignore_index=IGNORE, reduction='none')
        weights = torch.stack([self.weights(each, logits.shape[1]) for each in labels])
        return (losses * weights * known).sum() / known.sum().clamp(min=1)

    def weights(self, labels: Tensor, num_classes: int) -> Tensor:
        """*size class numbers -> *size weights."""
        cells = labels.cpu().numpy()
        border = border_weights(instances((cells > 0) & (cells != IGNORE)), self.w0, self.sigma)
        weights = torch.from_numpy(border).to(labels.device, torch.float32)
        return weights + self.class_weights(labels, num_classes)

    def class_weights(self, labels: Tensor, num_classes: int) -> Tensor | float:
        if not self.balance:
            return 1.0
        known = labels != IGNORE
        counts = labels[known].bincount(minlength=num_classes).float()
        there = (counts > 0).sum().clamp(min=1)
        table = counts.sum() / (there * counts.clamp(min=1))
        return table[labels.where(known, 0)]


def instances(foreground: np.ndarray) -> np.ndarray:
    """Numbers of the connected components, 0 outside; corners do not connect."""
    return label(foreground, generate_binary_structure(foreground.ndim, 1))[0]


def border_weights(cells: np.ndarray, w0: float = 10.0, sigma: float = 5.0) -> np.ndarray:
    """``w0 exp(-(d1 + d2)^2 / (2 sigma^2))`` on the background, 0 on cells and where there are less than two of them.

    Args:
        cells: *size, a number for each cell, 0 outside.
    """
    numbers = np.unique(cells[cells > 0])
    if len(numbers) < 2:
        return np.zeros(cells.shape, np.float32)
    nearest = np.full((2, *cells.shape), np.inf)
    for number in numbers:
        distance = distance_transform_edt(cells != number)
        nearest = np.sort(np.concatenate([nearest, distance[None]]), axis=0)[:2]
    weights = w0 * np.exp(-(nearest.sum(0) ** 2) / (2 * sigma**2))
    return np.where(cells == 0, weights, 0).astype(np.float32)
