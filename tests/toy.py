"""A model that trains in milliseconds, with its data, a metric, and hooks that disturb a run."""

import os
import signal

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import Dataset


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


@HOOKS.register_module(force=True)
class SignalHook(Hook):
    """Sends a signal to its own process, if that has the given rank, before an iteration."""

    def __init__(self, name: str, at: int, rank: int = 0):
        self.name, self.at, self.rank = name, at, rank

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at and runner.rank == self.rank:
            os.kill(os.getpid(), getattr(signal, self.name))
