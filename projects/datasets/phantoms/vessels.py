"""Vessel trees in a liver-like organ, as contrast CT in Hounsfield units: a root that forks until branches are thin."""

import numpy as np
from scipy import ndimage

from .nested import Phantom, ellipsoid, oblique

LABELS = dict(background=0, vessel=1)
THINNEST = 0.8  # voxels; thinner branches are not drawn
MURRAY = 0.794  # 2 ** (-1/3): radius of two equal children of a branch (Murray's law)
LIVER, VESSEL, AROUND = 100.0, 170.0, -80.0  # HU


def vessels(rng: np.random.Generator, size: int) -> Phantom:
    """A volume of about ``size`` voxels with a tree."""
    shape = tuple(int(n) for n in rng.integers(round(0.75 * size), size + 1, 3))
    middle = np.array(shape) / 2
    organ = ellipsoid(shape, middle, middle * rng.uniform(0.85, 0.95, 3), np.eye(3))
    start = middle * [1, 1, 0.15]
    branches = grow(rng, start, np.array([0.0, 0.0, 1.0]), max(size / 16, 2 * THINNEST), size / 3)
    tree = draw(shape, branches) & organ
    image = np.where(organ, np.where(tree, VESSEL, LIVER), AROUND)
    image = ndimage.gaussian_filter(image, 0.5) + rng.normal(0, 12, shape)
    return Phantom(dict(CT=image.astype(np.float32)), tree.astype(np.uint8), oblique(rng, shape))


def grow(
    rng: np.random.Generator, start: np.ndarray, direction: np.ndarray, radius: float, length: float
) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """(start, end, radius) of a branch and all that spring from it."""
    if radius < THINNEST:
        return []
    end = start + direction * length
    found = [(start, end, radius)]
    side = np.cross(direction, rng.standard_normal(3))
    side /= np.linalg.norm(side)
    for sign in (-1, 1):
        angle = np.deg2rad(rng.uniform(25, 45))
        turned = direction * np.cos(angle) + sign * side * np.sin(angle)
        found += grow(rng, end, turned, radius * MURRAY * rng.uniform(0.85, 1.0), length * rng.uniform(0.65, 0.85))
    return found


def draw(shape: tuple[int, ...], branches: list[tuple[np.ndarray, np.ndarray, float]]) -> np.ndarray:
    """The mask of tubes around straight branches."""
    places = np.moveaxis(np.indices(shape), 0, -1) + 0.5
    mask = np.zeros(shape, bool)
    for start, end, radius in branches:
        along = end - start
        share = ((places - start) @ along / (along @ along)).clip(0, 1)
        mask |= ((places - start - share[..., None] * along) ** 2).sum(-1) <= radius**2
    return mask
