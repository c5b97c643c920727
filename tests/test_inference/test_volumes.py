"""Volumes from file to file: geometry, folds, pieces, bad files, a writer that dies."""

import csv
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import nn
from volume_files import AFFINES, blob, truncate, write_case, write_nifti

from mmparts.datasets.volumes import open_volume
from mmparts.inference.volumes import CleanUp, Exporter, ExportFailed, VolumePredictor, find_cases, predict_volumes
from mmparts.inference.volumes.run import refuse_inputs
from mmparts.registry import MODELS

nibabel = pytest.importorskip('nibabel')
LABELS = {'background': 0, 'a': 1, 'b': 2}


@MODELS.register_module()
class Same(nn.Module):
    """An encoder that gives the image."""

    channels, strides = (1,), (1,)

    def forward(self, images):
        return [images]


MODEL = dict(
    type='mmparts.Segmentor',
    dims=3,
    in_channels=1,
    num_classes=3,
    encoder=dict(type='mmparts.Same'),
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=4),
    inference=dict(type='mmparts.SlidingInference', size=(6, 6, 6), mirror_axes=(0, 2)),
)


def config(root, pipeline=(), **model):
    steps = ['LoadVolume', *pipeline, 'LoadVolumeLabel', 'PackVolume']
    steps = [dict(type=f'mmparts.{s}') if isinstance(s, str) else s for s in steps]
    dataset = dict(type='mmparts.VolumeDataset', data_root=str(root), layout='dataset_json', pipeline=steps)
    evaluator = dict(type='mmparts.VolumeMetric', measures=('Dice', 'HD95'), empty_rule='brats')
    return Config(dict(model={**MODEL, **model}, test_dataloader=dict(dataset=dataset), test_evaluator=evaluator))


def checkpoint(path, cfg, scale=1.0, **meta):
    """Weights with which the largest logit is the class whose number the image shows: 2 k x - k^2."""
    model = MODELS.build(cfg.model)
    weight, bias = model.head.convs[0].weight, model.head.convs[0].bias
    with torch.no_grad():
        for k in range(3):
            weight[k], bias[k] = 2 * k * scale, -k * k * scale
    meta = dict(modalities=('MRI',), labels=LABELS, classes=tuple(LABELS), targets='labels', mirror_axes=(0, 2), **meta)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=meta)), path)
    return str(path)


@pytest.fixture
def root(tmp_path):
    """A case of every geometry."""
    for i, (kind, affine) in enumerate(AFFINES.items()):
        label = blob(seed=i)
        write_nifti(tmp_path / 'data' / 'imagesTr' / f'{kind}_0000.nii.gz', label.astype(np.float32), affine)
        write_nifti(tmp_path / 'data' / 'labelsTr' / f'{kind}.nii.gz', label, affine)
    content = dict(channel_names={'0': 'MRI'}, labels=LABELS)
    (tmp_path / 'data' / 'dataset.json').write_text(json.dumps(content))
    return tmp_path / 'data'


GRID = [dict(type='mmparts.Orientation', axes='RAS'), dict(type='mmparts.CropForeground', margin=1)]


def test_a_right_prediction_is_the_label_in_the_images_geometry(root, tmp_path):  # V1, V17
    cfg = config(root, GRID)
    predictor = VolumePredictor(cfg, [checkpoint(tmp_path / 'a.pth', cfg)])
    assert predict_volumes(root, cfg, predictor, str(tmp_path / 'out')) == 0
    for kind, affine in AFFINES.items():
        made, right = (nibabel.load(tmp_path / 'out' / f'{kind}.nii.gz'), root / 'labelsTr' / f'{kind}.nii.gz')
        assert (np.asarray(made.dataobj) == np.asarray(nibabel.load(right).dataobj)).all()
        assert made.get_data_dtype() == np.uint8 and np.abs(made.affine - affine).max() < 1e-4
        assert np.allclose(made.header.get_zooms(), np.linalg.norm(affine[:3, :3], axis=0), atol=1e-4)
        assert (tmp_path / 'out' / f'{kind}.png').stat().st_size > 1000
    document = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert document['scores']['volume/Dice'] == 1 and document['scores']['volume/HD95'] == 0
    assert all(each['seconds'] > 0 and each['peak_megabytes'] > 10 for each in document['predictions'])
    rows = list(csv.DictReader((tmp_path / 'out' / 'cases.csv').open()))
    assert len(rows) == 10 and float(rows[0]['seconds']) > 0


