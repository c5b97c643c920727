"""Where the voxels of a volume lie. An affine maps (d, h, w, 1), the axes of the array, to millimetres with right,
anterior and superior positive, as nibabel's does for (x, y, z)."""

from collections.abc import Callable
from importlib import import_module

import numpy as np


class BadVolume(ValueError):
    """A volume that must not be trained on; the message names file, field and values."""


def optional(name: str, what: str):
    """A package of the extra ``medical``; ImportError with the command to install it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f'{what} needs {name}: pip install "mmparts-toolbox[medical]"') from error


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Millimetres between voxels along D, H and W."""
    return tuple(np.linalg.norm(affine[:3, :3], axis=0).tolist())


def orientation_of(affine: np.ndarray) -> str:
    """Where each axis points to, the nearest of R L, A P, S I: ``'SAR'`` of a NIfTI file in RAS, read as D H W."""
    return ''.join(optional('nibabel', 'orientation').aff2axcodes(affine))


def corner_distance(first: np.ndarray, second: np.ndarray, shape: tuple[int, ...]) -> float:
    """The largest distance, in voxels, between the corners of the same array under two affines."""
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape], [1], indexing='ij')).reshape(4, -1)
    apart = np.linalg.norm(((first - second) @ corners)[:3], axis=0).max()
    return float(apart / max(min(spacing_of(first)), 1e-12))


def geometry_fault(first, second, tolerance: float = 0.01) -> str | None:
    """In what the second volume lies otherwise than the first; both have ``path``, ``shape`` (D H W) and ``affine``.

    Args:
        tolerance: in voxels, of the corners. Exact equality would refuse files whose writers rounded.
    """
    if tuple(first.shape) != tuple(second.shape):
        return f'shape (D H W) is {tuple(first.shape)} in {first.path} and {tuple(second.shape)} in {second.path}'
    apart = corner_distance(first.affine, second.affine, first.shape)
    if apart <= tolerance:
        return None
    parts: dict[str, Callable] = dict(
        spacing=spacing_of,
        direction=lambda affine: (affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)).ravel(),
        origin=lambda affine: affine[:3, 3],
    )
    differing = {name: (part(first.affine), part(second.affine)) for name, part in parts.items()}
    name = next((key for key, (a, b) in differing.items() if not np.allclose(a, b, rtol=1e-3, atol=1e-3)), 'origin')
    a, b = (np.round(np.asarray(value), 4).tolist() for value in differing[name])
    return f'{name} is {a} in {first.path} and {b} in {second.path}; corners lie {apart:.3g} voxels apart'


def check_affine(affine: np.ndarray, path: str) -> np.ndarray:
    """``affine`` (4 4) in float64; raises `BadVolume` if it places no voxels."""
    affine = np.asarray(affine, np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise BadVolume(f'{path}: the affine {affine.tolist()} places no voxels; a 4x4 matrix of full rank would')
    return affine
