"""Nested ellipsoids in a head, as tumours of BraTS: edema around a core of necrosis with an enhancing part, in four
modalities, on an oblique and slightly anisotropic grid that is another one in each case."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

LABELS = dict(background=0, necrosis=1, edema=2, enhancing=3)
REGIONS = dict(WT=('necrosis', 'edema', 'enhancing'), TC=('necrosis', 'enhancing'), ET=('enhancing',))
# Brightness of brain, necrosis, edema, enhancing: edema shows in FLAIR and T2, the enhancing part in T1 with contrast.
MODALITIES = dict(
    flair=(0.5, 0.6, 0.9, 0.8), t1ce=(0.5, 0.3, 0.45, 1.0), t1=(0.6, 0.3, 0.45, 0.5), t2=(0.5, 0.85, 0.9, 0.7)
)


@dataclass
class Phantom:
    """A volume to be written.

    Attributes:
        channels: of each modality, D H W, float32.
        label: D H W, uint8.
        affine: (d, h, w, 1) to millimetres.
    """

    channels: dict[str, np.ndarray]
    label: np.ndarray
    affine: np.ndarray


def nested(rng: np.random.Generator, size: int) -> Phantom:
    """A head of about ``size`` voxels with a tumour; every tenth has no enhancing part."""
    shape = tuple(int(n) for n in rng.integers(round(0.75 * size), size + 1, 3))
    affine = oblique(rng, shape)
    middle = np.array(shape) / 2
    head = ellipsoid(shape, middle, middle * rng.uniform(0.8, 0.95, 3), np.eye(3))
    whole = min(shape) * rng.uniform(0.2, 0.3)
    place = middle + rng.uniform(-0.35, 0.35, 3) * middle
    turn = rotation(rng)
    radii = whole * rng.uniform(0.8, 1.2, 3)
    label = np.zeros(shape, np.uint8)
    parts = [('edema', 1.0), ('enhancing', 0.62), ('necrosis', 0.35)]
    if rng.random() < 0.1:
        parts[1] = ('necrosis', 0.62)
    for name, share in parts:
        shift = (1 - share) * 0.2 * whole * rng.uniform(-1, 1, 3)
        label[ellipsoid(shape, place + shift, radii * share, turn) & head] = LABELS[name]
    channels = {name: modality(rng, head, label, values) for name, values in MODALITIES.items()}
    return Phantom(channels, label, affine)


def modality(rng: np.random.Generator, head: np.ndarray, label: np.ndarray, values: tuple[float, ...]) -> np.ndarray:
    """How the tissues look: blurred, with a slow bias field and noise; 0 outside the head, on any scale."""
    image = np.array(values)[label]
    bias = ndimage.zoom(rng.uniform(0.85, 1.15, (3, 3, 3)), np.array(label.shape) / 3, order=1)
    image = ndimage.gaussian_filter(image, 0.6) * bias + rng.normal(0, 0.05, label.shape)
    return (image.clip(0.01) * head * rng.uniform(200, 2000)).astype(np.float32)


def ellipsoid(shape: tuple[int, ...], centre: np.ndarray, radii: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The mask of an ellipsoid, in voxels."""
    places = np.indices(shape).reshape(3, -1) + 0.5 - np.reshape(centre, (3, 1))
    return (((turn @ places) / np.reshape(radii, (3, 1))) ** 2).sum(0).reshape(shape) <= 1


def rotation(rng: np.random.Generator) -> np.ndarray:
    """A random rotation (3 3)."""
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return turn * np.sign(np.linalg.det(turn))


def oblique(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A grid tilted by up to 15 degrees, 1.5 mm through the planes and 1 mm within; its middle lies near the origin."""
    affine = np.eye(4)
    directions = np.array([[0, 0, -1], [0, -1, 0], [1, 0, 0]], float)  # D upwards, H to the front, W to the left: LPS
    for first, second in ((0, 1), (1, 2), (0, 2)):
        angle = np.deg2rad(rng.uniform(-15, 15))
        plane = np.eye(3)
        plane[[first, second], [first, second]] = np.cos(angle)
        plane[[first, second], [second, first]] = -np.sin(angle), np.sin(angle)
        directions = plane @ directions
    affine[:3, :3] = directions * np.array([1.5, 1.0, 1.0])
    affine[:3, 3] = rng.uniform(-20, 20, 3) - affine[:3, :3] @ (np.array(shape) / 2)
    return affine
