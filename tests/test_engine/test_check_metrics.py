"""Before the first step: validation is rehearsed, and names that nobody tells are refused."""

import random

import numpy as np
import pytest
import torch
from mmengine.registry import METRICS
from toy import Score

from mmparts.evaluation import CheckMetricsHook


@METRICS.register_module(force=True)
class Named(Score):
    """Says before what it will tell."""

    known = ['toy/mAP']

    def names(self):
        return self.known


@METRICS.register_module(force=True)
class Silent(Named):
    known = []


class Started(Exception):
    """Training has begun."""


@pytest.fixture
def start(make_runner):
    """Builds a runner and lets it come as far as the first step."""

    def until_step(**kwargs):
        runner = make_runner(**kwargs)

        def step(*_, **__):
            raise Started

        runner.model.train_step = step
        runner.train()

    return until_step


# holds: `save_best`, `monitor`
@pytest.mark.parametrize('metric', ['Named', 'Score'])
@pytest.mark.parametrize(
    ('override', 'who'),
    [
        (dict(hooks=dict(checkpoint=dict(save_best='toy/mAPP'))), 'SafeCheckpointHook'),
        (dict(hooks=dict(checkpoint=dict(save_best=['toy/mAP', 'mAP'], rule='greater'))), 'SafeCheckpointHook'),
        (dict(custom_hooks=[dict(type='EarlyStoppingHook', monitor='mAP', rule='greater')]), 'EarlyStoppingHook'),
        (dict(param_scheduler=dict(type='ReduceOnPlateauLR', monitor='mAP', rule='greater')), 'ReduceOnPlateauLR'),
    ],
)
def test_a_name_that_no_metric_tells_is_refused_before_the_first_step(start, override, who, metric):
    with pytest.raises(ValueError, match=rf"{who}\(.*which no metric tells; did you mean 'toy/mAP'"):
        start(val_evaluator=dict(type=metric), **override)


@pytest.mark.parametrize('best', ['auto', 'toy/mAP', None])
def test_names_that_come_are_let_through(start, best):
    with pytest.raises(Started):
        start(val_evaluator=dict(type='Named'), hooks=dict(checkpoint=dict(save_best=best)))


# holds: `save_best`, `monitor`
def test_a_validation_that_tells_nothing_is_refused(start):
    with pytest.raises(ValueError, match='validation tells no number'):
        start(val_evaluator=dict(type='Silent'))


# holds: `save_best`, `monitor`
def test_the_rehearsal_leaves_no_trace(make_runner):
    runner = make_runner()
    runner._train_loop, runner._val_loop = runner.build_train_loop(runner._train_loop), runner.val_loop
    runner.param_schedulers = []
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    weights = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.model.train()
    next(hook for hook in runner.hooks if isinstance(hook, CheckMetricsHook)).before_train(runner)
    assert random.getstate() == states[0]
    assert (np.random.get_state()[1] == states[1]).all()
    assert torch.equal(torch.get_rng_state(), states[2])
    assert all(torch.equal(value, weights[name]) for name, value in runner.model.state_dict().items())
    assert runner.model.training and not runner.val_evaluator.metrics[0].results
