"""Hooks: NaN guard, interruption, seeds, mixed precision."""

import os.path as osp
import signal

import pytest
import torch
from mmengine.config import Config

from mmparts.engine import NonFiniteLoss, cli
from mmparts.engine.faults.interrupt import EXIT_REQUEUE


def test_nan_guard_names_term_and_images(make_runner):
    runner = make_runner(dataset=dict(nan_at=5))
    with pytest.raises(NonFiniteLoss) as error:
        runner.train()
    assert 'loss_fit=nan' in str(error.value) and 'images/5.jpg' in str(error.value)
    assert 'loss_size' not in str(error.value)
    assert not osp.exists(osp.join(runner.work_dir, 'epoch_1.pth'))


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGINT', 'SIGUSR1'])
def test_signal_saves_and_asks_for_a_requeue(make_runner, name):
    before = signal.getsignal(getattr(signal, name))
    runner = make_runner(3, hooks=dict(sender=dict(type='SignalHook', name=name, at=6)))
    with pytest.raises(SystemExit) as stop:
        runner.train()
    assert stop.value.code == EXIT_REQUEUE
    assert signal.getsignal(getattr(signal, name)) is before

    resumed = make_runner(3, resume=True)
    resumed.train()
    assert resumed.iter == 12 and len(resumed.model.losses) == 5


def test_signal_in_an_iteration_based_run(make_runner):
    loop = dict(
        train_cfg=dict(by_epoch=False, max_iters=8, val_interval=8),
        param_scheduler=dict(type='MultiStepLR', milestones=[6], by_epoch=False),
    )
    hooks = dict(checkpoint=dict(by_epoch=False, interval=4))
    with pytest.raises(SystemExit):
        make_runner(hooks=dict(sender=dict(type='SignalHook', name='SIGTERM', at=5), **hooks), **loop).train()
    resumed = make_runner(hooks=hooks, resume=True, **loop)
    resumed.train()
    assert len(resumed.model.losses) == 2


def test_chance_depends_on_seed_and_epoch_only(make_runner):
    first, second = make_runner(1, 'a'), make_runner(1, 'b')
    first.train()
    torch.rand(17)
    second.train()
    assert first.model.losses == second.model.losses


@pytest.mark.parametrize('dtype', [None, 'bfloat16'])
def test_amp_trains_on_a_cpu(make_runner, dtype):
    cfg = Config(
        dict(
            optim_wrapper=dict(
                type='AmpOptimWrapper',
                loss_scale='dynamic',
                optimizer=dict(type='AdamW', lr=0.05),
                clip_grad=dict(max_norm=1.0),
            )
        )
    )
    cli.set_amp(cfg, dtype)
    runner = make_runner(1, optim_wrapper=cfg.optim_wrapper)
    seen = []
    runner.model.head.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    runner.train()
    assert torch.bfloat16 in seen
    assert all(parameter.dtype == torch.float32 for parameter in runner.model.parameters())


@pytest.mark.skipif(torch.cuda.is_available(), reason='about machines without a GPU')
def test_fp16_without_gpu_says_what_to_use():
    with pytest.raises(SystemExit, match='bfloat16'):
        cli.set_amp(Config(dict(optim_wrapper=dict(type='OptimWrapper'))), 'float16')
