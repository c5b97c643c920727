"""Frozen parts do not move by a bit, whatever schedule, decay and norms do; cosine floors are relative everywhere."""

import re
from pathlib import Path

import pytest
import torch

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
COSINE = dict(type='CosineAnnealingLR', by_epoch=False, T_max=8, eta_min_ratio=0.01)


def frozen(*names: str) -> dict:
    return dict(freeze=dict(type='mmparts.Freeze', names=list(names)))


def test_frozen_parts_keep_weights_and_statistics(make_runner):
    runner = make_runner(2, hooks=frozen('backbone', 'norm'), model=dict(norm=True), param_scheduler=COSINE)
    before = {}
    keep = runner.load_or_resume

    def note():
        keep()
        before.update({name: value.clone() for name, value in runner.model.state_dict().items()})

    runner.load_or_resume = note  # after the initialisation
    runner.train()
    after = runner.model.state_dict()
    moved = {name.split('.')[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {'head'}


@pytest.mark.parametrize(('name', 'advice'), [('backbon', 'backbone'), ('stem', 'its parts are backbone, head')])
def test_a_name_that_fits_nothing_is_refused(make_runner, name, advice):
    with pytest.raises(ValueError, match=f'has no part {name!r}.*{advice}'):
        make_runner(1, hooks=frozen(name)).train()


def test_freezing_everything_is_refused(make_runner):
    with pytest.raises(ValueError, match='nothing is left to train'):
        make_runner(1, hooks=frozen('backbone', 'head')).train()


def test_floors_of_schedules_are_relative():
    """An absolute one raises groups whose rate is multiplied by less than it; zero is zero for all."""
    absolute = re.compile(r'\beta_min=(?!0(\.0)?[,)])')
    assert not [path.name for path in CONFIGS.rglob('*.py') if absolute.search(path.read_text(encoding='utf-8'))]
