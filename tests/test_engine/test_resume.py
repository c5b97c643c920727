"""A run is the same run however often it is stopped: epoch and iteration loops, with data workers, to the bit."""

import os.path as osp
import random

import pytest
import torch
from toy import Score, steps

from mmparts.engine import Interrupted
from mmparts.engine.resuming.samples import Batches, Draw, SeededSamples

EPOCHS, LENGTH = 4, 21  # 11 batches an epoch, the last one of a single image
pytestmark = pytest.mark.long  # minutes: several trainings each

COSINE = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=7),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=7, T_max=37, eta_min_ratio=0.1),
]
STEPS = [dict(type='MultiStepLR', milestones=[2], by_epoch=True)]


def overrides(loop: str, schedule: list[dict], workers: int, persistent: bool, sampler: str = 'DefaultSampler') -> dict:
    loader = dict(
        dataset=dict(type='Numbers', length=LENGTH, noise=0.1),
        batch_size=2,
        num_workers=workers,
        persistent_workers=persistent,
        sampler=dict(type=sampler, shuffle=True),
    )
    values = dict(train_dataloader=loader, param_scheduler=schedule)
    values['val_dataloader'] = {**loader, 'sampler': dict(type='DefaultSampler', shuffle=False)}
    if loop == 'iterations':
        values['train_cfg'] = dict(by_epoch=False, max_iters=44, val_interval=9)
        values['param_scheduler'] = [
            {**each, 'by_epoch': False, **(dict(milestones=[20]) if 'milestones' in each else {})} for each in schedule
        ]
    return values


@pytest.fixture
def train(make_runner):
    """``train(folder, stops, hooks, **overrides)``: a run, stopped and resumed by each of ``stops``; its work dir."""

    def run(folder: str, stops: list[dict] = (), hooks: dict | None = None, **values) -> str:
        hooks = dict(
            ema=dict(type='EMAHook', ema_type='mmdet.ExpMomentumEMA', momentum=0.1),
            steps=dict(type='StepLog'),
            checkpoint=dict(by_epoch=True, interval=1)
            if 'train_cfg' not in values
            else dict(by_epoch=False, interval=7),
            **(hooks or {}),
        )
        calls = 0
        for number, stop in enumerate([*stops, None]):
            sender = dict(sender=dict(type='SignalHook', **stop)) if stop else {}
            runner = make_runner(EPOCHS, folder, hooks={**hooks, **sender}, resume=number > 0, **values)
            Score.calls = calls
            if stop is None:
                runner.train()
            else:
                with pytest.raises(Interrupted):
                    runner.train()
            calls = Score.calls
        return runner.work_dir

    return run


def assert_same_run(one: str, other: str) -> None:
    assert steps(one) == steps(other)
    name = 'epoch_4.pth' if osp.exists(osp.join(one, 'epoch_4.pth')) else 'iter_44.pth'
    first, second = (torch.load(osp.join(folder, name), weights_only=True) for folder in (one, other))
    for key in ('state_dict', 'ema_state_dict'):
        assert first[key].keys() == second[key].keys()
        assert all(torch.equal(first[key][name], second[key][name]) for name in first[key])
    assert first['param_schedulers'] == second['param_schedulers']
    scores = [each['message_hub']['runtime_info']['best_score'] for each in (first, second)]
    assert scores[0] == scores[1]


SIGNALS = ('SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGUSR2')


# holds: stopped five times
@pytest.mark.parametrize('schedule', [COSINE, STEPS], ids=['cosine', 'steps'])
@pytest.mark.parametrize(
    ('loop', 'workers', 'persistent', 'sampler'),
    [
        ('epochs', 2, True, 'DefaultSampler'),
        ('epochs', 2, False, 'DefaultSampler'),
        ('epochs', 0, False, 'DefaultSampler'),
        ('iterations', 2, True, 'InfiniteSampler'),
        ('iterations', 2, False, 'DefaultSampler'),
    ],
)
def test_five_interruptions_change_nothing(train, loop, workers, persistent, sampler, schedule):
    """At random steps by random signals, which go to the data workers, too."""
    values = overrides(loop, schedule, workers, persistent, sampler)
    chance = random.Random(f'{loop}{workers}{persistent}{sampler}')
    moments = sorted(chance.sample(range(43), 5))
    stops = [dict(name=chance.choice(SIGNALS), at=moment) for moment in moments]
    assert_same_run(train('straight', **values), train('stopped', stops, **values))


