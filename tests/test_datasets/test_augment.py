"""Augmentations, against timm's where it has them."""

import numpy as np
import pytest
from parity import reference
from PIL import ImageFilter

from mmparts.datasets import ColorJitter, RandomAreaCrop, RandomBoxNoise, RandomChanges, RandomImageBlur
from mmparts.datasets.augment import AMOUNTS, change, to_array, to_pillow


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize('level', [0, 3.3, 9, 10])
@pytest.mark.parametrize('name', list(AMOUNTS))
def test_changes_equal_timms(image, name, level):
    if (name, level) == ('Posterize', 10):
        pytest.skip('timm asks Pillow for 0 bits, which it refuses')
    module = reference('timm.data.auto_augment')
    key = {'Color': 'ColorIncreasing', 'Contrast': 'ContrastIncreasing', 'Brightness': 'BrightnessIncreasing',
           'Sharpness': 'SharpnessIncreasing', 'Posterize': 'PosterizeIncreasing', 'Solarize': 'SolarizeIncreasing',
           'TranslateX': 'TranslateXRel', 'TranslateY': 'TranslateYRel'}.get(name, name)  # fmt: skip
    measure = module.LEVEL_TO_ARG[key]
    picture = to_pillow(image)
    for sign in (1, -1):
        module.random.random = lambda sign=sign: 0.0 if sign > 0 else 1.0  # above one half negates
        args = measure(level, dict(translate_pct=0.45)) if measure else ()
        theirs = module.NAME_TO_OP[key](picture, *args, fillcolor=(124, 116, 104), resample=2)
        ours = change(name, picture, level, sign, 2, (124, 116, 104))
        assert (np.asarray(ours) == np.asarray(theirs)).all(), (name, level, sign)


SHIFTS = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY')


@pytest.fixture(autouse=True)
def timms_dice(monkeypatch):
    import random

    monkeypatch.setattr(random, 'random', random.random)


def test_rand_augment_draws_anew_and_keeps_the_size(image):
    np.random.seed(0)
    made = [RandomChanges()(dict(img=image))['img'] for _ in range(12)]
    assert all(each.shape == image.shape and each.dtype == np.uint8 for each in made)
    assert len({each.tobytes() for each in made}) > 6
    assert (RandomChanges(prob=0)(dict(img=image))['img'] == image).all()


def test_changes_that_recolour_can_be_left_out(image):
    np.random.seed(0)
    changes = RandomChanges(prob=1.0, recolour=False)
    drawn = [[name for name, *_ in changes.draw()] for _ in range(300)]
    named = {name for names in drawn for name in names}
    assert named == {'AutoContrast', 'Equalize', 'Brightness', 'Sharpness', 'Rotate', *SHIFTS}, "BLIP's list"
    assert {len(names) for names in drawn} == {0, 1, 2}, 'the identity is one of them, too'


def test_an_area_crop_keeps_to_its_bounds():
    np.random.seed(0)
    crop = RandomAreaCrop(16, area=(0.2, 0.5))
    for _ in range(100):
        top, left, height, width = crop.box(60, 90)
        assert 0 <= top <= 60 - height and 0 <= left <= 90 - width
        assert 0.18 < height * width / 5400 < 0.53 and 0.72 < width / height < 1.4
    assert crop(dict(img=np.zeros((60, 90, 3), np.uint8)))['img'].shape == (16, 16, 3)
    assert crop.box(5, 400)[2:] == (5, 7), 'nothing fits: the largest legal one'


def test_a_whole_area_crop_is_a_resize(image):
    made = RandomAreaCrop(32, area=(1, 1), aspect=(32 / 24, 32 / 24))(dict(img=image))['img']
    assert (made == to_array(to_pillow(image).resize((32, 32), 3))).all()


def test_erasing_leaves_the_rest(image):
    np.random.seed(0)
    made = RandomBoxNoise(prob=1)(dict(img=image))['img']
    changed = (made != image).any(-1)
    rows, columns = changed.any(1).nonzero()[0], changed.any(0).nonzero()[0]
    box = changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert box.mean() > 0.95 and 0.015 < changed.mean() < 0.35
    assert (RandomBoxNoise(prob=0)(dict(img=image))['img'] == image).all()


def test_colour_jitter_of_no_strength_changes_nothing(image):
    assert (ColorJitter(0)(dict(img=image))['img'] == image).all()
    np.random.seed(0)
    assert (ColorJitter()(dict(img=image))['img'] != image).any()
    shares = [(ColorJitter(prob=0.3)(dict(img=image))['img'] != image).any() for _ in range(200)]
    assert 0.2 < np.mean(shares) < 0.4


def test_blur_is_pillows_of_a_radius_in_the_range_and_of_some_images(image):
    made = RandomImageBlur(prob=1, radius=(1.5, 1.5))(dict(img=image))['img']
    assert (made == to_array(to_pillow(image).filter(ImageFilter.GaussianBlur(1.5)))).all()
    np.random.seed(0)
    blur = RandomImageBlur(prob=0.5)
    drawn = [blur.draw() for _ in range(200)]
    radii = [radius for radius in drawn if radius is not None]
    assert 70 < len(radii) < 130 and 0.1 <= min(radii) < 0.3 and 1.8 < max(radii) <= 2.0
    assert (RandomImageBlur(prob=0)(dict(img=image))['img'] == image).all()
