"""Small volumes with all the oddities that real files have, and the real ones where they are."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

REAL = Path(os.environ.get('MMPARTS_DATA', Path(__file__).resolve().parents[2] / 'shared' / 'data'))
SHAPE = (9, 11, 7)  # x, y, z
AFFINES = dict(
    RAS=np.diag([1.0, 1, 1, 1]),
    LAS=np.array([[-1.0, 0, 0, 40], [0, 1, 0, -7], [0, 0, 2, 3], [0, 0, 0, 1]]),
    LPS=np.array([[-0.7, 0, 0, 40], [0, -0.7, 0, 9], [0, 0, 3, 3], [0, 0, 0, 1]]),
    permuted=np.array([[0, 0, 2.0, 1], [1.5, 0, 0, 2], [0, -1, 0, 3], [0, 0, 0, 1]]),
    oblique=np.array([[0.9, 0.2, -0.3, -30], [-0.2, 1.1, 0.4, 12], [0.3, -0.4, 2.7, 5], [0, 0, 0, 1]]),
)


def write_nifti(path, array, affine, slope=None, intercept=0.0):
    """x y z, as it is stored."""
    nibabel = pytest.importorskip('nibabel')
    image = nibabel.Nifti1Image(array, affine)
    if slope is not None:
        image.header.set_slope_inter(slope, intercept)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, str(path))
    return path


def blob(shape=SHAPE, classes=3, seed=0):
    """Nested ellipsoids of classes 1, 2 ... in zeros."""
    places = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing='ij'))
    shift = np.random.default_rng(seed).uniform(-0.1, 0.1, 3).reshape(3, 1, 1, 1)
    radius = np.sqrt(((places - shift) ** 2).sum(0))
    return sum((radius < 0.8 / (i + 1)).astype(np.uint8) for i in range(classes - 1))


def write_case(root, name, label, affine, seed=0, suffix='.nii.gz', channels=('0000',)):
    """An image that shows its label, and the label, in nnU-Net's folders."""
    noise = np.random.default_rng(seed).normal(0, 0.1, label.shape)
    for i, channel in enumerate(channels):
        write_nifti(
            root / 'imagesTr' / f'{name}_{channel}{suffix}', (label * (i + 1) + noise).astype(np.float32), affine
        )
    return write_nifti(root / 'labelsTr' / f'{name}{suffix}', label, affine)


def truncate(path):
    """Keep the first half of a file; of a compressed one, of what is in it."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def unzip(path):
    """The content of a .nii.gz as a .nii beside it."""
    plain = path.with_name(path.name.removesuffix('.gz'))
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    return plain
