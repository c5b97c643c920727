"""One generated image: textured shapes that overlap and hide each other before one or two kinds of background.

An object of which less than `MIN_VISIBLE` would show, or fewer than `MIN_PIXELS` pixels, is not put into the image at
all, so that every pixel belongs to exactly one annotated object or to the background and nothing visible is unlabelled.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field

import cv2
import numpy as np

from .texture import TEXTURES, mix, paint_background

MIN_VISIBLE = 0.5  # visible area / whole area of the shape, the part outside the image included
MIN_PIXELS = 24
NOTABLE = 0.05  # an object hides another one if it stands before this share of it
MAX_OBJECTS = 4
SMALLEST, LARGEST = 0.28, 0.7  # diameter / sqrt(width * height)
TILT = np.pi / 6  # shapes stand upright, give or take this angle
SUPERSAMPLING = 2  # objects are drawn larger and shrunk: smooth edges
FRACTION_BITS = 4  # OpenCV draws at sub-pixel positions given as fixed-point numbers

# Colours by name, so that captions are true: hue (degrees), saturation, value; sampled around these.
COLOURS = {
    'red': (0, 0.85, 0.85),
    'orange': (28, 0.9, 0.95),
    'yellow': (52, 0.85, 0.97),
    'green': (125, 0.75, 0.6),
    'cyan': (180, 0.75, 0.85),
    'blue': (225, 0.8, 0.85),
    'purple': (275, 0.65, 0.75),
    'pink': (328, 0.5, 0.97),
    'white': (0, 0.0, 0.96),
    'black': (0, 0.0, 0.14),
}


@dataclass
class Shape:
    """An object as it is placed, before anything hides it; lengths in pixels of the finished image."""

    kind: str
    colour: str
    texture: str
    x: float
    y: float
    diameter: float
    angle: float  # radians
    stretch: float  # second axis / first axis


@dataclass
class Scene:
    """An image and what is true of it. Objects are ordered from the farthest to the nearest.

    image: H W 3, BGR, uint8.  owner: H W, index into ``shapes``, -1 where the background shows.
    ground: H W, index into ``stuff``.  hides: pairs (i, j) where object i is seen to stand before object j.
    """

    image: np.ndarray
    owner: np.ndarray
    ground: np.ndarray
    stuff: list[str]
    shapes: list[Shape] = field(default_factory=list)
    visible: list[float] = field(default_factory=list)  # share of each shape that shows
    hides: list[tuple[int, int]] = field(default_factory=list)


def regular(corners: int, inner: float | None = None) -> np.ndarray:
    """A regular polygon of radius 1 that stands on a side; with ``inner``, a star with notches of that radius. K 2."""
    count = corners if inner is None else 2 * corners
    angle = 2 * np.pi * np.arange(count) / count + (np.pi / corners if corners % 2 == 0 else 0) - np.pi / 2
    radius = np.ones(count) if inner is None else np.where(np.arange(count) % 2, inner, 1.0)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def cross(arm: float = 0.34) -> np.ndarray:
    """A plus sign whose arms are ``2 * arm`` wide."""
    end = np.sqrt(1 - arm**2)
    corner = [(-arm, -end), (arm, -end), (arm, -arm)]
    return np.array([(x * c - y * s, x * s + y * c) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1)) for x, y in corner])


# Outlines at radius 1; a point inside an even number of them is outside the shape (the hole of the ring).
OUTLINES = {
    'circle': [0.9 * regular(48)],
    'square': [regular(4)],
    'triangle': [1.1 * regular(3)],
    'star': [1.1 * regular(5, inner=0.45)],
    'ring': [regular(48), 0.56 * regular(48)],
    'cross': [cross()],
}


@contextmanager
def one_thread():
    """Some of OpenCV's filters round differently at the seams between threads."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


@dataclass(frozen=True)
class Rules:
    """What may be in an image.

    Args:
        objects: most of them.
        smallest: least diameter, a share of sqrt(width * height), at most ``LARGEST``.
        only, never: names like ``red circle`` that objects must have, and must not have; empty: any, none.
    """

    objects: int = MAX_OBJECTS
    smallest: float = SMALLEST
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    def allow(self, colour: str, kind: str) -> bool:
        name = f'{colour} {kind}'
        return name not in self.never and (not self.only or name in self.only)


