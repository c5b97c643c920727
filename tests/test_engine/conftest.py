"""A model that trains in milliseconds, and a runner for it with the hooks of default_runtime.py."""
import copy
import logging

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import Dataset

import mmparts.engine  # noqa: F401
import mmparts.visualization  # noqa: F401


@DATASETS.register_module(force=True)
class Numbers(Dataset):
    metainfo = dict(classes=('disc', 'square'))

    def __init__(self, nan_at: int | None = None):
        self.nan_at = nan_at

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict:
        x = torch.linspace(-1, 1, 4) * (index + 1)
        y = torch.full((1,), float('nan') if index == self.nan_at else index / 8)
        return dict(inputs=x, data_samples=BaseDataElement(y=y, metainfo=dict(img_path=f'images/{index}.jpg')))


@MODELS.register_module(force=True)
class Toy(BaseModel):
    """With dropout, so that equal losses also mean equal random streams."""

    def __init__(self, width: int = 8, init_cfg: dict | None = None):
        super().__init__(init_cfg=init_cfg)
        self.backbone = nn.Linear(4, width)
        self.head = nn.Linear(width, 1)
        self.losses = []

    def forward(self, inputs, data_samples=None, mode: str = 'tensor'):
        hidden = nn.functional.dropout(self.backbone(torch.stack(list(inputs))).tanh(), 0.2, self.training)
        out = self.head(hidden)
        if mode != 'loss':
            return [BaseDataElement(y=y) for y in out]
        target = torch.stack([sample.y for sample in data_samples])
        loss = (out - target).square().mean()
        self.losses.append(loss.item())
        return dict(loss_fit=loss, loss_size=0.01 * hidden.square().mean())


@METRICS.register_module(force=True)
class Score(BaseMetric):
    """A "mAP" that rises with every evaluation."""
    default_prefix = 'toy'
    calls = 0

    def process(self, data_batch, data_samples):
        self.results.append(len(data_samples))

    def compute_metrics(self, results):
        type(self).calls += 1
        return dict(mAP=0.1 * self.calls)


@HOOKS.register_module(force=True)
class KillHook(Hook):
    """Ends the run at the start of an epoch, as a crash would: after_train is never called."""

    def __init__(self, epoch: int):
        self.epoch = epoch

    def before_train_epoch(self, runner):
        if runner.epoch == self.epoch:
            raise RuntimeError('killed')


@pytest.fixture
def make_runner(tmp_path):
    """``make_runner(epochs=2, **overrides)``: a runner of the toy model with the default hooks."""
    def make(epochs: int = 2, work_dir: str = 'run', hooks: dict | None = None, dataset: dict | None = None,
             model: dict | None = None, **overrides) -> Runner:
        default = Config.fromfile(mmparts.config('_base_/default_runtime.py'))
        hooks_cfg = copy.deepcopy(default.default_hooks.to_dict())
        hooks_cfg['logger']['interval'] = 1
        for drawing in ('visualization', 'pictures', 'curves'):
            hooks_cfg.pop(drawing)
        for name, value in (hooks or {}).items():
            hooks_cfg[name] = {**hooks_cfg.get(name, {}), **value} if value else None
        loader = dict(dataset=dict(type='Numbers', **(dataset or {})), batch_size=2, num_workers=0,
                      sampler=dict(type='DefaultSampler', shuffle=True))
        cfg = dict(
            model=dict(type='Toy', **(model or {})), work_dir=str(tmp_path / work_dir), train_dataloader=loader,
            val_dataloader=loader, val_cfg=dict(), val_evaluator=dict(type='Score'),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.05)),
            param_scheduler=dict(type='MultiStepLR', milestones=[2], by_epoch=True), default_hooks=hooks_cfg,
            default_scope='mmengine', randomness=dict(seed=3), log_level=logging.ERROR,
            visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
            experiment_name=f'{tmp_path.name}_{work_dir}_{make.count}')
        make.count += 1
        cfg.update(overrides)
        Score.calls = 0
        return Runner.from_cfg(Config(cfg))
    make.count = 0
    return make
