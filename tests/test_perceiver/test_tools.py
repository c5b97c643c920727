"""predict and visualize_attention on what is no single image, with small models at random weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from tiny import IN_PROCESS

from mmparts.datasets.arrays import KINDS
from mmparts.registry import MODELS
from mmparts.visualization.latent_attention import sharpest

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
CASES = {
    'flow': ('perceiver_io/perceiver-io_flow-small_1xb16-12e_flow-pairs.py', 'val/00000', 1, 'motion'),
    'captions': ('perceiver_io/perceiver-io_bytes-small_1xb32-12e_captions.py', 'val.txt', 1, 'text'),
    'clips': ('perceiver_io/perceiver-io_autoencoder-small_1xb16-16e_clips.py', 'val', 2, 'video_psnr'),
    'points': ('perceiver/perceiver_points-small_1xb16-20e_points.py', 'val', 2, 'names'),
    'entities': ('perceiver_io/perceiver-io_entities-small_1xb16-10e_entities.py', 'val', 2, 'labels'),
}


def checkpoint(path: Path, out: Path) -> Path:
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.save(MODELS.build(Config.fromfile(path).model).state_dict(), out)
    return out


@pytest.mark.parametrize('kind', CASES)
def test_predict(kind, run_tool, tmp_path):
    name, inputs, count, field = CASES[kind]
    KINDS[kind][0](tmp_path / kind, images=1, val_images=2)
    weights = checkpoint(CONFIGS / name, tmp_path / 'weights.pth')
    out = tmp_path / 'out'
    assert not run_tool('predict', tmp_path / kind / inputs, CONFIGS / name, weights, '--out', out, '--device', 'cpu')
    found = json.loads((out / 'predictions.json').read_text())['predictions']
    assert len(found) == count
    for record in found:
        assert field in record
        assert len(Image.open(out / record['picture']).convert('RGB').getcolors(2**24)) > 2


def test_the_text_to_predict_says_where_its_gaps_are(run_tool, tmp_path):
    name = CASES['captions'][0]
    (tmp_path / 'a.txt').write_text('Two red[MASK]circles.')
    weights = checkpoint(CONFIGS / name, tmp_path / 'weights.pth')
    assert not run_tool(
        'predict', tmp_path / 'a.txt', CONFIGS / name, weights, '--out', tmp_path / 'o', '--device', 'cpu'
    )
    (record,) = json.loads((tmp_path / 'o' / 'predictions.json').read_text())['predictions']
    assert record['gaps'] == 1 and 'right' not in record
    assert record['text'].startswith('Two red') and record['text'].endswith('circles.')


def test_a_clip_that_does_not_fit_is_reported(run_tool, tmp_path, capsys):
    name = CASES['clips'][0]
    np.savez(tmp_path / 'a.npz', video=np.zeros((8, 32, 32, 3), np.uint8), audio=np.zeros(4096), rate=16000)
    weights = checkpoint(CONFIGS / name, tmp_path / 'weights.pth')
    assert run_tool('predict', tmp_path / 'a.npz', CONFIGS / name, weights, '--out', tmp_path / 'o', '--device', 'cpu')
    assert 'sound of 16000 samples a second, the model is for 8000' in capsys.readouterr().err


def test_attention_of_latents(run_tool, tmp_path, capsys):
    name = 'perceiver/perceiver-fourier_small_1xb50-12e_glyphs.py'
    KINDS['glyphs'][0](tmp_path / 'glyphs', images=1, val_images=1)
    weights = checkpoint(CONFIGS / name, tmp_path / 'weights.pth')
    image = tmp_path / 'glyphs/val/star/00000.png'
    args = (image, CONFIGS / name, weights, '--out', tmp_path / 'a.png', '--device', 'cpu')
    assert not run_tool('visualize_attention', *args)
    assert '3 cross-attends of 32 latents' in capsys.readouterr().out
    assert Image.open(tmp_path / 'a.png').size[0] > 300
    assert run_tool('visualize_attention', *args, '--query', '32')
    assert 'there is no latent 32; the model has 32' in capsys.readouterr().err


def test_the_sharpest_maps_are_found():
    maps = torch.full((8, 4, 4), 1 / 16)
    maps[5] = 0
    maps[5, 1, 1] = 1
    assert 5 in sharpest(maps) and len(sharpest(maps)) == 5


@pytest.mark.parametrize('kind', CASES)
def test_trains_on_its_files(kind, run_tool, tmp_path, monkeypatch):
    """By the launcher: files, loader, collation, preprocessor, losses, metrics."""
    monkeypatch.chdir(tmp_path)
    KINDS[kind][0](tmp_path / kind, images=2, val_images=2)
    options = [f'data_root={tmp_path / kind}/', 'train_cfg.max_epochs=2', 'train_cfg.val_interval=2']
    options += ['train_dataloader.batch_size=2', 'log_level=ERROR', *IN_PROCESS]
    work = tmp_path / 'work'
    assert not run_tool('train', CONFIGS / CASES[kind][0], '--work-dir', work, '--cfg-options', *options)
    assert (work / 'epoch_2.pth').is_file()
