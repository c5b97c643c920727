"""Image files and arrays of every kind: loaded rightly, or refused with the file and what would be right."""

import cv2
import numpy as np
import pytest
import torch
from damaged import HEIGHT, WIDTH
from mmdet.datasets.transforms import LoadAnnotations, PackDetInputs
from mmengine.registry import MODELS, init_default_scope
from PIL import Image
from torch.utils.data import DataLoader

from mmparts.datasets import BadImage, CheckedCocoDataset, LoadCheckedImage
from mmparts.detr.preprocessor import ChannelPreprocessor
from mmparts.inference.arrays import from_memory

SMOOTH = cv2.resize(
    np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR
)
RGB = Image.fromarray(SMOOTH)  # its colours lie in the order of PIL


def load(path, **options) -> np.ndarray:
    return LoadCheckedImage(**options).transform(dict(img_path=str(path)))['img']


KINDS = {
    'rgb.jpg': lambda path: RGB.save(path, quality=98),
    'rgb.png': lambda path: RGB.save(path),
    'rgb.bmp': lambda path: RGB.save(path),
    'rgb.ppm': lambda path: RGB.save(path),
    'rgb.webp': lambda path: RGB.save(path, lossless=True),
    'rgb.tif': lambda path: RGB.save(path),
    'grey.png': lambda path: RGB.convert('L').save(path),
    'grey.jpg': lambda path: RGB.convert('L').save(path, quality=98),
    'grey_alpha.png': lambda path: RGB.convert('LA').save(path),
    'rgba.png': lambda path: RGB.convert('RGBA').save(path),
    'palette.png': lambda path: RGB.convert('P').save(path),
    'bits.png': lambda path: RGB.convert('1').save(path),
    'cmyk.jpg': lambda path: RGB.convert('CMYK').save(path, quality=98),
    'cmyk.tif': lambda path: RGB.convert('CMYK').save(path),
}


# holds: grey, palette
@pytest.mark.parametrize('kind', KINDS)
def test_a_file_of_8_bits_is_what_pil_says(tmp_path, kind):
    KINDS[kind](tmp_path / kind)
    expected = np.asarray(Image.open(tmp_path / kind).convert('RGB'))[..., ::-1]
    image = load(tmp_path / kind)
    assert image.dtype == np.uint8 and image.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(image.astype(int) - expected).mean() < 1.5


DEEP = {
    'uint16.png': SMOOTH[..., ::-1].astype(np.uint16) * 16,
    'uint16_grey.png': SMOOTH[..., 0].astype(np.uint16) * 16,
    'uint16.tif': SMOOTH[..., ::-1].astype(np.uint16) * 16,
    'float.tif': SMOOTH[..., ::-1].astype(np.float32) * 16,
    'float_grey.tif': SMOOTH[..., 0].astype(np.float32) * 16,
    'int16.npy': SMOOTH[..., ::-1].astype(np.int16) * 16,
    'double.npy': SMOOTH[..., ::-1].astype(np.float64) * 16,
}


# holds: 16-bit, 12-bit, float
@pytest.mark.parametrize('kind', DEEP)
def test_a_deep_file_is_refused_or_scaled_by_its_stated_range(tmp_path, kind):
    path = tmp_path / kind
    np.save(path, DEEP[kind]) if kind.endswith('.npy') else cv2.imwrite(str(path), DEEP[kind])
    with pytest.raises(
        BadImage, match=rf'{kind} holds \w+ from .* to .*, not 8-bit values; say .*value_range=\(0, 4095\)'
    ):
        load(path)
    image = load(path, value_range=(0, 16 * 255))
    expected = SMOOTH[..., ::-1] if DEEP[kind].ndim == 3 else np.repeat(SMOOTH[..., :1], 3, -1)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected, atol=1e-3)
    assert load(path, value_range=(0, 160)).max() == 255, 'beyond white is white'
    assert load(path, value_range=(4080, 5000)).max() == 0, 'below black is black'


@pytest.mark.parametrize('value_range', [(0, 0), (5, 1), (0, float('nan')), (0, float('inf'))])
def test_a_range_that_means_nothing(value_range):
    with pytest.raises(ValueError, match='black and white are needed'):
        LoadCheckedImage(value_range=value_range)


def test_8_bits_are_not_squeezed_into_a_range_of_12(tmp_path):
    KINDS['rgb.png'](tmp_path / 'a.png')
    with pytest.raises(BadImage, match='a.png holds 8-bit values, but value_range'):
        load(tmp_path / 'a.png', value_range=(0, 4095))


@pytest.mark.parametrize(
    ('option', 'words'),
    [(dict(orientation='up'), "write 'exif', 'raw'"), (dict(color_type='rgb'), "color_type='rgb'.* there are color")],
)
def test_options_of_the_loader(option, words):
    with pytest.raises(ValueError, match=words):
        LoadCheckedImage(**option)


BROKEN = {
    'missing.png': None,
    'empty.jpg': b'',
    'page.jpg': b'<html>404</html>',
    'truncated.png': 0.5,
    'truncated.jpg': 0.7,
    'zeros.png': b'\0' * 1000,
    'text.npy': b'hello',
    'objects.npy': 'objects',
    'line.npy': 'line',
    'words.npy': 'words',
}


