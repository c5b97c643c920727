"""What is left of a prediction after small or stray pieces are dropped."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class CleanUp:
    """Drops pieces of masks; those that touch at corners are one.

    Args:
        largest: only the largest piece of each class or region stays.
        volume: pieces of fewer cubic millimetres are dropped.
    """

    largest: bool = False
    volume: float = 0.0

    def masks(self, masks: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
        """Masks N D H W."""
        return np.stack([self.mask(mask > 0, spacing) for mask in masks]).astype(masks.dtype)

    def classes(self, classes: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
        """Class numbers D H W; what is dropped becomes 0."""
        result = np.zeros_like(classes)
        for value in np.unique(classes[classes > 0]):
            result[self.mask(classes == value, spacing)] = value
        return result

    def mask(self, mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
        """One mask D H W."""
        if not (self.largest or self.volume) or not mask.any():
            return mask
        pieces, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)
        sizes[0] = 0
        kept = sizes * np.prod(spacing) >= self.volume
        kept[0] = False
        if self.largest:
            kept &= np.arange(count + 1) == sizes.argmax()
        return kept[pieces]
