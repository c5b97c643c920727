"""Phantoms: the same voxels again, geometry, what is in them, and what they do not overwrite."""

import json

import numpy as np
import pytest
from scipy import ndimage

from mmparts.datasets.cubes import read_cube
from mmparts.datasets.phantoms import make_phantoms
from mmparts.datasets.phantoms.nested import LABELS, REGIONS, nested
from mmparts.datasets.phantoms.spectral import CLASSES
from mmparts.datasets.phantoms.vessels import vessels
from mmparts.datasets.volumes import VolumeDataset
from mmparts.structures import LabelTable


def test_regions_are_nested_and_the_grid_is_oblique():
    for seed in range(5):
        phantom = nested(np.random.default_rng(seed), 32)
        masks = LabelTable(LABELS, REGIONS).to_regions(phantom.label).astype(bool)
        assert masks[0].sum() > masks[1].sum() > masks[2].sum() >= 0 and masks[0].sum() > 200
        assert (masks[0] | masks[1] == masks[0]).all() and (masks[1] | masks[2] == masks[1]).all()
        spacing = np.linalg.norm(phantom.affine[:3, :3], axis=0)
        turn = np.abs(phantom.affine[:3, :3] / spacing)
        assert np.allclose(spacing, (1.5, 1, 1)) and np.sort(turn.ravel())[:6].max() > 0.02  # no axis along another
        assert all(channel.shape == phantom.label.shape for channel in phantom.channels.values())


def test_modalities_show_what_they_should():
    phantom = nested(np.random.default_rng(0), 40)
    mean = {name: [c[phantom.label == i].mean() for i in (1, 2, 3)] for name, c in phantom.channels.items()}
    assert mean['t1ce'][2] == max(mean['t1ce']) and mean['flair'][1] == max(mean['flair'])


def test_vessels_are_one_tree_with_branches():
    from mmparts.evaluation.volumetric.centreline import skeleton

    pytest.importorskip('skimage')
    phantom = vessels(np.random.default_rng(0), 48)
    _, parts = ndimage.label(phantom.label, np.ones((3, 3, 3)))
    lines = skeleton(phantom.label > 0)
    neighbours = ndimage.convolve(lines.astype(int), np.ones((3, 3, 3), int), mode='constant') - 1
    assert parts == 1 and (lines & (neighbours > 2)).sum() >= 3 and phantom.label.mean() < 0.05
    assert phantom.channels['CT'][phantom.label > 0].mean() > 130


def test_written_and_read(tmp_path):
    pytest.importorskip('nibabel')
    assert make_phantoms(tmp_path / 'p', cases=3, size=24)
    data = VolumeDataset(
        str(tmp_path / 'p' / 'nested'),
        'dataset_json',
        dict(regions=REGIONS),
        pipeline=[dict(type=f'mmparts.{name}') for name in ('LoadVolume', 'LoadVolumeLabel', 'ZScore', 'PackVolume')],
    )
    sample = data[2]
    expected = nested(np.random.default_rng([1, 0, 0, 2]), 24)
    assert sample['inputs'].shape == (4, *expected.label.shape) and data.metainfo['classes'] == ('WT', 'TC', 'ET')
    assert (sample['data_samples'].gt_sem_seg.data[0].numpy() == (expected.label > 0)).all()
    assert np.allclose(sample['data_samples'].affine, expected.affine, atol=1e-4)
    cube = read_cube(tmp_path / 'p' / 'cubes' / 'cube_001.npz')
    label = np.load(tmp_path / 'p' / 'cubes' / 'cube_001.npz')['label']
    assert cube.array.shape == (*label.shape, 32) and set(np.unique(label)) <= {*range(len(CLASSES)), 255}
    # the nearest mean spectrum tells most pixels apart, not all
    means = np.stack([cube.array[label == i].mean(0) for i in np.unique(label[label < 255])])
    nearest = np.unique(label[label < 255])[((cube.array[..., None, :] - means) ** 2).sum(-1).argmin(-1)]
    assert 0.7 < (nearest == label)[label < 255].mean() < 1


def test_other_folders_are_left_alone(tmp_path):
    out = tmp_path / 'p'
    assert make_phantoms(out, ['cubes'], cases=2, size=16) and not make_phantoms(out, ['cubes'], cases=2, size=16)
    with pytest.raises(FileExistsError, match='other phantoms: cases=2, not 3'):
        make_phantoms(out, ['cubes'], cases=3, size=16)
    assert make_phantoms(out, ['cubes'], cases=3, size=16, overwrite=True)
    assert json.loads((out / 'phantoms.json').read_text())['cases'] == 3
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'a').write_text('a')
    with pytest.raises(FileExistsError, match='was not written by make_phantoms'):
        make_phantoms(tmp_path / 'mine', overwrite=True)
    with pytest.raises(ValueError, match="kind 'cube'"):
        make_phantoms(out, ['cube'])
