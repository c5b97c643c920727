"""Augmentations of whole images: random crops by area, RandAugment, blur, erased boxes.

Images are arrays H W 3 as mmcv loads them (BGR, uint8); Pillow does the work in RGB.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from ..registry import TRANSFORMS

RESAMPLE = dict(bilinear=Image.BILINEAR, bicubic=Image.BICUBIC, nearest=Image.NEAREST, lanczos=Image.LANCZOS)


def to_pillow(image: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(image[..., ::-1]))


def to_array(image: Image.Image) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(image)[..., ::-1])


@TRANSFORMS.register_module()
class RandomAreaCrop(BaseTransform):
    """A crop of random area and aspect, resized to a square ("Going deeper with convolutions",
    https://arxiv.org/abs/1409.4842, section 6).

    Args:
        size: side of the square.
        area: least and greatest share of the image; aspect: width over height, drawn evenly in its logarithm.
        interpolation: with antialias, as Pillow does.
    """

    def __init__(
        self,
        size: int,
        area: Sequence[float] = (0.08, 1.0),
        aspect: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: str = 'bicubic',
    ):
        self.size, self.area, self.aspect, self.interpolation = size, tuple(area), tuple(aspect), interpolation

    @cache_randomness
    def box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Top, left, height and width; the largest central crop of a legal aspect after ten failures."""
        for _ in range(10):
            area = height * width * np.random.uniform(*self.area)
            aspect = math.exp(np.random.uniform(*map(math.log, self.aspect)))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                return np.random.randint(height - h + 1), np.random.randint(width - w + 1), h, w
        h = min(height, round(width / self.aspect[0]))
        w = min(width, round(height * self.aspect[1]))
        return (height - h) // 2, (width - w) // 2, h, w

    def transform(self, results: dict) -> dict:
        image = results['img']
        top, left, height, width = self.box(*image.shape[:2])
        crop = to_pillow(image[top : top + height, left : left + width])
        results['img'] = to_array(crop.resize((self.size, self.size), RESAMPLE[self.interpolation]))
        results['img_shape'] = results['img'].shape[:2]
        return results


def _affine(*matrix: float) -> Callable[[Image.Image, int, tuple], Image.Image]:
    return lambda image, resample, fill: image.transform(image.size, Image.AFFINE, matrix, resample, fillcolor=fill)


def geometric(name: str, amount: float, image: Image.Image, resample: int, fill: tuple) -> Image.Image:
    """Shears and turns; moves are shares of the side."""
    width, height = image.size
    return {
        'ShearX': _affine(1, amount, 0, 0, 1, 0),
        'ShearY': _affine(1, 0, 0, amount, 1, 0),
        'TranslateX': _affine(1, 0, amount * width, 0, 1, 0),
        'TranslateY': _affine(1, 0, 0, 0, 1, amount * height),
        'Rotate': lambda image, resample, fill: image.rotate(amount, resample=resample, fillcolor=fill),
    }[name](image, resample, fill)


def _solarize_add(image: Image.Image, amount: float) -> Image.Image:
    return image.point([min(255, i + int(amount)) if i < 128 else i for i in range(256)] * 3)


def _enhance(kind: type) -> Callable[[Image.Image, float], Image.Image]:
    return lambda image, amount: kind(image).enhance(amount)


COLOURS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    'AutoContrast': lambda image, amount: ImageOps.autocontrast(image),
    'Equalize': lambda image, amount: ImageOps.equalize(image),
    'Invert': lambda image, amount: ImageOps.invert(image),
    'Posterize': lambda image, amount: image if amount >= 8 else ImageOps.posterize(image, int(amount)),
    'Solarize': lambda image, amount: ImageOps.solarize(image, int(amount)),
    'SolarizeAdd': _solarize_add,
    'Color': _enhance(ImageEnhance.Color),
    'Contrast': _enhance(ImageEnhance.Contrast),
    'Brightness': _enhance(ImageEnhance.Brightness),
    'Sharpness': _enhance(ImageEnhance.Sharpness),
}
# Level 0..10 -> amount, growing in strength with the level, and whether its sign is random ("increasing" in timm).
AMOUNTS: dict[str, tuple[Callable[[float], float], bool]] = {
    'AutoContrast': (lambda share: 0.0, False),
    'Equalize': (lambda share: 0.0, False),
    'Invert': (lambda share: 0.0, False),
    'Rotate': (lambda share: 30 * share, True),
    'Posterize': (lambda share: max(1, 4 - int(4 * share)), False),  # timm's 0 bits are refused by Pillow
    'Solarize': (lambda share: 256 - min(256, int(256 * share)), False),
    'SolarizeAdd': (lambda share: min(128, int(110 * share)), False),
    'Color': (lambda share: 0.9 * share, True),
    'Contrast': (lambda share: 0.9 * share, True),
    'Brightness': (lambda share: 0.9 * share, True),
    'Sharpness': (lambda share: 0.9 * share, True),
    'ShearX': (lambda share: 0.3 * share, True),
    'ShearY': (lambda share: 0.3 * share, True),
    'TranslateX': (lambda share: 0.45 * share, True),
    'TranslateY': (lambda share: 0.45 * share, True),
}
RECOLOURING = ('Invert', 'Posterize', 'Solarize', 'SolarizeAdd', 'Color', 'Contrast')
AROUND_ONE = ('Color', 'Contrast', 'Brightness', 'Sharpness')


def amount_of(name: str, level: float, sign: int) -> float:
    """How strong a change is at a level from 0 to 10."""
    measure, signed = AMOUNTS[name]
    amount = measure(level / 10) * (sign if signed else 1)
    return max(0.1, 1 + amount) if name in AROUND_ONE else amount


