"""Hyperspectral cubes: formats that hold the same, bad files, mmseg's transforms on many bands."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from volume_files import REAL

from mmparts.datasets.check_classes import warn_of_overlap
from mmparts.datasets.cubes import INTERLEAVES, CubeDataset, LoadCube, read_cube
from mmparts.datasets.volumes import BadVolume
from mmparts.registry import DATASETS, METRICS

MUUFL = REAL / 'muufl_hyperspectral' / 'muufl_dev.npz'


def scene(dtype=np.float32):
    if MUUFL.is_file():
        return np.load(MUUFL)['cube'].astype(dtype)
    return np.random.default_rng(0).random((60, 90, 64)).astype(np.float16).astype(dtype)


def write_envi(path, cube, interleave, dtype='<f4', code=4, offset=0, waves=True, lines=None):
    names, order = INTERLEAVES[interleave]
    array = cube.transpose(np.argsort(order)).astype(dtype)
    path.with_suffix('.img').write_bytes(b'\0' * offset + array.tobytes())
    wavelengths = ',\n  '.join(f'{400 + 10 * i}.5' for i in range(cube.shape[2]))
    header = f"""ENVI
description = {{ a scene,
  in two lines }}
samples = {cube.shape[1]}
lines   = {lines or cube.shape[0]}
bands   = {cube.shape[2]}
header offset = {offset}
data type = {code}
interleave = {interleave}
byte order = {int(dtype[0] == '>')}
"""
    if waves:
        header += f'wavelength = {{\n  {wavelengths}}}\n'
    path.with_suffix('.hdr').write_text(header)
    return path.with_suffix('.hdr')


@pytest.mark.parametrize(('dtype', 'code'), [('<f4', 4), ('>f4', 4), ('>f8', 5)])
def test_three_interleaves_read_equal(tmp_path, dtype, code):  # V15
    cube = scene()
    for interleave in INTERLEAVES:
        header = write_envi(tmp_path / interleave, cube, interleave, dtype, code, offset=12)
        found = read_cube(header)
        assert found.array.shape == (60, 90, 64) and (found.array == cube).all() and found.array.dtype.isnative
        assert (read_cube(header.with_suffix('.img')).array == cube).all()
        assert found.wavelengths[:2].tolist() == [400.5, 410.5] and len(found.wavelengths) == 64


def test_npz_and_matlab_read_equal(tmp_path):
    from scipy.io import savemat

    cube = scene()
    np.savez(tmp_path / 'c.npz', cube=cube, label=np.zeros((60, 90)), wavelengths=np.arange(64))
    savemat(tmp_path / 'c.mat', dict(scene=cube, gt=np.zeros((60, 90))))
    assert (read_cube(tmp_path / 'c.npz').array == cube).all() and (read_cube(tmp_path / 'c.mat').array == cube).all()
    assert read_cube(tmp_path / 'c.npz').wavelengths[-1] == 63


@pytest.mark.parametrize('before', [0, 512])  # bytes before HDF5's signature: h5py's own files, MATLAB's
def test_matlab_7_3(tmp_path, before):
    h5py = pytest.importorskip('h5py')
    cube = scene()
    with h5py.File(tmp_path / 'new.mat', 'w', userblock_size=before) as file:
        file['scene'] = cube.transpose()
    assert (read_cube(tmp_path / 'new.mat').array == cube).all()


def test_bad_cubes_are_named(tmp_path):
    cube = scene()[:4, :5, :6]
    with pytest.raises(FileNotFoundError, match='no cube at'):
        read_cube(tmp_path / 'none.npz')
    with pytest.raises(BadVolume, match=r'img has 480 bytes, but long.hdr says .*\(9, 5, 6\).*: 1080'):
        read_cube(write_envi(tmp_path / 'long', cube, 'bip', lines=9))
    with pytest.raises(BadVolume, match='data type 6'):
        read_cube(write_envi(tmp_path / 'complex', cube, 'bip', code=6))
    (tmp_path / 'a.hdr').write_text('samples = 3')
    with pytest.raises(BadVolume, match='is no ENVI header'):
        read_cube(tmp_path / 'a.hdr')
    (tmp_path / 'b.hdr').write_text('ENVI\nsamples = 3')
    with pytest.raises(BadVolume, match="has no field 'lines'"):
        read_cube(tmp_path / 'b.hdr')
    np.savez(tmp_path / 'two.npz', a=cube, b=cube)
    with pytest.raises(BadVolume, match=r'2 arrays of 3 axes \(a \(4, 5, 6\), b'):
        read_cube(tmp_path / 'two.npz')
    with pytest.raises(BadVolume, match="has no array 'c'"):
        read_cube(tmp_path / 'two.npz', 'c')
    (tmp_path / 'cut.npz').write_bytes((tmp_path / 'two.npz').read_bytes()[:200])
    with pytest.raises(OSError, match='cut.npz'):
        read_cube(tmp_path / 'cut.npz')

    np.savez(tmp_path / 'small.npz', cube=cube, label=np.zeros((4, 4)))
    with pytest.raises(BadVolume, match=r'the label is \(4, 4\), the cube \(4, 5\)'):
        LoadCube()(dict(img_path=tmp_path / 'small.npz'))
    cube[1, 1, 3] = np.nan
    np.savez(tmp_path / 'nan.npz', cube=cube)
    with pytest.raises(BadVolume, match=r'NaN or infinite in the bands \[3\]'):
        LoadCube()(dict(img_path=tmp_path / 'nan.npz'))


def test_bands_are_scaled_one_by_one(tmp_path):
    np.savez(tmp_path / 'c.npz', cube=scene() * np.arange(64))
    load = dict(img_path=tmp_path / 'c.npz')
    image = LoadCube()(dict(load))['img'][..., 1:]
    assert np.allclose(image.mean((0, 1)), 0, atol=1e-4) and np.allclose(image.std((0, 1)), 1, atol=1e-3)
    ranged = LoadCube(scaling='range')(dict(load))['img'][..., 1:]
    assert np.allclose(ranged.min((0, 1)), 0) and np.allclose(ranged.max((0, 1)), 1)


def test_mmsegs_transforms_keep_all_bands(tmp_path):  # V15
    label = np.random.default_rng(0).integers(0, 5, (60, 90)).astype(np.uint8)
    label[:3] = 255
    np.savez(tmp_path / 'c.npz', cube=scene(), label=label)
    steps = ['mmseg.RandomCrop', 'mmseg.RandomFlip', 'mmseg.PackSegInputs']
    options = [dict(crop_size=(32, 32)), dict(prob=1.0), {}]
    pipeline = [dict(type='mmparts.LoadCube'), *[dict(type=t, **o) for t, o in zip(steps, options)]]
    data = CubeDataset([dict(img_path='c.npz', rows=(0, 45))], str(tmp_path), repeats=3, pipeline=pipeline)
    assert len(data) == 3
    packed = data[0]
    assert packed['inputs'].shape == (64, 32, 32) and packed['data_samples'].gt_sem_seg.data.shape == (1, 32, 32)
    # image and label moved alike: every pixel still has its label
    whole = LoadCube()(dict(img_path=tmp_path / 'c.npz'))
    inputs, truth = packed['inputs'].numpy(), packed['data_samples'].gt_sem_seg.data[0].numpy()
    for row, column in ((0, 0), (5, 30), (31, 7)):
        distance = np.abs(whole['img'] - inputs[:, row, column]).sum(-1)
        assert truth[row, column] in whole['gt_seg_map'][distance < 1e-4]


def test_ignored_pixels_count_in_neither_loss_nor_metric():  # V15
    from mmseg.evaluation import IoUMetric

    truth = torch.randint(0, 3, (1, 6, 6))
    truth[:, :2] = 255
    logits = torch.randn(1, 3, 6, 6)

    def both(logits):
        loss = torch.nn.functional.cross_entropy(logits, truth, ignore_index=255).item()
        metric = IoUMetric()
        return loss, metric.intersect_and_union(logits.argmax(1)[0], truth[0], 3, 255)[0].tolist()

    other = logits.clone()
    other[:, :, :2] = 100 * torch.randn(1, 3, 2, 6)
    assert both(logits) == both(other)


def test_rows_of_one_scene_train_and_others_validate(tmp_path):
    np.savez(tmp_path / 'c.npz', cube=scene(), label=np.zeros((60, 90), np.uint8))
    load = Compose([dict(type='mmparts.LoadCube')])
    train = load(dict(img_path=tmp_path / 'c.npz', rows=(0, 45)))
    val = load(dict(img_path=tmp_path / 'c.npz', rows=(45, 60)))
    assert train['img'].shape == (45, 90, 64) and val['img'].shape == (15, 90, 64) == (*val['ori_shape'], 64)


@pytest.mark.skipif(not MUUFL.is_file(), reason='needs the real data')
def test_a_linear_classifier_of_what_networks_see_names_the_materials():
    """Nothing that a network needs is lost on the way from the file to the metric."""
    cfg = Config.fromfile(Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets' / 'muufl_hyperspectral.py')
    parts = []
    with DefaultScope.overwrite_default_scope('mmseg'):
        for loader in (cfg.train_dataloader, cfg.val_dataloader):
            how = dict(data_root=str(MUUFL.parent), repeats=1, pipeline=[cfg.load_cube, cfg.pack])
            parts.append(DATASETS.build({**loader.dataset, **how}))
        metric = METRICS.build({**cfg.val_evaluator, 'collect_device': 'cpu'})
    train, val = (part[0] for part in parts)

    known = (train['data_samples'].gt_sem_seg.data[0] != 255).flatten()
    spectra, truth = train['inputs'].flatten(1).T[known], train['data_samples'].gt_sem_seg.data.flatten()[known].long()
    linear = torch.nn.Linear(64, 5)
    optimiser = torch.optim.LBFGS(linear.parameters(), max_iter=500, line_search_fn='strong_wolfe')

    def loss():
        optimiser.zero_grad()
        decay = linear.weight.square().sum() / 2 / len(truth)  # what scikit-learn calls C = 1
        value = torch.nn.functional.cross_entropy(linear(spectra), truth) + decay
        value.backward()
        return value

    optimiser.step(loss)
    sample = val['data_samples']
    guess = linear(val['inputs'].movedim(0, -1)).argmax(-1)
    metric.dataset_meta = parts[1].metainfo
    metric.process({}, [dict(sample.to_dict(), pred_sem_seg=dict(data=guess[None]))])
    found = metric.evaluate(1)
    assert found['aAcc'] >= 98 and found['mDice'] >= 95


# holds: missing, empty, truncated, a web page
def test_a_bad_cube_is_named_or_skipped(tmp_path):
    np.savez(tmp_path / 'good.npz', cube=scene())
    (tmp_path / 'bad.npz').write_bytes(b'no archive')
    options = dict(data_root=str(tmp_path), files=['bad.npz', 'good.npz'], repeats=3, pipeline=[dict(type=LoadCube)])
    with pytest.raises(Exception, match='bad.npz'):
        CubeDataset(**options)[0]
    data = CubeDataset(**options, on_bad_image='skip', max_bad_images=1)
    for place in (0, 2, 4):  # one file, three times
        assert data[place]['img_path'].endswith('good.npz')
    assert data.bad_images() == [str(tmp_path / 'bad.npz')]


def test_a_scene_visited_again_is_not_read_again(tmp_path, monkeypatch):
    reads, path = [], tmp_path / 'c.npz'
    monkeypatch.setattr('mmparts.datasets.cubes.read_cube', lambda *given: reads.append(given) or read_cube(*given))
    np.savez(path, cube=scene(), label=np.zeros((60, 90), np.uint8))
    load = LoadCube()
    first, again = load(dict(img_path=path)), load(dict(img_path=path, rows=(0, 45)))
    assert len(reads) == 1 and (again['img'] == first['img'][:45]).all()
    again['img'][:] = 0  # what a transform does stays in its own results
    assert (load(dict(img_path=path))['img'] == first['img']).all() and len(reads) == 1
    np.savez(path, cube=scene()[::-1], label=np.ones((60, 90), np.uint8))
    os.utime(path, ns=(0, 0))
    changed = load(dict(img_path=path))
    assert len(reads) == 2 and changed['gt_seg_map'].all()
    assert np.allclose(changed['img'], first['img'][::-1], atol=1e-5)


def test_parts_of_one_scene_overlap_where_rows_do(tmp_path, monkeypatch):
    np.savez(tmp_path / 'c.npz', cube=scene(), label=np.zeros((60, 90), np.uint8))
    said = []
    monkeypatch.setattr('mmparts.datasets.check_classes.print_log', lambda text, *_: said.append(text))

    def part(*rows):
        return CubeDataset(data_root=str(tmp_path), files=[dict(img_path='c.npz', rows=rows)], repeats=2)

    warn_of_overlap(part(0, 45), part(45, 60))
    assert not said
    warn_of_overlap(part(0, 45), part(44, 60))
    assert len(said) == 1 and '1 of 16 validation images' in said[0] and 'row 44' in said[0]
