"""Where an outline turns, and the loss of gates that should find it (BAT, https://arxiv.org/abs/2110.03864, section
2.2).

A point of the outline is a key point if the share of the object in a disc around it is greater, or smaller, than at
all its neighbours along the outline: a corner or a notch. What differs from the official code: an outline without key
points gives an empty map, where that crashes; the share is found by one filter, not disc by disc.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...registry import MODELS
from ..structures import IGNORE
from ..terms import Term

# Points of an outline, below which: radius of the disc in pixels, neighbours on each side.
RULES = ((100, (6, 3)), (200, (10, 15)), (300, (10, 20)), (350, (15, 30)), (np.inf, (10, 40)))
SHORTEST = 30  # outlines of fewer points are left out
SIGMA, REACH = 5.0, 15


@MODELS.register_module()
class KeyPointTerm(Term):
    """The mean over gates of their focal loss (or cross entropy) against the key points of the truth.

    Args:
        stride: pixels of the image in a pixel of the gates.
        subsample: outlines are those of every so many-th pixel; 1 for small images.
        threshold: a pixel within a Gaussian about a key point belongs to it above this (0.5 in the code for ISIC 2018,
            0 in that for ISIC 2016, which makes twice as many).
        focal: focal loss; else cross entropy.
        alpha, gamma: of the focal loss; ``alpha`` weighs key points, ``1 - alpha`` all else.
        mean_first: the mean over pixels before the focal factor, as in the official code, where it is one number.
    """

    name = 'loss_gates'
    every_scale = False

    def __init__(
        self,
        stride: int = 16,
        subsample: int = 4,
        threshold: float = 0.5,
        focal: bool = True,
        alpha: float = 0.6,
        gamma: float = 2.0,
        mean_first: bool = False,
        weight: float = 1.0,
    ):
        super().__init__(weight)
        self.stride, self.subsample, self.threshold = stride, subsample, threshold
        self.focal, self.alpha, self.gamma, self.mean_first = focal, alpha, gamma, mean_first

    def forward(self, logits, target, extras):
        if 'gates' not in extras:
            raise ValueError('no part gives gates; KeyPointTerm goes with a BoundaryBottleneck')
        wanted = self.maps(target, extras['gates'][0])
        return torch.stack([self.compare(gate.float(), wanted) for gate in extras['gates']]).mean()

    def maps(self, target, like: Tensor) -> Tensor:
        """B 1 h w, 1 where a key point lies, of the union of all foreground."""
        inside = (target.maps > 0) & (target.maps != IGNORE)
        inside = inside.any(1) if target.regions else inside
        heat = [key_point_map(each, self.subsample) for each in inside.cpu().numpy().astype(np.uint8)]
        heat = torch.from_numpy(np.stack(heat))[:, None].to(like.device)
        height, width = (side * self.stride for side in like.shape[2:])
        heat = F.pad(heat, [0, width - heat.shape[3], 0, height - heat.shape[2]])
        return F.max_pool2d((heat > self.threshold).float(), self.stride)

    def compare(self, gate: Tensor, wanted: Tensor) -> Tensor:
        entropy = F.binary_cross_entropy(gate.clamp(1e-6, 1 - 1e-6), wanted, reduction='none')
        if not self.focal:
            return entropy.mean()
        alpha = torch.where(wanted > 0, self.alpha, 1 - self.alpha)
        if self.mean_first:
            entropy = entropy.mean()
        return (alpha * (1 - (-entropy).exp()) ** self.gamma * entropy).mean()


def key_point_map(mask: np.ndarray, subsample: int = 4) -> np.ndarray:
    """H W of 0 and 1 (uint8) -> H W float32: Gaussians about the key points, the larger where they meet."""
    heat = np.zeros(mask.shape, np.float32)
    stamp = np.exp(-(np.arange(-REACH, REACH + 1) ** 2) / (2 * SIGMA**2))
    stamp = np.outer(stamp, stamp).astype(np.float32)
    for row, column in key_points(mask, subsample):
        top, left = max(row - REACH, 0), max(column - REACH, 0)
        part = heat[top : row + REACH + 1, left : column + REACH + 1]
        y, x = top - row + REACH, left - column + REACH
        np.maximum(part, stamp[y : y + part.shape[0], x : x + part.shape[1]], out=part)
    return heat


def key_points(mask: np.ndarray, subsample: int = 4) -> list[tuple[int, int]]:
    """(row, column) of the points at which outlines, those of holes included, turn."""
    small = np.ascontiguousarray(mask[::subsample, ::subsample])
    outlines, _ = cv2.findContours(small, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    found = []
    for outline in outlines:
        points = outline[:, 0, ::-1] * subsample  # rows, columns
        if len(points) >= SHORTEST:
            radius, reach = next(rule for limit, rule in RULES if len(points) < limit)
            share = in_disc(mask, radius)[points[:, 0], points[:, 1]]
            found += [tuple(map(int, points[i])) for i in extrema(share, reach)]
    return found


def in_disc(mask: np.ndarray, radius: int) -> np.ndarray:
    """How many pixels of the mask lie within the radius of each pixel."""
    place = np.arange(-radius, radius + 1)
    disc = (place[:, None] ** 2 + place**2 <= radius**2).astype(np.float32)
    return cv2.filter2D(mask.astype(np.float32), -1, disc, borderType=cv2.BORDER_CONSTANT).round()


def extrema(values: Sequence[float], reach: int) -> np.ndarray:
    """Where a ring of values is greater than all, or smaller than all, so many neighbours on each side."""
    values = np.asarray(values)
    around = np.stack([np.roll(values, shift) for shift in range(-reach, reach + 1) if shift])
    return np.flatnonzero((values > around.max(0)) | (values < around.min(0)))
