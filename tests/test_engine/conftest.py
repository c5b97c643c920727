"""A runner for the toy model with the hooks of default_runtime.py, and a way to run the tools in this process."""

import copy
import logging

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from tiny import CONFIGS
from toy import Score

import mmparts.engine
import mmparts.visualization


@pytest.fixture
def make_runner(tmp_path, monkeypatch):
    """``make_runner(epochs=2, **overrides)``: a runner of the toy model with the default hooks."""
    monkeypatch.setattr(Runner, '_log_env', lambda runner, cfg: None)  # asks for compilers, a second each time

    def make(
        epochs: int = 2,
        work_dir: str = 'run',
        hooks: dict | None = None,
        dataset: dict | None = None,
        model: dict | None = None,
        **overrides,
    ) -> Runner:
        default = Config.fromfile(mmparts.config('_base_/default_runtime.py'))
        hooks_cfg = copy.deepcopy(default.default_hooks.to_dict())
        hooks_cfg['logger']['interval'] = 1
        for drawing in ('pictures', 'curves', 'report'):
            hooks_cfg.pop(drawing)
        for name, value in (hooks or {}).items():
            hooks_cfg[name] = {**hooks_cfg.get(name, {}), **value} if value else None
        loader = dict(
            dataset=dict(type='Numbers', **(dataset or {})),
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
        )
        cfg = dict(
            model={'type': 'Toy', **(model or {})},
            work_dir=str(tmp_path / work_dir),
            train_dataloader=loader,
            val_dataloader=loader,
            val_cfg=dict(),
            val_evaluator=dict(type='Score'),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.05)),
            param_scheduler=dict(type='MultiStepLR', milestones=[2], by_epoch=True),
            default_hooks=hooks_cfg,
            default_scope='mmengine',
            randomness=dict(seed=3),
            log_level=logging.ERROR,
            visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
            experiment_name=f'{tmp_path.name}_{work_dir}_{make.count}',
        )
        make.count += 1
        cfg.update(overrides)
        Score.calls = 0
        return Runner.from_cfg(Config(cfg))

    make.count = 0
    return make


SIZES = [
    'model.embed_dims=32', 'model.num_queries=20', 'model.encoder.num_layers=1', 'model.groups.0.num=10',
    'train_dataloader.batch_size=4', 'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False', 'train_cfg.max_epochs=2',
    'train_cfg.val_interval=1', 'default_hooks.report.images=4', 'val_cfg.loss=True', 'log_level=ERROR',
]  # fmt: skip


@pytest.fixture(scope='session')
def tiny_run(tmp_path_factory, run_tool, shapes):
    """The work dir of a tiny DINO after two epochs on generated images."""
    folder = tmp_path_factory.mktemp('report') / 'run'
    config = CONFIGS / 'dino/dino-4scale_small_2xb4-7e_shapes.py'
    assert not run_tool('train', config, '--work-dir', folder, '--cfg-options', f'data_root={shapes}', *SIZES)
    return folder
