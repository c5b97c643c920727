"""Hyperspectral scenes: patches of materials whose spectra are smooth and alike, under uneven light."""

import numpy as np
from scipy import ndimage

CLASSES = ('water', 'soil', 'grass', 'roof', 'road')
BANDS = 32
LOW, HIGH = 400.0, 1000.0  # nanometres
UNKNOWN = 255
# (height, centre in nm, width in nm) of what a material reflects, over a base
SPECTRA = dict(
    water=(0.05, [(0.12, 480, 60)]),
    soil=(0.15, [(0.25, 900, 200)]),
    grass=(0.06, [(0.12, 550, 35), (0.4, 880, 110)]),
    roof=(0.12, [(0.3, 650, 60), (0.1, 900, 90)]),
    road=(0.2, [(0.05, 800, 300)]),
)


def scene(rng: np.random.Generator, size: int) -> dict[str, np.ndarray]:
    """``cube`` (H W B, float32), ``label`` (H W, 255 along borders, where pixels are mixed), ``wavelengths``."""
    height, width = (int(n) for n in rng.integers(round(0.75 * size), size + 1, 2))
    seeds = rng.uniform(0, 1, (12, 2)) * (height, width)
    kinds = rng.permutation(np.arange(12) % len(CLASSES))
    rows, columns = np.indices((height, width))
    nearest = ((rows[..., None] - seeds[:, 0]) ** 2 + (columns[..., None] - seeds[:, 1]) ** 2).argmin(-1)
    label = kinds[nearest].astype(np.uint8)

    waves = np.linspace(LOW, HIGH, BANDS)
    spectra = np.stack([spectrum(name, waves) for name in CLASSES])
    shares = np.stack([ndimage.gaussian_filter((label == i).astype(float), 0.7) for i in range(len(CLASSES))], -1)
    light = ndimage.zoom(rng.uniform(0.7, 1.3, (3, 3)), (height / 3, width / 3), order=1)
    cube = (shares @ spectra) * light[..., None] + rng.normal(0, 0.03, (height, width, BANDS))
    label[shares.max(-1) < 0.6] = UNKNOWN
    return dict(cube=cube.astype(np.float32), label=label, wavelengths=waves)


def spectrum(name: str, waves: np.ndarray) -> np.ndarray:
    """Reflectance of a material at some wavelengths."""
    base, bumps = SPECTRA[name]
    return base + sum(h * np.exp(-(((waves - centre) / width) ** 2) / 2) for h, centre, width in bumps)