def write_broken(path) -> None:
    damage = BROKEN[path.name]
    if damage is None:
        return
    if isinstance(damage, float):
        RGB.save(path, quality=90)
        damage = path.read_bytes()[: int(damage * path.stat().st_size)]
    elif isinstance(damage, str):
        made = dict(objects=np.array([dict()], object), line=np.zeros(3), words=np.array([['a']]))[damage]
        np.save(path, made, allow_pickle=True)
        return
    path.write_bytes(damage)


# holds: missing, empty, truncated, a web page
@pytest.mark.parametrize('name', BROKEN)
def test_a_broken_file_is_named(tmp_path, name):
    write_broken(tmp_path / name)
    with pytest.raises(BadImage, match=str(tmp_path / name)):
        load(tmp_path / name)
    assert LoadCheckedImage(ignore_empty=True).transform(dict(img_path=str(tmp_path / name))) is None


# holds: EXIF that turns
@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp'])
@pytest.mark.parametrize('turned', [2, 3, 6, 8])
@pytest.mark.parametrize('square', [True, False])
def test_exif_that_the_size_does_not_tell_of_is_asked_about(tmp_path, suffix, turned, square):
    path, exif = tmp_path / f'a.{suffix}', Image.Exif()
    exif[0x112] = turned
    stored = RGB.resize((WIDTH, WIDTH)) if square else RGB
    stored.save(path, exif=exif)
    turns = turned > 4
    as_stored = dict(img_path=str(path), height=stored.height, width=stored.width)
    as_shown = dict(as_stored, height=stored.width, width=stored.height) if turns else as_stored
    if square or not turns:
        with pytest.raises(BadImage, match=f"EXIF orientation {turned}, .*orientation='exif' or orientation='raw'"):
            LoadCheckedImage().transform(dict(as_stored))
    else:
        assert LoadCheckedImage().transform(dict(as_shown))['img'].shape[:2] == (WIDTH, HEIGHT)
        with pytest.raises(ValueError, match='but its annotations say'):
            LoadCheckedImage().transform(dict(as_stored))
    raw = LoadCheckedImage(orientation='raw').transform(dict(as_stored))['img']
    shown = LoadCheckedImage(orientation='exif').transform(dict(as_shown))['img']
    assert np.abs(raw[..., ::-1].astype(int) - np.asarray(stored)).mean() < 6
    expected = np.fliplr(raw) if turned == 2 else np.rot90(raw, {3: 2, 6: -1, 8: 1}[turned])
    assert np.abs(shown.astype(int) - expected).mean() < 3
    assert load(path).shape == shown.shape, 'what is only predicted is turned'


# Arrays.


# holds: arrays H W
@pytest.mark.parametrize('order', ['bgr', 'rgb'])
def test_arrays_have_a_named_order_of_channels(order):
    colours = SMOOTH[..., ::-1] if order == 'bgr' else SMOOTH
    np.testing.assert_array_equal(from_memory(colours, order), SMOOTH[..., ::-1])
    with_alpha = np.dstack([colours, np.full((HEIGHT, WIDTH), 7, np.uint8)])
    np.testing.assert_array_equal(from_memory(with_alpha, order), SMOOTH[..., ::-1])
    grey = from_memory(colours, order, color_type='grayscale')
    assert np.abs(grey.astype(int) - np.asarray(RGB.convert('L'))).max() <= 1
    np.testing.assert_array_equal(from_memory(RGB, order), SMOOTH[..., ::-1])  # PIL has an order of its own


# holds: arrays H W
@pytest.mark.parametrize('shape', [(), (1,), (2,)])
def test_grey_arrays(shape):
    grey = np.broadcast_to(SMOOTH[..., :1], (HEIGHT, WIDTH, *shape)) if shape else SMOOTH[..., 0]
    np.testing.assert_array_equal(from_memory(grey), np.repeat(SMOOTH[..., :1], 3, -1))


# holds: arrays H W
@pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', 'YCbCr'])
def test_images_of_pil(mode):
    image = RGB.convert(mode)
    assert np.abs(from_memory(image)[..., ::-1].astype(int) - np.asarray(image.convert('RGB'))).max() <= 1


@pytest.mark.parametrize(
    ('array', 'words'),
    [
        (np.zeros(3), r'of shape \(3,\); an image is H W'),
        (np.zeros((2, 3, 4, 3), np.uint8), 'an image is H W'),
        (np.zeros((0, 4, 3), np.uint8), 'an image is H W'),
        (np.array([['a']]), 'of numbers'),
        (np.zeros((3, 60, 40), np.uint8), r'has 40 channels .* np.moveaxis\(array, 0, -1\)'),
        (np.zeros((60, 40, 5), np.uint8), 'has 5 channels'),
        (np.zeros((60, 40, 3), np.uint16), 'not 8-bit values'),
        (np.zeros((60, 40, 3), np.float32), 'not 8-bit values'),
    ],
)
def test_arrays_that_are_no_image(array, words):
    with pytest.raises(BadImage, match=words):
        from_memory(array)


