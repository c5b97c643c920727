"""Two processes on this machine: one that hangs, unequal data, one loss in the log, statistics of norms."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy import steps

ROOT = Path(__file__).resolve().parents[2]

CONFIG = f"""
_base_ = '{ROOT}/configs/_base_/default_runtime.py'
custom_imports = dict(imports=['toy'])
default_scope = 'mmengine'
default_hooks = dict(visualization=None, pictures=None, curves=None, report=None, steps=dict(type='StepLog'))
visualizer = dict(type='Visualizer')
model = dict(type='Toy', norm=True)
train_dataloader = dict(dataset=dict(type='Numbers', length=16, noise=0.1), batch_size=2, num_workers=1,
                        sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = train_dataloader
val_cfg = dict()
val_evaluator = dict(type='Score')
train_cfg = dict(by_epoch=True, max_epochs=2)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.05))
randomness = dict(seed=3)
log_level = 'ERROR'
"""


@pytest.fixture
def train(tmp_path):
    """``train(folder, addition='', *options)``: two processes train; the finished process."""
    paths = dict(PYTHONPATH=str(ROOT / 'tests'), CUDA_VISIBLE_DEVICES='', PYTHON=sys.executable)
    environment = {**{name: value for name, value in os.environ.items() if name != 'PORT'}, **paths}

    def run(folder: str, addition: str = '', *options: str) -> subprocess.CompletedProcess:
        (tmp_path / 'config.py').write_text(CONFIG + addition)
        command = [
            ROOT / 'tools' / 'dist_train.sh',
            tmp_path / 'config.py',
            '2',
            '--work-dir',
            tmp_path / folder,
            *options,
        ]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)

    return run


# holds: a process that hangs
def test_a_process_that_hangs_is_named(train):
    hang = "default_hooks.update(hang=dict(type='HangHook', at=5, rank=1))"
    hang += "\ndefault_hooks.update(watchdog=dict(type='mmparts.WatchdogHook', timeout=5))"
    result = train('run', hang)
    assert result.returncode == 70
    assert 'rank 1 has stopped: it has its data for step 2 of epoch 2 (iteration 6)' in result.stderr, result.stderr[
        -3000:
    ]


# holds: processes that start from different places
def test_data_sets_of_unequal_length_are_refused(train):
    result = train('run', "train_dataloader['dataset'].update(more=2)")
    assert result.returncode == 1
    assert 'images, batches differ' in result.stderr and 'rank 1: images 18, batches 5' in result.stderr


def test_one_loss_and_each_process_its_own_statistics(train, tmp_path):
    """An interruption inside an epoch, in which the processes have seen other images; the end is the straight run's."""
    assert train('straight').returncode == 0
    sender = "default_hooks.update(sender=dict(type='SignalHook', name='SIGUSR1', at=5, rank=1))"
    assert train('stopped', sender).returncode == 75
    rows = torch.load(tmp_path / 'stopped' / 'interrupted.pth', weights_only=True)['rank_buffers']
    assert rows.shape == (2, 16) and not torch.equal(rows[0], rows[1])
    assert train('stopped', '', '--resume').returncode == 0

    logs = [steps(tmp_path / folder, rank) for folder in ('straight', 'stopped') for rank in (0, 1)]
    assert logs[0] == logs[2] and logs[1] == logs[3]
    assert [step['losses'] for step in logs[0]] == [step['losses'] for step in logs[1]], 'the mean of both'
    assert logs[0][5]['weights'] != logs[1][5]['weights'], 'statistics of its own images'
    ends = [
        torch.load(tmp_path / name / 'epoch_2.pth', weights_only=True)['state_dict'] for name in ('straight', 'stopped')
    ]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    saved = sum(value.double().sum().item() for value in ends[0].values())
    assert saved == pytest.approx((logs[0][-1]['weights'] + logs[1][-1]['weights']) / 2), 'the mean statistics'
