"""What a case scores where truth or prediction is empty: challenges and papers differ, and the mean with them.

A rule takes (truth is empty, prediction is empty, diagonal of the volume) and returns (value of overlap measures, value
of distances) if it has a say, else None; NaN is left out of the means.
"""

from collections.abc import Callable

NAN = float('nan')
BRATS_PENALTY = 373.13  # the diagonal of BraTS's 240 x 240 x 155 mm


def brats(truth: bool, found: bool, diagonal: float) -> tuple[float, float] | None:
    """The BraTS challenge."""
    if truth and found:
        return 1.0, 0.0
    return (0.0, BRATS_PENALTY) if truth or found else None


def vtunet(truth: bool, found: bool, diagonal: float) -> tuple[float, float] | None:
    """VT-UNet and nnFormer: a missed object costs no distance, which flatters the mean."""
    if truth and found:
        return 1.0, 0.0
    return (0.0, 0.0) if truth or found else None


def transunet(truth: bool, found: bool, diagonal: float) -> tuple[float, float] | None:
    """TransUNet and Swin-Unet: what is found without truth counts as right, rightly finding nothing as wrong."""
    if truth and not found:
        return 1.0, 0.0
    return (0.0, 0.0) if truth or found else None


def monai(truth: bool, found: bool, diagonal: float) -> tuple[float, float] | None:
    """MONAI's metrics: cases without truth are left out, and so are distances to a missed object."""
    if truth:
        return NAN, NAN
    return (0.0, NAN) if found else None


def diagonal(truth: bool, found: bool, diagonal: float) -> tuple[float, float] | None:
    """Both empty is right; one alone costs the diagonal of the volume."""
    if truth and found:
        return 1.0, 0.0
    return (0.0, diagonal) if truth or found else None


EMPTY_RULES: dict[str, Callable] = dict(brats=brats, vtunet=vtunet, transunet=transunet, monai=monai, diagonal=diagonal)