def combinations() -> list[str]:
    """All names of a colour and a kind."""
    return [f'{colour} {kind}' for colour in COLOURS for kind in OUTLINES]


@one_thread()
def sample_scene(
    rng: np.random.Generator, width: int, height: int, empty: bool = False, rules: Rules = Rules()
) -> Scene:
    """An image of ``width`` x ``height`` pixels, a function of the generator's state and the rules alone."""
    canvas, ground, stuff = paint_background(rng, width, height)
    kept = keep_visible([] if empty else place_shapes(rng, width, height, rules), width, height)

    owner = np.full((height, width), -1, np.int32)
    for index, (shape, coverage, _) in enumerate(kept):
        draw(rng, canvas, shape, coverage)
        owner[coverage >= 128] = index

    return Scene(
        image=develop(rng, canvas),
        owner=owner,
        ground=ground,
        stuff=stuff,
        shapes=[shape for shape, _, _ in kept],
        visible=[visible for _, _, visible in kept],
        hides=[
            (i, j)
            for i in range(len(kept))
            for j, (_, coverage, _) in enumerate(kept[:i])
            if (coverage[owner == i] >= 128).sum() > NOTABLE * (coverage >= 128).sum()
        ],
    )


def place_shapes(rng: np.random.Generator, width: int, height: int, rules: Rules = Rules()) -> list[Shape]:
    """One to ``rules.objects`` shapes, sizes spread evenly over octaves, often beside or on top of an earlier one."""
    side = np.sqrt(width * height)
    shapes = []
    for _ in range(rng.integers(1, rules.objects + 1)):
        diameter = side * np.exp(rng.uniform(np.log(rules.smallest), np.log(LARGEST)))
        margin = 0.4 * diameter  # at most a little of a shape leaves the image
        x, y = rng.uniform(margin, width - margin), rng.uniform(margin, height - margin)
        if shapes and rng.random() < 0.4:
            other = shapes[rng.integers(len(shapes))]
            angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 0.9) * (diameter + other.diameter) / 2
            x, y = other.x + reach * np.cos(angle), other.y + reach * np.sin(angle)
        kind, colour = str(rng.choice(list(OUTLINES))), str(rng.choice(list(COLOURS)))
        while not rules.allow(colour, kind):
            kind, colour = str(rng.choice(list(OUTLINES))), str(rng.choice(list(COLOURS)))
        shapes.append(
            Shape(
                kind=kind,
                colour=colour,
                texture=str(rng.choice(list(TEXTURES))),
                x=float(np.clip(x, margin, width - margin)),
                y=float(np.clip(y, margin, height - margin)),
                diameter=float(diameter),
                angle=rng.uniform(-TILT, TILT),
                stretch=rng.uniform(0.85, 1.0),
            )
        )
    return shapes


def keep_visible(shapes: list[Shape], width: int, height: int) -> list[tuple[Shape, np.ndarray, float]]:
    """The shapes that show enough, farthest first, each with its whole coverage (H W, uint8) and its visible share.

    What hides a shape are nearer shapes only, so one pass from the nearest to the farthest decides for good.
    """
    kept, covered = [], np.zeros((height, width), bool)
    for shape in reversed(shapes):
        coverage, area = cover(shape, width, height), whole_area(shape)
        mask = coverage >= 128
        showing = int((mask & ~covered).sum())
        if showing >= max(MIN_VISIBLE * area, MIN_PIXELS):
            kept.append((shape, coverage, min(1.0, showing / area)))
            covered |= mask
    return kept[::-1]