def change(name: str, image: Image.Image, level: float, sign: int, resample: int, fill: tuple) -> Image.Image:
    """One of the changes, applied."""
    amount = amount_of(name, level, sign)
    if name in COLOURS:
        return COLOURS[name](image, amount)
    return geometric(name, amount, image, resample, fill)


@TRANSFORMS.register_module()
class RandomChanges(BaseTransform):
    """RandAugment: some random changes one after the other (https://arxiv.org/abs/1909.13719), as strong as timm's
    ``rand-m{level}-mstd{deviation}-inc1``.

    Args:
        num: how many are drawn for an image; each is then applied with probability ``prob``.
        level: their strength, 0 to 10; deviation: of the strength, normally distributed.
        fill: RGB where a turned image ends; ImageNet's mean.
        interpolation: of turns and shears; 'random': bilinear or bicubic.
        recolour: also those that change what colour things have; without them, one that changes nothing is among them,
            so that texts that name colours stay true (BLIP, BEiT-3).
    """

    def __init__(
        self,
        num: int = 2,
        level: float = 9,
        deviation: float = 0.5,
        prob: float = 0.5,
        fill: Sequence[int] = (124, 116, 104),
        interpolation: str = 'random',
        recolour: bool = True,
    ):
        self.kinds = list(AMOUNTS) if recolour else [name for name in AMOUNTS if name not in RECOLOURING] + ['Identity']
        self.num, self.level, self.deviation, self.prob = num, level, deviation, prob
        self.fill, self.interpolation = tuple(fill), interpolation

    @cache_randomness
    def draw(self) -> list[tuple[str, float, int, int]]:
        """Name, level, sign and resampling of each change."""
        drawn = []
        for name in np.random.choice(self.kinds, self.num):
            if np.random.rand() < self.prob and name != 'Identity':
                level = float(np.clip(np.random.normal(self.level, self.deviation), 0, 10))
                kind = np.random.choice(['bilinear', 'bicubic']) if self.interpolation == 'random' else None
                drawn.append((name, level, int(np.random.choice([-1, 1])), RESAMPLE[kind or self.interpolation]))
        return drawn

    def transform(self, results: dict) -> dict:
        image = to_pillow(results['img'])
        for name, level, sign, resample in self.draw():
            image = change(name, image, level, sign, resample, self.fill)
        results['img'] = to_array(image)
        return results


@TRANSFORMS.register_module()
class ColorJitter(BaseTransform):
    """Brightness, contrast and saturation times random factors, in random order.

    Args:
        strength: factors are drawn from 1 - strength to 1 + strength.
        prob: chance of an image.
    """

    def __init__(self, strength: float = 0.4, prob: float = 1.0):
        self.strength, self.prob = strength, prob

    @cache_randomness
    def draw(self) -> list[tuple[str, float]]:
        if self.prob < 1 and np.random.rand() >= self.prob:
            return []
        factors = np.random.uniform(1 - self.strength, 1 + self.strength, 3)
        return [(('Brightness', 'Contrast', 'Color')[i], float(factors[i])) for i in np.random.permutation(3)]

    def transform(self, results: dict) -> dict:
        image = to_pillow(results['img'])
        for name, factor in self.draw():
            image = COLOURS[name](image, factor)
        results['img'] = to_array(image)
        return results


@TRANSFORMS.register_module()
class RandomImageBlur(BaseTransform):
    """Gaussian blur.

    Args:
        prob: chance of an image.
        radius: least and greatest deviation, in pixels.
    """

    def __init__(self, prob: float = 0.5, radius: Sequence[float] = (0.1, 2.0)):
        self.prob, self.radius = prob, tuple(radius)

    @cache_randomness
    def draw(self) -> float | None:
        return np.random.uniform(*self.radius) if np.random.rand() < self.prob else None

    def transform(self, results: dict) -> dict:
        radius = self.draw()
        if radius is not None:
            results['img'] = to_array(to_pillow(results['img']).filter(ImageFilter.GaussianBlur(radius)))
        return results


@TRANSFORMS.register_module()
class RandomBoxNoise(BaseTransform):
    """Random erasing: a random box becomes noise (https://arxiv.org/abs/1708.04896).

    Args:
        prob: chance of an image.
        area: least and greatest share of the image; aspect: height over width at least, and its inverse at most.
        mean, std: of the noise, in the units of the image: what becomes N(0, 1) once it is normalised; ImageNet's, BGR.
    """

    def __init__(
        self,
        prob: float = 0.25,
        area: Sequence[float] = (0.02, 1 / 3),
        aspect: float = 0.3,
        mean: Sequence[float] = (103.53, 116.28, 123.675),
        std: Sequence[float] = (57.375, 57.12, 58.395),
    ):
        self.prob, self.area, self.aspect = prob, tuple(area), aspect
        self.mean, self.std = np.asarray(mean), np.asarray(std)

    @cache_randomness
    def box(self, height: int, width: int) -> tuple[int, int, int, int] | None:
        if np.random.rand() >= self.prob:
            return None
        for _ in range(10):
            area = height * width * np.random.uniform(*self.area)
            ratio = math.exp(np.random.uniform(math.log(self.aspect), -math.log(self.aspect)))
            h, w = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < h < height and 0 < w < width:
                return np.random.randint(height - h + 1), np.random.randint(width - w + 1), h, w
        return None

    def transform(self, results: dict) -> dict:
        box = self.box(*results['img'].shape[:2])
        if box is not None:
            top, left, height, width = box
            image = results['img'].copy()
            noise = np.random.randn(height, width, 3) * self.std + self.mean
            image[top : top + height, left : left + width] = noise.clip(0, 255).round().astype(image.dtype)
            results['img'] = image
        return results
