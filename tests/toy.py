"""A model that trains in milliseconds, with its data, a metric, and hooks that disturb a run."""

import json
import multiprocessing
import os
import random
import signal
import time

import numpy as np
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

    def __init__(
        self, nan_at: int | None = None, length: int = 8, noise: float = 0.0, seconds: float = 0.0, more: int = 0
    ):
        """``more`` images on the second process; ``seconds`` for one image."""
        self.nan_at, self.noise, self.seconds = nan_at, noise, seconds
        self.length = length + more * int(os.environ.get('RANK', 0))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        time.sleep(self.seconds)
        x = torch.linspace(-1, 1, 4) * (index + 1)
        # Each of the generators that transforms use.
        x = x + self.noise * (random.random() + np.random.rand() + torch.rand(4))
        y = torch.full((1,), float('nan') if index == self.nan_at else index / 8)
        return dict(inputs=x, data_samples=BaseDataElement(y=y, metainfo=dict(img_path=f'images/{index}.jpg')))


@MODELS.register_module(force=True)
class Toy(BaseModel):
    """With dropout, so that equal losses also mean equal random streams."""

    def __init__(self, width: int = 8, norm: bool = False, init_cfg: dict | None = None):
        super().__init__(init_cfg=init_cfg)
        self.backbone = nn.Linear(4, width)
        self.norm = nn.BatchNorm1d(width) if norm else nn.Identity()
        self.head = nn.Linear(width, 1)
        self.losses = []

    def forward(self, inputs, data_samples=None, mode: str = 'tensor'):
        hidden = nn.functional.dropout(self.norm(self.backbone(torch.stack(list(inputs)))).tanh(), 0.2, self.training)
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
    """Sends a signal to its own process and its data workers, if that has the given rank, before an iteration.

    With ``val_at``, before that iteration of the validation which follows training iteration ``at``; with ``at=-1``,
    when the training is over.
    """

    def __init__(self, name: str, at: int, rank: int = 0, val_at: int | None = None):
        self.name, self.at, self.rank, self.val_at = name, at, rank, val_at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self.val_at is None and runner.iter == self.at and runner.rank == self.rank:
            self.send()

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if self.val_at == batch_idx and runner.iter == self.at and runner.rank == self.rank:
            self.send()

    def after_run(self, runner):
        if self.at == -1:
            self.send()

    def send(self):
        for pid in [child.pid for child in multiprocessing.active_children()] + [os.getpid()]:
            os.kill(pid, getattr(signal, self.name))


@HOOKS.register_module(force=True)
class HangHook(Hook):
    """One process stops for ever before an iteration."""

    def __init__(self, at: int, rank: int):
        self.at, self.rank = at, rank

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at and runner.rank == self.rank:
            time.sleep(1000)


@HOOKS.register_module(force=True)
class StepLog(Hook):
    """Appends a line of JSON for each step to ``steps.RANK.jsonl``: what must be the same in an interrupted run."""

    priority = 'LOW'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates = [group['lr'] for group in runner.optim_wrapper.optimizer.param_groups]

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        weights = [value.double().sum() for value in runner.model.state_dict().values()]
        step = dict(
            epoch=runner.epoch,
            iter=runner.iter,
            batch=batch_idx,
            images=[sample.img_path for sample in data_batch['data_samples']],
            inputs=float(sum(x.double().sum() for x in data_batch['inputs'])),
            lr=self.rates,
            losses={name: float(value) for name, value in outputs.items()},
            weights=float(sum(weights)),
        )
        with open(os.path.join(runner.work_dir, f'steps.{runner.rank}.jsonl'), 'a') as file:
            file.write(json.dumps(step) + '\n')


def steps(work_dir, rank: int = 0) -> list[dict]:
    """What :class:`StepLog` wrote."""
    with open(os.path.join(work_dir, f'steps.{rank}.jsonl')) as file:
        return [json.loads(line) for line in file]