# holds: a signal at start-up
@pytest.mark.parametrize('loop', ['epochs', 'iterations'])
def test_a_signal_in_a_validation(train, loop):
    """The validation is made up for, and the averaged weights, which stand in the model then, keep their place."""
    values = overrides(loop, COSINE, 2, True)
    at = 22 if loop == 'epochs' else 18
    stops = [
        dict(name='SIGTERM', at=at, val_at=3),
        dict(name='SIGUSR1', at=at + 2),
        dict(name='SIGINT', at=44, val_at=0),
    ]
    assert_same_run(train('straight', **values), train('stopped', stops, **values))


# holds: a signal at start-up
def test_a_signal_at_the_last_step_of_an_epoch(train):
    values = overrides('epochs', STEPS, 2, False)
    stops = [dict(name='SIGTERM', at=10), dict(name='SIGTERM', at=11), dict(name='SIGTERM', at=43)]
    assert_same_run(train('straight', **values), train('stopped', stops, **values))


def test_accumulated_gradients_are_not_left_behind(train):
    values = overrides('epochs', STEPS, 0, False)
    values['optim_wrapper'] = dict(optimizer=dict(type='AdamW', lr=0.05), accumulative_counts=3)
    stops = [dict(name='SIGTERM', at=4), dict(name='SIGTERM', at=19)]
    assert_same_run(train('straight', **values), train('stopped', stops, **values))


def test_a_checkpoint_by_iterations_inside_an_epoch(train, make_runner):
    """A crash, not a signal: the file was written after step 7 of 11."""
    values = overrides('epochs', COSINE, 2, True)
    straight = train('straight', **values)
    hooks = dict(steps=dict(type='StepLog'), ema=dict(type='EMAHook', ema_type='mmdet.ExpMomentumEMA', momentum=0.1))
    hooks['checkpoint'] = dict(by_epoch=False, interval=18)
    with pytest.raises(RuntimeError, match='killed'):
        make_runner(EPOCHS, 'cut', hooks={**hooks, 'kill': dict(type='KillHook', epoch=2)}, **values).train()
    resumed = make_runner(EPOCHS, 'cut', hooks=hooks, resume=True, **values)
    resumed.train()
    log = steps(resumed.work_dir)
    assert log[:22] + log[22:][-44 + 18 :] == steps(straight)[:22] + steps(straight)[18:]


def test_samples_depend_on_seed_pass_and_index_only():
    class Dice(torch.utils.data.Dataset):
        metainfo = dict(classes=('a',))

        def __len__(self):
            return 3

        def __getitem__(self, index):
            return random.random(), torch.rand(1).item()

    samples = SeededSamples(Dice(), seed=5)
    torch.manual_seed(0)
    before = torch.rand(1)
    torch.manual_seed(0)
    first = samples[Draw(1, 7)]
    assert torch.rand(1) == before, 'chance outside goes on as if nothing had been drawn'
    assert samples[Draw(1, 7)] == first
    assert len({first, samples[Draw(2, 7)], samples[Draw(1, 8)], SeededSamples(Dice(), 6)[Draw(1, 7)]}) == 4
    assert samples.metainfo == Dice.metainfo and not hasattr(samples, 'nothing')


def test_endless_batches_pass_over_the_data_again():
    sampler = torch.utils.data.BatchSampler(torch.utils.data.SequentialSampler(range(5)), 2, False)
    batches = Batches(sampler, endless=True)
    iterator = iter(batches)
    first = [next(iterator) for _ in range(7)]
    assert first[3] == [0, 1] and first[0][0].epoch != first[3][0].epoch
    batches.seek(0, 4)
    assert next(iter(batches)) == first[4] == [2, 3]