def test_through_another_spacing_and_back(root, tmp_path):  # V4
    affine = AFFINES['LPS']
    label = blob((60, 64, 24))
    write_nifti(root / 'imagesTr' / 'big_0000.nii.gz', label.astype(np.float32), affine)
    write_nifti(root / 'labelsTr' / 'big.nii.gz', label, affine)
    cfg = config(root, [dict(type='mmparts.Spacing', spacing=(1.0, 1.0, 1.0), order=1, coarse_order=1)])
    predictor = VolumePredictor(cfg, [checkpoint(tmp_path / 'a.pth', cfg)])
    cases = find_cases(root, cfg, predictor.meta)
    index = [cases.get_data_info(i)['case'] for i in range(len(cases))].index('big')
    found = predictor.label(predictor(cases.get_data_info(index)))
    right = label.transpose()
    dice = [2 * ((found == i) & (right == i)).sum() / ((found == i).sum() + (right == i).sum()) for i in (1, 2)]
    assert found.shape == right.shape and np.mean(dice) >= 0.97


def test_files_and_folders(root, tmp_path):
    cfg = config(root)
    meta = VolumePredictor(cfg, [checkpoint(tmp_path / 'a.pth', cfg)]).meta
    assert len(find_cases(root, cfg, meta)) == 5
    images = find_cases(root / 'imagesTr', cfg, meta)
    assert len(images) == 5 and images.get_data_info(0)['seg_map_path'] is None
    one = find_cases(root / 'imagesTr' / 'LAS_0000.nii.gz', cfg, meta)
    assert [one.get_data_info(i)['case'] for i in range(len(one))] == ['LAS']
    with pytest.raises(FileNotFoundError, match='no volume or folder at'):
        find_cases(root / 'nowhere', cfg, meta)
    write_nifti(root / 'imagesTr' / 'LAS_0001.nii.gz', blob().astype(np.float32), AFFINES['LAS'])
    with pytest.raises(ValueError, match=r"LAS: 2 files, .* for the modalities \('MRI',\)"):
        find_cases(root / 'imagesTr', cfg, meta)


def test_folds_are_averaged_by_probability(root, tmp_path):  # V10
    cfg = config(root)
    paths = [checkpoint(tmp_path / f'{i}.pth', cfg, scale) for i, scale in enumerate((1.0, 0.1))]
    predictor = VolumePredictor(cfg, paths)
    images = torch.randn(1, 1, 7, 8, 9) + 1
    single = [model.inference(images, model.logits).softmax(1) for model in predictor.models]
    assert torch.allclose(predictor.mean_logits(images).exp(), (single[0] + single[1]) / 2, atol=1e-6)
    case = find_cases(root, cfg, predictor.meta).get_data_info(0)
    assert (predictor.label(predictor(case)) == open_volume(case['seg_map_path']).load()).all()
    odd = checkpoint(tmp_path / 'odd.pth', cfg)
    content = torch.load(odd, weights_only=False)
    content['meta']['dataset_meta']['modalities'] = ('CT',)
    torch.save(content, odd)
    with pytest.raises(ValueError, match=r"modalities of .*0.pth are \['MRI'\], of .*odd.pth \['CT'\]"):
        VolumePredictor(cfg, [paths[0], odd])


def test_mirrors_keep_to_the_axes_of_the_checkpoint(root, tmp_path, monkeypatch):  # V11
    from mmparts.inference.volumes import predictor as module

    said = []
    monkeypatch.setattr(module, 'print_log', lambda text, *_: said.append(text))
    cfg = config(root)
    path = checkpoint(tmp_path / 'a.pth', cfg)
    assert VolumePredictor(cfg, [path]).models[0].inference.mirror_axes == (0, 2) and not said
    content = torch.load(path, weights_only=False)
    content['meta']['dataset_meta']['mirror_axes'] = (2,)
    torch.save(content, path)
    assert VolumePredictor(cfg, [path]).models[0].inference.mirror_axes == (2,)
    assert 'trained with mirrors of (2,); averaging leaves out (0,)' in said[0]


