"""Distances between surfaces, in millimetres: HD95, ASSD, NSD.

A surface is the voxels of a mask with a face neighbour outside it; beyond the array is outside (as in medpy and MONAI).
medpy and MONAI differ in how HD95 joins the two directions.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage


def surface(mask: np.ndarray) -> np.ndarray:
    """The mask's voxels that touch what is outside."""
    return mask & ~ndimage.binary_erosion(mask, ndimage.generate_binary_structure(mask.ndim, 1))


def surface_distances(truth: np.ndarray, found: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Distance from each surface voxel of the prediction to the truth's surface, and the other way round.

    Args:
        truth, found: masks, neither empty.
        spacing: of their voxels, along each axis.
    """
    box = box_of(truth | found)
    truth, found = surface(truth[box]), surface(found[box])
    return (
        ndimage.distance_transform_edt(~truth, sampling=spacing)[found],
        ndimage.distance_transform_edt(~found, sampling=spacing)[truth],
    )


def box_of(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box around a mask that is not empty."""
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    return box


def medpy_hd95(to_truth: np.ndarray, to_found: np.ndarray) -> float:
    """95th percentile of the distances of both directions together (medpy)."""
    return float(np.percentile(np.concatenate([to_truth, to_found]), 95))


def monai_hd95(to_truth: np.ndarray, to_found: np.ndarray) -> float:
    """The larger of the 95th percentiles of the two directions (MONAI)."""
    return float(max(np.percentile(to_truth, 95), np.percentile(to_found, 95)))


def mean_distance(to_truth: np.ndarray, to_found: np.ndarray) -> float:
    """ASSD: mean distance of both directions together (medpy since 0.5, MONAI)."""
    return float(np.concatenate([to_truth, to_found]).mean())


def surface_dice(to_truth: np.ndarray, to_found: np.ndarray, tolerance: float) -> float:
    """NSD: share of both surfaces within ``tolerance`` millimetres of the other, voxels counted (MONAI)."""
    near = (to_truth <= tolerance).sum() + (to_found <= tolerance).sum()
    return float(near / (len(to_truth) + len(to_found)))


HD_RULES: dict[str, Callable] = dict(medpy=medpy_hd95, monai=monai_hd95)
