"""Regions of our own detectors, from the image to a file to VisualBERT's inputs."""

import os
import shutil
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny import CONFIGS, build, tiny

from mmparts import commands
from mmparts.datasets import BadAnnotations, LoadRegions
from mmparts.datasets.region_files import read_regions
from mmparts.inference.regions import RegionDetector, write_regions
from mmparts.multimodal.visual_bert.towers import RegionInputs


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A tiny DINO, and three images, one in a folder below."""
    root = tmp_path_factory.mktemp('regions')
    cfg = Config.fromfile(CONFIGS / 'dino/dino-4scale_small_1xb8-9e_shapes.py')
    cfg.model = tiny(cfg)
    state = build(cfg.model).state_dict()
    torch.save(dict(state_dict=state, meta={}), root / 'dino.pth')
    detector = RegionDetector(cfg, str(root / 'dino.pth'))
    detector.most = 5
    rng = np.random.default_rng(0)
    (root / 'images/below').mkdir(parents=True)
    for name, size in (('a', (40, 60)), ('b', (64, 64)), ('below/c', (30, 80))):
        cv2.imwrite(str(root / f'images/{name}.png'), rng.integers(256, size=(*size, 3)).astype(np.uint8))
    return detector, root


def run(made, out, model='one'):
    detector, root = made
    return dict(write_regions(detector, str(root / 'images'), str(out), model))


def test_regions_are_the_best_queries_with_their_last_states(made):
    detector, root = made
    item = detector.prepare(str(root / 'images/a.png'))
    data = detector.model.data_preprocessor(
        dict(inputs=[item['inputs']], data_samples=[item['data_samples']]), training=False
    )
    with torch.no_grad():
        found = detector.model(**data, mode='tensor')
        (regions,) = detector.model.best_queries(data['inputs'], data['data_samples'], 4)
        (every,) = detector.model.best_queries(data['inputs'], data['data_samples'], 1000)
    scores = found['logits'][-1, 0].sigmoid().amax(-1)
    best = scores.topk(4)
    torch.testing.assert_close(regions['scores'], best.values)
    middle, size = found['boxes'][-1, 0, best.indices].split(2, -1)
    torch.testing.assert_close(regions['boxes'], torch.cat([middle - size / 2, middle + size / 2], -1).clamp(0, 1))
    assert len(regions['features']) == 4
    assert len(every['scores'].unique()) == len(every['scores']), 'each query once'
    head = detector.model.head.class_branch(-1)(regions['features']).sigmoid().amax(-1)
    torch.testing.assert_close(head, best.values)  # they are the states that the class branch reads


def test_what_is_there_stays_and_what_changed_is_read_again(made, tmp_path):
    detector, root = made
    out = tmp_path / 'out'
    assert run(made, out) == {'a.png': None, 'b.png': None, 'below/c.png': None}
    files = {name: out / f'{name}.npz' for name in ('a.png', 'b.png', 'below/c.png')}
    times = {name: path.stat().st_mtime_ns for name, path in files.items()}
    before = read_regions(files['a.png'])
    image = root / 'images/a.png'
    shutil.copy(image, tmp_path / 'kept.png')
    cv2.imwrite(str(image), np.full((40, 60, 3), 99, np.uint8))
    os.utime(image, ns=(1, 1))
    files['b.png'].unlink()
    run(made, out)
    shutil.copy(tmp_path / 'kept.png', image)
    assert files['b.png'].is_file(), 'stopped halfway, it goes on'
    assert files['below/c.png'].stat().st_mtime_ns == times['below/c.png']
    assert not np.allclose(before['features'], read_regions(files['a.png'])['features'])
    with pytest.raises(ValueError, match='another detector'):
        run(made, out, 'two')


def test_an_image_that_cannot_be_read_is_named(made, tmp_path):
    images = tmp_path / 'images'
    images.mkdir()
    (images / 'bad.png').write_bytes(b'no image')
    shutil.copy(made[1] / 'images/b.png', images)
    found = dict(write_regions(made[0], str(images), str(tmp_path / 'out'), 'one'))
    assert found['b.png'] is None and 'bad.png' in found['bad.png'] and not (tmp_path / 'out/bad.png.npz').exists()


def test_the_command_writes_where_configs_look(made, tmp_path, monkeypatch):
    """Into a folder below that of the images, as the README of VisualBERT says."""
    config = CONFIGS / 'dino/dino-4scale_small_1xb8-9e_shapes.py'
    torch.save(build(Config.fromfile(config).model).state_dict(), tmp_path / 'dino.pth')
    shutil.copytree(made[1] / 'images', tmp_path / 'images/val')
    images, words = tmp_path / 'images', ['mmparts', 'data', 'regions', '--regions', '5', '--device', 'cpu']
    for _ in range(2):  # the second call finds them, and takes none for an image
        line = [*words, config, tmp_path / 'dino.pth', images, '--out', images / 'regions']
        monkeypatch.setattr(sys, 'argv', [str(word) for word in line])
        with pytest.raises(SystemExit) as stop:
            commands.main()
        assert not stop.value.code
    found = sorted(path.name for path in (images / 'regions').rglob('*.npz'))
    assert found == ['a.png.npz', 'b.png.npz', 'c.png.npz']


def test_files_become_the_inputs_of_visual_bert(made, tmp_path):
    _, root = made
    run(made, tmp_path)
    images, dims = root / 'images', read_regions(tmp_path / 'a.png.npz')['features'].shape[1]
    one = dict(img_path=str(images / 'a.png'))
    two = dict(one, second_path=str(images / 'below/c.png'))
    single = LoadRegions(str(tmp_path), str(images), most=3)(dict(one))['regions']
    pair = LoadRegions(str(tmp_path), str(images), most=2)(dict(two))['regions']
    assert single.features.shape == (3, dims) and single.types is None and pair.types.tolist() == [0, 0, 1, 1]
    wide = LoadRegions(str(tmp_path), str(images), add_boxes=True)(dict(one))['regions']
    torch.testing.assert_close(wide.features[:, -2:], wide.boxes[:, 2:] - wide.boxes[:, :2])
    assert wide.features.shape[1] == dims + 6

    batch = RegionInputs(dims)([pair, pair], 'cpu')
    assert batch.types.tolist() == [[0, 0, 1, 1]] * 2 and batch.keep.all()
    batch = RegionInputs(dims)([single, LoadRegions(str(tmp_path), str(images), most=1)(dict(one))['regions']], 'cpu')
    assert batch.keep.tolist() == [[True] * 3, [True, False, False]]


def test_missing_and_broken_files_say_what_to_do(made, tmp_path):
    load = LoadRegions(str(tmp_path), str(tmp_path))
    with pytest.raises(FileNotFoundError, match='mmparts data regions'):
        load(dict(img_path=str(tmp_path / 'x.png')))
    (tmp_path / 'x.png.npz').write_bytes(b'PK')
    with pytest.raises(BadAnnotations, match='x.png.npz is no file of regions'):
        load(dict(img_path=str(tmp_path / 'x.png')))
    np.savez(tmp_path / 'x.png.npz', features=np.zeros((2, 3)), boxes=np.zeros((1, 4)), scores=np.zeros(2))
    with pytest.raises(BadAnnotations, match='boxes R x 4'):
        load(dict(img_path=str(tmp_path / 'x.png')))