def test_a_bad_case_is_named_and_the_others_are_written(root, tmp_path, capsys):
    truncate(root / 'imagesTr' / 'LPS_0000.nii.gz')
    cfg = config(root)
    predictor = VolumePredictor(cfg, [checkpoint(tmp_path / 'a.pth', cfg)])
    assert predict_volumes(root / 'imagesTr', cfg, predictor, str(tmp_path / 'out'), '.nii') == 1
    assert 'LPS: failed, cannot read the volume' in capsys.readouterr().err
    assert sorted(p.name for p in (tmp_path / 'out').glob('*.nii')) == [
        f'{kind}.nii' for kind in sorted(AFFINES) if kind != 'LPS'
    ]
    document = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert [each['case'] for each in document['predictions'] if 'error' in each] == ['LPS']


def test_inputs_are_not_replaced(tmp_path):
    infos = [dict(case='x', img_paths=[str(tmp_path / 'x.nii.gz')], seg_map_path=None)]
    refuse_inputs(infos, str(tmp_path), '.nii')
    with pytest.raises(ValueError, match='would replace its input'):
        refuse_inputs(infos, str(tmp_path), '.nii.gz')


def test_decisions_slab_by_slab_are_the_same(root, tmp_path):  # V6
    cfg, bounded = config(root, GRID), config(root, GRID, keep_logits=False)
    path = checkpoint(tmp_path / 'a.pth', cfg)
    whole, slabs = (VolumePredictor(each, [path]) for each in (cfg, bounded))
    cases = find_cases(root, cfg, whole.meta)
    for i in range(len(cases)):
        samples = whole(cases.get_data_info(i)), slabs(cases.get_data_info(i))
        assert torch.equal(*(sample.pred_sem_seg.data for sample in samples)) and 'seg_logits' not in samples[1]
    with pytest.raises(ValueError, match='keep_logits=False: MirroredInference'):
        MODELS.build({**MODEL, 'keep_logits': False, 'inference': dict(type='mmparts.MirroredInference', margin=2)})


def test_pieces_are_dropped_by_size():
    mask = np.zeros((1, 6, 6, 20), np.uint8)
    mask[0, 1:5, 1:5, 1:5], mask[0, 0, 0, 10:14], mask[0, 5, 5, 18] = 1, 1, 1
    sizes = [int(CleanUp(*options).masks(mask, (1, 1, 2)).sum()) for options in ((), (True,), (False, 8), (False, 8.1))]
    assert sizes == [69, 64, 68, 64]
    classes = mask[0] * 2
    classes[2, 2, 16] = 1
    cleaned = CleanUp(largest=True).classes(classes, (1, 1, 1))
    assert (cleaned == 2).sum() == 64 and (cleaned == 1).sum() == 1
    assert not CleanUp(largest=True).masks(mask * 0, (1, 1, 1)).any()


@pytest.mark.parametrize('moment', ['waiting', 'at the end'])
def test_a_killed_writer_ends_the_run_with_the_case(tmp_path, moment):  # V13
    started = time.time()
    with pytest.raises(ExportFailed, match='case_1: the process that writes label files died'), Exporter() as exporter:
        exporter.jobs.append(('case_1', exporter.pool.submit(time.sleep, 60)))
        while not exporter.pool._processes:
            time.sleep(0.05)
        time.sleep(1)
        for pid in exporter.pool._processes:
            os.kill(pid, signal.SIGKILL)
        if moment == 'waiting':
            time.sleep(1)
            exporter.write('case_2', tmp_path / 'x.nii.gz', blob(), np.eye(4))
    assert time.time() - started < 30 and not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_names_its_case(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ExportFailed, match=r'case_7: cannot write .*file/x.nii.gz'), Exporter() as exporter:
        exporter.write('case_7', tmp_path / 'file' / 'x.nii.gz', blob(), np.eye(4))


def test_the_tool(root, tmp_path, monkeypatch):
    import runpy
    import sys

    cfg = config(root)
    write_case(root, 'more', blob(seed=9), AFFINES['RAS'], seed=9)
    path = checkpoint(tmp_path / 'a.pth', cfg)
    cfg.dump(tmp_path / 'cfg.py')
    tool = Path(__file__).resolve().parents[2] / 'tools' / 'predict.py'
    argv = ['predict.py', str(root / 'imagesTr' / 'more_0000.nii.gz'), str(tmp_path / 'cfg.py'), path]
    monkeypatch.setattr(sys, 'argv', [*argv, '--out', str(tmp_path / 'out'), '--largest', '--folds', path])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(str(tool), run_name='__main__')
    assert not done.value.code and (tmp_path / 'out' / 'more.nii.gz').is_file()
