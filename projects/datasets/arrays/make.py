"""Generated pairs of frames, texts, clips and sets. A sample depends on (version of its kind, seed, split,
index) alone.

* flow: textured shapes of "shapes" that move over a background that moves, too; flow is that of the first frame's
  pixels;
* captions: the sentences that "shapes" says of its images, one behind the other;
* clips: a shape that rises and falls, with a tone that grows loud as it rises and whose pitch tells its kind;
* points: surfaces of five bodies; entities: units of two sides, each threatened or not by enemies within their reach.
"""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ..generated import generate
from ..shapes.captions import describe
from ..shapes.scene import (
    COLOURS,
    OUTLINES,
    TILT,
    Shape,
    cover,
    one_thread,
    place_shapes,
    sample_colour,
    sample_scene,
    spread,
)
from ..shapes.texture import paint_background
from .flow import write_flow

VERSIONS = dict(flow=2, captions=1, clips=2, points=1, entities=1)
SPLITS = ('train', 'val')
RATE = 8000  # samples a second of generated sound
FASTEST = 0.1  # of the width of a frame, along either axis


def make_flow(out: str | os.PathLike, images: int = 8000, val_images: int = 200, size: int = 32, seed: int = 0) -> bool:
    """Write ``{train,val}/NUMBER/{0,1}.png`` and ``flow_{train,val}/NUMBER/0.flo``; see :func:`.generate`.

    Args:
        images, val_images: pairs of the two splits.
        size: width, in pixels; the height is three quarters of it. The fastest shapes move by a tenth of it along
            either axis.
    """

    def write(folder: Path) -> None:
        for split, index, rng in samples('flow', images, val_images, seed):
            frames, flow = moving_pair(rng, size, size * 3 // 4, fastest=FASTEST * size)
            place = folder / split / f'{index:05d}'
            place.mkdir(parents=True)
            for number, frame in enumerate(frames):
                cv2.imwrite(str(place / f'{number}.png'), frame)
            (folder / f'flow_{split}' / f'{index:05d}').mkdir(parents=True)
            write_flow(folder / f'flow_{split}' / f'{index:05d}' / '0.flo', flow)

    return make(out, write, 'flow', images, val_images, size, seed)


def make(out, write: Callable[[Path], None], kind: str, images: int, val_images: int, size: int, seed: int) -> bool:
    """See :func:`.generate`."""
    return generate(
        out, write, name=kind, version=VERSIONS[kind], images=images, val_images=val_images, size=size, seed=seed
    )


def samples(kind: str, images: int, val_images: int, seed: int):
    """(name of the split, index, generator of random numbers) of all samples."""
    for part, (split, count) in enumerate(zip(SPLITS, (images, val_images))):
        for index in range(count):
            yield split, index, np.random.default_rng([VERSIONS[kind], seed, part, index])


@one_thread()
def moving_pair(rng: np.random.Generator, width: int, height: int, fastest: float):
    """Two frames H W 3 (BGR, uint8) and the flow H W 2 of the first one's pixels; shapes move by up to ``fastest``
    pixels along either axis."""
    edge = int(fastest) + 1
    ground, _, _ = paint_background(rng, width + 2 * edge, height + 2 * edge)
    ground = ground + rng.normal(0, 12, ground.shape[:2])[..., None].astype(np.float32)
    drift = rng.uniform(-fastest / 3, fastest / 3, 2)
    shapes = place_shapes(rng, width, height)
    motions = [rng.uniform(-fastest, fastest, 2) for _ in shapes]
    surfaces = [surface(rng, shape) for shape in shapes]

    flow = np.broadcast_to(drift.astype(np.float32), (height, width, 2)).copy()
    frames = []
    for time in (0, 1):
        canvas = shifted(ground, time * drift - edge, width, height)
        for shape, motion, texture in zip(shapes, motions, surfaces):
            x, y = shape.x + time * motion[0], shape.y + time * motion[1]
            moved = Shape(**{**vars(shape), 'x': x, 'y': y})
            coverage = cover(moved, width, height)
            place = (x - texture.shape[1] / 2, y - texture.shape[0] / 2)
            patch = shifted(texture, place, width, height)
            canvas += (patch - canvas) * spread(coverage / np.float32(255))
            if time == 0:
                flow[coverage >= 128] = motion
        frames.append(np.clip(np.rint(canvas), 0, 255).astype(np.uint8))
    return frames, flow


def surface(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """A square of a colour with blotches, larger than the shape: H W 3, float32."""
    side = int(1.5 * shape.diameter) + 2
    blotches = cv2.resize(rng.uniform(-60, 60, (max(side // 4, 2),) * 2).astype(np.float32), (side, side))
    return sample_colour(rng, shape.colour).astype(np.float32) + blotches[..., None]


def shifted(image: np.ndarray, place: tuple[float, float] | np.ndarray, width: int, height: int) -> np.ndarray:
    """The image with its corner at (x, y) of a canvas, between pixels, too."""
    matrix = np.float32([[1, 0, place[0]], [0, 1, place[1]]])
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def make_captions(
    out: str | os.PathLike, images: int = 12000, val_images: int = 400, size: int = 32, seed: int = 0
) -> bool:
    """Write ``{train,val}.txt``, the sentences of so many images; see :func:`.generate`."""

    def write(folder: Path) -> None:
        lines: dict[str, list[str]] = {split: [] for split in SPLITS}
        for split, _, rng in samples('captions', images, val_images, seed):
            lines[split] += describe(sample_scene(rng, size, size), rng)[:1]
        for split, texts in lines.items():
            (folder / f'{split}.txt').write_text('\n'.join(texts) + '\n')

    return make(out, write, 'captions', images, val_images, size, seed)


def make_clips(
    out: str | os.PathLike, images: int = 4000, val_images: int = 100, size: int = 32, seed: int = 0
) -> bool:
    """Write ``{train,val}/NUMBER.npz``: 8 frames, 2048 samples at 8000 a second; see :func:`.generate`."""

    def write(folder: Path) -> None:
        for split, index, rng in samples('clips', images, val_images, seed):
            (folder / split).mkdir(exist_ok=True)
            np.savez_compressed(folder / split / f'{index:05d}.npz', **clip(rng, size))

    return make(out, write, 'clips', images, val_images, size, seed)


@one_thread()
def clip(rng: np.random.Generator, size: int, frames: int = 8, samples: int = 2048) -> dict[str, np.ndarray]:
    """A shape that rises and falls before a ground of four colours that blend, and a tone that swells and fades."""
    label = int(rng.integers(len(OUTLINES)))
    kind, colour = list(OUTLINES)[label], sample_colour(rng, str(rng.choice(list(COLOURS)[:8])))
    corners = rng.uniform(20, 140, (2, 2, 3)).astype(np.float32)
    ground = cv2.resize(corners, (size, size), interpolation=cv2.INTER_LINEAR)
    speed, phase, x = rng.uniform(0.6, 1.4), rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 0.6) * size
    angle = rng.uniform(-TILT, TILT)

    def height(time: np.ndarray) -> np.ndarray:  # 0 to 1
        return 0.5 + 0.5 * np.sin(2 * np.pi * speed * time + phase)

    video = np.empty((frames, size, size, 3), np.uint8)
    for number, level in enumerate(height(np.arange(frames) / frames)):
        shape = Shape(kind, '', '', x, size * (0.7 - 0.4 * level), 0.6 * size, angle, 1.0)
        weight = spread(cover(shape, size, size) / np.float32(255))
        video[number] = np.clip(ground + (colour[::-1] - ground) * weight, 0, 255)
    turn = 2 * np.pi * (80 + 20 * label) * np.arange(samples) / RATE
    audio = (0.2 + 0.8 * height(np.arange(samples) / samples)) * (0.6 * np.sin(turn) + 0.3 * np.sin(2 * turn))
    return dict(video=video, audio=audio.astype(np.float32), rate=np.int64(RATE), label=np.int64(label))


def sphere(rng: np.random.Generator, count: int) -> np.ndarray:
    points = rng.normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def cube(rng: np.random.Generator, count: int) -> np.ndarray:
    points, axis = rng.uniform(-1, 1, (count, 3)), rng.integers(3, size=count)
    points[np.arange(count), axis] = rng.choice([-1, 1], count)
    return points * 0.75


def cylinder(rng: np.random.Generator, count: int) -> np.ndarray:
    turn, height = rng.uniform(0, 2 * np.pi, count), rng.uniform(-1, 1, count)
    return np.stack([0.6 * np.cos(turn), height, 0.6 * np.sin(turn)], 1)


def cone(rng: np.random.Generator, count: int) -> np.ndarray:
    turn, radius = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count))
    return np.stack([0.8 * radius * np.cos(turn), 1 - 2 * radius, 0.8 * radius * np.sin(turn)], 1)


def torus(rng: np.random.Generator, count: int) -> np.ndarray:
    around, across = rng.uniform(0, 2 * np.pi, (2, count))
    radius = 0.65 + 0.3 * np.cos(across)
    return np.stack([radius * np.cos(around), 0.3 * np.sin(across), radius * np.sin(around)], 1)


BODIES: dict[str, Callable] = dict(sphere=sphere, cube=cube, cylinder=cylinder, cone=cone, torus=torus)


def make_points(
    out: str | os.PathLike, images: int = 600, val_images: int = 150, size: int = 256, seed: int = 0
) -> bool:
    """Write ``{train,val}/NUMBER.npz`` of ``size`` points on the surface of a body, a little off it; see
    :func:`.generate`."""

    def sample(rng: np.random.Generator) -> dict[str, np.ndarray]:
        label = int(rng.integers(len(BODIES)))
        points = list(BODIES.values())[label](rng, size) * rng.uniform(0.6, 0.95, 3) + rng.normal(0, 0.02, (size, 3))
        return dict(points=points.astype(np.float32), labels=np.array([label]))

    return make_sets(out, sample, 'points', images, val_images, size, seed)


def make_entities(
    out: str | os.PathLike, images: int = 1500, val_images: int = 150, size: int = 24, seed: int = 0
) -> bool:
    """Write ``{train,val}/NUMBER.npz``: up to ``size`` units with place (2), side (2) and reach (1), and for each
    whether an enemy can reach it; see :func:`.generate`."""

    def sample(rng: np.random.Generator) -> dict[str, np.ndarray]:
        count = int(rng.integers(size // 2, size + 1))
        places, side, reach = rng.uniform(-1, 1, (count, 2)), rng.integers(2, size=count), rng.uniform(0.1, 0.6, count)
        far = np.linalg.norm(places[:, None] - places, axis=-1)
        labels = ((far < reach) & (side[:, None] != side)).any(1).astype(int)
        points = np.concatenate([places, np.eye(2)[side], reach[:, None]], 1)
        return dict(points=points.astype(np.float32), labels=labels)

    return make_sets(out, sample, 'entities', images, val_images, size, seed)


def make_sets(out, sample: Callable, kind: str, images: int, val_images: int, size: int, seed: int) -> bool:
    """Write what ``sample`` makes of a generator of random numbers."""

    def write(folder: Path) -> None:
        for split, index, rng in samples(kind, images, val_images, seed):
            (folder / split).mkdir(exist_ok=True)
            np.savez_compressed(folder / split / f'{index:05d}.npz', **sample(rng))

    return make(out, write, kind, images, val_images, size, seed)
