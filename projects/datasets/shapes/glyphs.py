"""Single shapes of "shapes", one an image, in a folder for each class: a small classification set.

An image depends on (VERSION, seed, split, class, index) alone.
"""

import os
from pathlib import Path

import cv2
import numpy as np

from ..generated import generate
from .scene import OUTLINES, TILT, Shape, cover, one_thread, spread

VERSION = 1


def make_glyphs(
    out: str | os.PathLike, images: int = 200, val_images: int = 100, size: int = 16, seed: int = 0
) -> bool:
    """Write ``{train,val}/CLASS/NUMBER.png``; do nothing when the same set is there.

    Args:
        images, val_images: of each of the six classes.
        size: sides of the images, in pixels.

    Returns:
        True if it was written.

    Raises:
        FileExistsError: ``out`` holds something else.
    """

    def write(folder: Path) -> None:
        for part, (split, count) in enumerate((('train', images), ('val', val_images))):
            for label, kind in enumerate(OUTLINES):
                (folder / split / kind).mkdir(parents=True)
                for index in range(count):
                    rng = np.random.default_rng([VERSION, seed, part, label, index])
                    cv2.imwrite(str(folder / split / kind / f'{index:05d}.png'), glyph(rng, kind, size))

    return generate(
        out, write, name='glyphs', version=VERSION, images=images, val_images=val_images, size=size, seed=seed
    )


@one_thread()
def glyph(rng: np.random.Generator, kind: str, size: int) -> np.ndarray:
    """One bright shape of a kind near the middle of a dark ground, with grain: H W 3, BGR, uint8."""
    shape = Shape(
        kind=kind,
        colour='',
        texture='plain',
        x=size * rng.uniform(0.42, 0.58),
        y=size * rng.uniform(0.42, 0.58),
        diameter=size * rng.uniform(0.65, 0.85),
        angle=rng.uniform(-TILT, TILT),
        stretch=rng.uniform(0.85, 1.0),
    )
    ground, colour = rng.uniform(10, 80, 3), rng.uniform(150, 250, 3)
    weight = spread(cover(shape, size, size) / np.float32(255))
    return np.clip(ground + (colour - ground) * weight + rng.normal(0, 8, (size, size, 3)), 0, 255).astype(np.uint8)
