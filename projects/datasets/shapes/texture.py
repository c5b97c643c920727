"""Surfaces of the generated images: patterns for objects, and the backgrounds sky, grass, brick, sand and water.

A pattern maps a patch to weights between 0 and 1 that mix two colours. Colours are BGR, 0 to 255, float32.
"""

import cv2
import numpy as np

Pattern = np.ndarray  # H W, float32, 0 to 1


def mix(first: np.ndarray, second: np.ndarray, weight: Pattern) -> np.ndarray:
    """The colour (or H W 3) ``first`` where the weight is 0, the colour ``second`` where it is 1. H W 3."""
    planes = cv2.split(first) if first.ndim == 3 else np.float32(first)
    # Plane by plane: three times as fast as broadcasting over a last axis of three.
    return cv2.merge([start + weight * (end - start) for start, end in zip(planes, np.float32(second))])


def axes(rng: np.random.Generator, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of every pixel along two perpendicular axes turned by a random angle, in pixels."""
    angle = rng.uniform(0, np.pi)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * c + y * s, y * c - x * s


def value_noise(rng: np.random.Generator, width: int, height: int, cell: float, stretch: float = 1.0) -> Pattern:
    """Smooth noise whose blobs are about ``cell`` pixels high and ``stretch * cell`` wide."""
    rows, columns = round(height / cell) + 1, round(width / cell / stretch) + 1
    grid = rng.random((max(2, rows), max(2, columns)), dtype=np.float32)
    return np.clip(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def plain(rng: np.random.Generator, width: int, height: int, diameter: float) -> Pattern:
    return np.zeros((height, width), np.float32)


def striped(rng: np.random.Generator, width: int, height: int, diameter: float) -> Pattern:
    along, _ = axes(rng, width, height)
    period = diameter * rng.uniform(0.16, 0.3)
    return (along % period < period / 2).astype(np.float32)


def dotted(rng: np.random.Generator, width: int, height: int, diameter: float) -> Pattern:
    along, across = axes(rng, width, height)
    period = diameter * rng.uniform(0.18, 0.28)
    distance = np.hypot(along % period - period / 2, across % period - period / 2)
    return (distance < 0.3 * period).astype(np.float32)


def checkered(rng: np.random.Generator, width: int, height: int, diameter: float) -> Pattern:
    along, across = axes(rng, width, height)
    cell = diameter * rng.uniform(0.12, 0.2)
    return ((along // cell + across // cell) % 2).astype(np.float32)


def shaded(rng: np.random.Generator, width: int, height: int, diameter: float) -> Pattern:
    along, _ = axes(rng, width, height)
    return (along - along.min()) / max(float(np.ptp(along)), 1.0)


def speckled(rng: np.random.Generator, width: int, height: int, diameter: float) -> Pattern:
    return 0.9 * value_noise(rng, width, height, max(2.0, 0.06 * diameter))


# The names are the adjectives of the captions.
TEXTURES = {function.__name__: function for function in (plain, striped, dotted, checkered, shaded, speckled)}


def sky(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    top, bottom = [((200, 120, 50), (245, 215, 175)), ((170, 90, 60), (170, 190, 245))][int(rng.random() < 0.25)]
    fade = np.linspace(0, 1, height, dtype=np.float32)[:, None].repeat(width, 1)
    clouds = 0.6 * value_noise(rng, width, height, width / 4) + 0.4 * value_noise(rng, width, height, width / 12)
    clouds = np.clip((clouds - rng.uniform(0.45, 0.6)) * 4, 0, 0.9)
    return mix(mix(np.float32(top), bottom, fade), (250, 250, 250), clouds)


def grass(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    blades = cv2.blur(rng.random((height, width), dtype=np.float32), (1, 5))  # smeared upwards
    blades = np.clip(0.5 + 1.8 * (blades - 0.5), 0, 1)
    patches = value_noise(rng, width, height, width / 5)
    return mix(np.float32((35, 95, 45)), (75, 195 + rng.uniform(-15, 15), 130), 0.65 * blades + 0.35 * patches)


def brick(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    high = max(width, height) * rng.uniform(0.05, 0.08)
    joint = max(1.0, 0.1 * high)
    y, x = np.arange(height) / high, np.arange(width) / (2.4 * high)
    row = y.astype(np.int32)
    x = np.stack([x, x + 0.5])[row % 2].astype(np.float32)  # every second row is shifted by half a brick
    column = x.astype(np.int32)
    tone = rng.random((row.max() + 1, column.max() + 1), dtype=np.float32)[row[:, None], column]
    wall = mix(np.float32((60, 75, 150)), (95, 115, 195), tone)
    seam = ((y - row)[:, None] < joint / high) | (x - column < joint / (2.4 * high))
    return mix(wall, (165, 175, 180), seam.astype(np.float32))


def sand(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    y = np.arange(height, dtype=np.float32)[:, None]
    bend = value_noise(rng, width, height, width / 4) * height * 0.25
    ripples = 0.5 + 0.5 * np.sin((y + bend) * (2 * np.pi / (height * rng.uniform(0.07, 0.12))))
    grains = rng.random((height, width), dtype=np.float32)
    return mix(np.float32((125, 175, 205)), (175, 215, 235), 0.45 * ripples + 0.55 * grains)


def water(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    y = np.arange(height, dtype=np.float32)[:, None]
    bend = value_noise(rng, width, height, height / 8, stretch=4) * height * 0.1
    waves = 0.5 + 0.5 * np.sin((y + bend) * (2 * np.pi / (height * rng.uniform(0.05, 0.08))))
    return mix(np.float32((115, 75, 20)), (215, 190, 130), waves**3)


STUFF = {function.__name__: function for function in (sky, grass, brick, sand, water)}
BEHIND, BELOW = ('sky', 'brick'), ('grass', 'sand', 'water')  # what may stand above a horizon, what may lie below


def paint_background(rng: np.random.Generator, width: int, height: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """One kind of stuff, or two that meet at a wavy horizon: canvas (H W 3), index map (H W, uint8) and its names."""
    if rng.random() < 0.35:
        name = str(rng.choice(list(STUFF)))
        return STUFF[name](rng, width, height), np.zeros((height, width), np.uint8), [name]
    names = [str(rng.choice(BEHIND)), str(rng.choice(BELOW))]
    x = np.arange(width, dtype=np.float32) / width
    horizon = rng.uniform(0.35, 0.65) + rng.uniform(-0.06, 0.06) * (x - 0.5)
    horizon += 0.012 * np.sin(2 * np.pi * (rng.uniform(1, 3) * x + rng.random()))
    horizon = horizon.astype(np.float32)
    below_it = np.clip(np.arange(1, height + 1, dtype=np.float32)[:, None] - (horizon * height)[None], 0, 1)
    behind, below = (STUFF[name](rng, width, height) for name in names)
    return cv2.blendLinear(below, behind, below_it, 1 - below_it), (below_it >= 0.5).astype(np.uint8), names