def contours(shape: Shape, left: int = 0, top: int = 0) -> list[np.ndarray]:
    """The outlines on an enlarged canvas that starts at (left, top), as OpenCV's fixed-point numbers."""
    c, s = np.cos(shape.angle), np.sin(shape.angle)
    turn = np.array([[c, -s], [s, c]]) @ np.diag([1.0, shape.stretch]) * shape.diameter / 2
    centre = shape.x - left, shape.y - top
    # OpenCV puts whole numbers at pixel centres, images at pixel corners.
    return [
        np.rint(((points @ turn.T + centre) * SUPERSAMPLING - 0.5) * 2**FRACTION_BITS).astype(np.int32)
        for points in OUTLINES[shape.kind]
    ]


def cover(shape: Shape, width: int, height: int) -> np.ndarray:
    """How much of each pixel the shape covers. H W, uint8, 0 to 255."""
    mask = np.zeros((height * SUPERSAMPLING, width * SUPERSAMPLING), np.uint8)
    cv2.fillPoly(mask, contours(shape), 255, shift=FRACTION_BITS)
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)


def whole_area(shape: Shape) -> float:
    """In pixels, whether they lie inside the image or not."""
    outer, *holes = (cv2.contourArea(points) / (SUPERSAMPLING * 2**FRACTION_BITS) ** 2 for points in contours(shape))
    return outer - sum(holes)


def draw(rng: np.random.Generator, canvas: np.ndarray, shape: Shape, coverage: np.ndarray):
    """Lay the textured shape with its shadow on the canvas (H W 3, float32), in place."""
    left, top, wide, high = cv2.boundingRect(coverage)
    coverage = coverage[top : top + high, left : left + wide]
    cast_shadow(canvas, coverage, left, top, offset=max(1, round(0.05 * shape.diameter)))

    base = sample_colour(rng, shape.colour)
    second = base * 0.65 if base.mean() > 110 else base + 0.4 * (255 - base)
    rim = base * 0.45 if base.mean() > 60 else base + 70
    pattern = TEXTURES[shape.texture](rng, wide * SUPERSAMPLING, high * SUPERSAMPLING, shape.diameter * SUPERSAMPLING)
    surface = mix(base, second, pattern)
    cv2.polylines(surface, contours(shape, left, top), True, rim.tolist(), 2 * SUPERSAMPLING, shift=FRACTION_BITS)
    surface = cv2.resize(surface, (wide, high), interpolation=cv2.INTER_AREA)
    surface *= np.linspace(1.1, 0.88, high, dtype=np.float32)[:, None, None]  # light from above

    patch = canvas[top : top + high, left : left + wide]
    patch += (surface - patch) * spread(coverage / np.float32(255))


def cast_shadow(canvas: np.ndarray, coverage: np.ndarray, left: int, top: int, offset: int):
    """Darken the canvas, in place, below and to the right of the object whose patch starts at (left, top)."""
    reach = 2 * offset  # of the blur
    shadow = cv2.copyMakeBorder(coverage, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    shadow = cv2.GaussianBlur(shadow, (2 * reach + 1, 2 * reach + 1), 0)  # of bytes: exact whatever the machine
    y, x = top - reach + offset, left - reach + offset
    shadow = shadow[max(0, -y) : canvas.shape[0] - y, max(0, -x) : canvas.shape[1] - x]
    y, x = max(0, y), max(0, x)
    patch = canvas[y : y + shadow.shape[0], x : x + shadow.shape[1]]
    patch *= spread(1 - shadow * np.float32(0.45 / 255))


def spread(weight: np.ndarray) -> np.ndarray:
    """H W to H W 3. (Broadcasting a last axis of one is several times slower in numpy.)"""
    return cv2.merge([weight] * 3)


def sample_colour(rng: np.random.Generator, name: str) -> np.ndarray:
    """A colour that goes by that name: BGR, 0 to 255, float32."""
    hue, saturation, value = COLOURS[name]
    hue = (hue + rng.uniform(-8, 8)) % 360
    saturation = saturation * rng.uniform(0.85, 1.1)
    value = value * rng.uniform(0.88, 1.04)
    hsv = np.float32([[[hue, min(saturation, 1), min(value, 1)]]])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0] * 255


def develop(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Exposure and grain, as a camera would: uint8."""
    grain = rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(rng.uniform(1, 4))
    image = canvas * np.float32(rng.uniform(0.85, 1.1)) + grain
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
