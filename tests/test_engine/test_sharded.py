"""A model shared out among processes trains as a whole one does; its files are those of all runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from toy import Toy, steps

from mmparts.engine.optim.sharded import shard

ROOT = Path(__file__).resolve().parents[2]

CONFIG = f"""
_base_ = '{ROOT}/configs/_base_/default_runtime.py'
custom_imports = dict(imports=['toy'])
default_scope = 'mmengine'
default_hooks = dict(visualization=None, pictures=None, curves=None, report=None, steps=dict(type='StepLog'))
visualizer = dict(type='Visualizer')
model = dict(type='Toy')
fsdp = dict(units=['Linear'])
train_dataloader = dict(dataset=dict(type='Numbers', length=16, noise=0.1), batch_size=2, num_workers=1,
                        sampler=dict(type='DefaultSampler', shuffle=True))
train_cfg = dict(by_epoch=True, max_epochs=2)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.05), clip_grad=dict(max_norm=1.0))
randomness = dict(seed=3)
log_level = 'ERROR'
"""


@pytest.fixture
def train(tmp_path):
    paths = dict(PYTHONPATH=str(ROOT / 'tests'), CUDA_VISIBLE_DEVICES='', PYTHON=sys.executable)
    environment = {**{name: value for name, value in os.environ.items() if name != 'PORT'}, **paths}

    def run(folder: str, *options: str, addition: str = '', processes: int = 2, words: str = '') -> int:
        """Exit code; ``words`` shall be in what it says."""
        (tmp_path / 'config.py').write_text(CONFIG + addition)
        command = [ROOT / 'tools' / 'dist_train.sh', tmp_path / 'config.py', str(processes)]
        command += ['--work-dir', tmp_path / folder, *options]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        if result.returncode not in (0, 75):
            print(result.stderr[-3000:])
        assert words in result.stdout + result.stderr, result.stderr[-3000:]
        return result.returncode

    return run


@pytest.mark.long  # four trainings
def test_shared_out_and_whole_are_one_run(train, tmp_path):
    """A whole run; the same shared out, stopped inside epoch 2, and gone on with both ways."""
    assert train('whole') == 0
    stop = "default_hooks.update(sender=dict(type='SignalHook', name='SIGTERM', at=5, rank=1))"
    assert train('shared', '--fsdp', addition=stop) == 75
    file = str(tmp_path / 'shared' / 'interrupted.pth')
    assert train('again whole', '--resume', file) == 0
    assert train('shared', '--fsdp', '--resume') == 0

    whole = torch.load(tmp_path / 'whole' / 'epoch_2.pth', weights_only=True)
    for folder in ('shared', 'again whole'):
        other = torch.load(tmp_path / folder / 'epoch_2.pth', weights_only=True)
        for name, value in whole['state_dict'].items():
            torch.testing.assert_close(other['state_dict'][name], value, rtol=1e-5, atol=1e-6)
        for number, state in whole['optimizer']['state'].items():
            torch.testing.assert_close(other['optimizer']['state'][number], state, rtol=1e-5, atol=1e-6)
    losses = [[step['losses']['loss'] for step in steps(tmp_path / name)] for name in ('whole', 'shared')]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_layers_that_are_not_there_are_named():
    with pytest.raises(ValueError, match='Toy has no layer of the classes Nothing'):
        shard(Toy(), ['Nothing'])


@pytest.mark.parametrize('path', sorted((ROOT / 'configs').glob('**/*fsdp*.py')), ids=lambda path: path.stem)
def test_shipped_configs_ask_for_it(path):
    cfg = Config.fromfile(path)
    assert cfg.runner_type == 'mmparts.ShardedRunner'
    parts = [cfg.model[name] for name in ('backbone', 'encoder', 'decoder') if name in cfg.model]
    assert parts and all(part.with_cp for part in parts)