def test_arrays_of_more_bits_and_bands():
    deep = SMOOTH.astype(np.float64) / 255
    np.testing.assert_allclose(from_memory(deep, 'rgb', (0, 1)), SMOOTH[..., ::-1], atol=1e-3)
    with pytest.raises(BadImage, match='holds NaN'):
        from_memory(np.full((4, 4), np.nan), value_range=(0, 1))
    bands = np.zeros((4, 5, 7), np.uint8)
    assert from_memory(bands, color_type='unchanged') is not None
    assert from_memory(np.eye(4, dtype=bool)).max() == 255


# Channels through a model.


# holds: other numbers of channels
@pytest.mark.parametrize('channels', [1, 2, 4, 5])
def test_a_detector_of_n_channels(tmp_path, channels):
    init_default_scope('mmdet')
    np.save(tmp_path / 'a.npy', np.random.default_rng(0).integers(0, 256, (64, 96, channels), np.uint8))
    image = load(tmp_path / 'a.npy', color_type='unchanged')
    from mmparts.layers.feature_spec import build_neck

    backbone = MODELS.build(
        dict(type='mmdet.ResNet', depth=18, base_channels=8, in_channels=channels, out_indices=(1, 2))
    )
    neck = build_neck(
        dict(type='mmdet.ChannelMapper', in_channels='auto', norm_cfg=dict(type='GN', num_groups=4)), backbone, 32, 2
    )
    ready = ChannelPreprocessor([100.0] * channels, [50.0] * channels, pad_size_divisor=64)
    tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    inputs = ready(dict(inputs=[tensor]))['inputs']
    torch.testing.assert_close(inputs[0, :, :64, :96], (tensor.float() - 100) / 50)
    assert [feat.shape[1] for feat in neck(backbone(inputs))] == [32, 32]
    with pytest.raises(ValueError, match=f'an image has 3 channels, the mean of the preprocessor {channels}'):
        ready(dict(inputs=[torch.zeros(3, 64, 96)]))


# holds: other numbers of channels
@pytest.mark.parametrize(
    ('kwargs', 'words'),
    [
        (dict(mean=[1, 2], std=[1]), 'one number a channel each'),
        (dict(mean=[1], std=[0]), 'those of std above 0'),
        (dict(mean=[1, 2, 3, 4], std=[1] * 4, bgr_to_rgb=True), 'turns three channels round; mean has 4'),
    ],
)
def test_means_that_do_not_fit(kwargs, words):
    with pytest.raises(ValueError, match=words):
        ChannelPreprocessor(**kwargs)


# In the midst of training.

STEPS = [dict(type=LoadCheckedImage), dict(type=LoadAnnotations, with_bbox=True), dict(type=PackDetInputs)]


def dataset(folder, **kwargs) -> CheckedCocoDataset:
    options = dict(ann_file='ann.json', data_root=str(folder), data_prefix=dict(img=''), pipeline=STEPS) | kwargs
    return CheckedCocoDataset(**options)


# holds: any other error of a pipeline
def test_an_error_of_any_step_names_the_image(write):
    data = dataset(write(), pipeline=[STEPS[0], lambda results: 1 / 0])
    with pytest.raises(BadImage, match='1.png: ZeroDivisionError: division by zero'):
        data[0]


# holds: missing, empty, truncated, a web page
@pytest.mark.parametrize('workers', [0, 2])
def test_bad_images_are_skipped_up_to_a_number_by_all_workers_together(write, workers):
    folder = write()
    (folder / '1.png').write_bytes(b'')
    data = dataset(folder, on_bad_image='skip', max_bad_images=1)
    loader = DataLoader(data, batch_size=1, num_workers=workers, collate_fn=list)
    for _ in range(2):  # the same image again is no further one
        seen = [sample['data_samples'].img_path for (sample,) in loader]
        assert len(seen) == 2 and {path.rpartition('/')[2] for path in seen} == {'2.png'}
    assert [path.rpartition('/')[2] for path in data.bad_images()] == ['1.png']
    (folder / '2.png').write_bytes(b'')
    with pytest.raises(BadImage, match='2 images cannot be used, more than max_bad_images=1 .*1.png, .*2.png'):
        next(iter(loader))


def test_a_share_of_none_skips_none(write):
    folder = write()
    (folder / '1.png').write_bytes(b'')
    with pytest.raises(BadImage, match='more than max_bad_images=0'):
        dataset(folder, on_bad_image='skip', max_bad_images=0)[0]


# holds: missing, empty, truncated, a web page
def test_an_evaluation_skips_nothing(write):
    folder = write()
    (folder / '1.png').write_bytes(b'')
    with pytest.raises(BadImage, match='1.png: the file is empty'):
        dataset(folder, on_bad_image='skip', test_mode=True)[0]


@pytest.mark.parametrize(
    ('option', 'words'),
    [(dict(on_bad_image='ignore'), "there are 'error' and 'skip'"), (dict(max_bad_images=-1), 'max_bad_images=-1')],
)
def test_policies_that_there_are_not(write, option, words):
    with pytest.raises(ValueError, match=words):
        dataset(write(), **option)
