"""One budget for all: the clock ends a training, the rate falls with it, results are found again."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch.utils.data import Dataset

from mmparts.analysis.comparisons import budget
from mmparts.analysis.comparisons.budget import Result, factor, read, table, train, weights_of, write
from mmparts.registry import DATASETS, MODELS

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'budget.py'


@DATASETS.register_module()
class Line(Dataset):
    """Points of y = 2 x."""

    metainfo = dict(classes=('line',))

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return dict(inputs=torch.tensor([index / 8]), data_samples=torch.tensor([index / 4]))


@MODELS.register_module()
class Slope(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.zeros(()))
        self.rates = []

    def init_weights(self):
        self.slope.data.fill_(1.0)

    def train_step(self, data, optimiser):
        self.rates.append(optimiser.param_groups[0]['lr'])
        loss = (self.slope * torch.stack(data['inputs']) - torch.stack(data['data_samples'])).square().mean()
        optimiser.update_params(loss)
        return dict(loss=loss.detach())

    def val_step(self, data):
        return [dict(error=abs(self.slope.item() - 2))] * len(data['inputs'])


class Mean:
    """Stands in for an evaluator."""

    def __init__(self, cfg):
        self.found = []

    def process(self, data_samples, data_batch):
        self.found += [each['error'] for each in data_samples]

    def evaluate(self, size):
        assert len(self.found) == size == 8
        return dict(error=sum(self.found) / size)


@pytest.fixture
def cfg(monkeypatch):
    monkeypatch.setattr(budget, 'Evaluator', Mean)
    loader = dict(
        batch_size=4,
        num_workers=2,
        persistent_workers=True,
        dataset=dict(type='mmparts.Line'),
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='pseudo_collate'),
    )
    return Config(
        dict(
            model=dict(type='mmparts.Slope'),
            train_dataloader=loader,
            val_dataloader=loader,
            val_evaluator=dict(type='Mean'),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.5)),
        )
    )


def test_the_clock_ends_it_and_the_rate_falls(cfg, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(budget.time, 'process_time', lambda: next(clock))  # a second for each look
    result = train(cfg, seconds=50)
    assert result.steps == 49 and result.seconds == 51
    assert result.metrics['error'] < 0.05 and result.parameters == 1


def test_steps_instead_of_seconds_and_weights_for_the_next(cfg, tmp_path):
    """A pre-training is not evaluated; its weights start another training of as many steps."""
    named = tmp_path / 'one.py'
    named.touch()
    judged, blind = (Config(cfg.to_dict(), filename=named) for _ in range(2))
    blind.pop('val_evaluator')
    first = train(blind, seconds=0, steps=30, save=tmp_path)
    assert first.steps == 30 and first.metrics == {}
    file = weights_of(tmp_path, named, 0)
    assert abs(torch.load(file)['state_dict']['slope'] - 2) < 0.1
    judged.optim_wrapper.optimizer.lr = 0.0
    assert train(judged, seconds=0, steps=1).metrics['error'] == 1
    judged.load_from = str(file)
    assert train(judged, seconds=0, steps=1).metrics['error'] < 0.1


def test_factor():
    values = [factor(share / 100, 0.05) for share in range(100)]
    peak = values.index(max(values))
    assert 2 <= peak <= 5 and values[peak:] == sorted(values[peak:], reverse=True) and 0 < values[-1] < 0.02
    assert factor(0, 0) == 1


def test_what_cannot_be_compared_is_refused(cfg, monkeypatch):
    monkeypatch.setattr(Slope, 'init_weights', lambda self: self.slope.data.fill_(float('nan')))
    with pytest.raises(ValueError, match='the loss is nan in step 1'):
        train(cfg, seconds=5)
    cfg.pop('val_evaluator')
    with pytest.raises(ValueError, match='no val_dataloader and val_evaluator; give a folder'):
        train(cfg, seconds=5)


def test_table_of_seeds(tmp_path):
    results = [Result('a/one.py', seed, 1.0, 10 + seed, 1234, 0.1, dict(Dice=0.5 + seed / 10)) for seed in (0, 2)]
    results.append(Result('a/two.py', 0, 1.0, 7, 9, 0.1, dict(mIoU=33.3)))
    write(results, tmp_path / 'a.json')
    assert read(tmp_path / 'a.json') == results and read(tmp_path / 'none.json') == []
    lines = table(results, ['Dice', 'mIoU', 'PQ']).splitlines()
    assert lines[0] == '| config | parameters | steps | Dice | mIoU |'
    assert lines[2:] == ['| one | 1,234 | 11 | 0.6 (0.5 to 0.7) | - |', '| two | 9 | 7 | - | 33.3 |']


def test_the_tool_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    tool = runpy.run_path(str(TOOL))
    config = tmp_path / 'one.py'
    config.write_text('a = 1\n')
    made = []

    def fake(cfg, seconds, seed, **kwargs):
        made.append((cfg.get('load_from') or '').rpartition('seed')[2] or seed)
        if seed == 3:
            raise ValueError('no')
        return Result(str(cfg.filename), seed, seconds, 1, 1, 0.0, dict(Dice=0.5))

    tool['main'].__globals__['train'] = fake
    for seeds, code in ((['0', '1'], 0), (['0', '1', '3'], 1)):
        monkeypatch.setattr(
            sys, 'argv', ['budget.py', str(config), '--out', str(tmp_path / 'o.json'), '--seeds', *seeds]
        )
        assert tool['main']() == code
    assert made == [0, 1, 3] and capsys.readouterr().out.count('| one |') == 2
    monkeypatch.setattr(sys, 'argv', ['budget.py', str(config), '--steps', '5', '--load-from', 'a/b_seed{seed}.pth'])
    assert tool['main']() == 0 and made[3:] == ['0.pth']
