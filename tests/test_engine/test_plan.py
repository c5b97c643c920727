"""A resume holds to the plan of the run, plans anew when asked, or is refused; never in silence."""

import pytest
from toy import steps

from mmparts.engine import Interrupted
from mmparts.engine.faults.consensus import Disagreement
from mmparts.engine.resuming import progress
from mmparts.engine.resuming.plan import PlanChanged

LENGTH = 16
COSINE = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=3),
    dict(type='CosineAnnealingLR', convert_to_iter_based=True, eta_min_ratio=0.1),
]
EXTEND = dict(resume_schedule='extend')


@pytest.fixture
def run(make_runner):
    """``run(folder, epochs, at=None, resume=False, batch=2, **overrides)``: trains, stopped after step ``at``."""

    def train(folder: str, epochs: int, at: int | None = None, batch: int = 2, hooks: dict | None = None, **values):
        hooks = {**(hooks or {}), 'steps': dict(type='StepLog')}
        if at is not None:
            hooks['sender'] = dict(type='SignalHook', name='SIGTERM', at=at)
        loader = dict(
            dataset=dict(type='Numbers', length=LENGTH),
            batch_size=batch,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
        )
        values = {'param_scheduler': COSINE, 'train_dataloader': loader, **values}
        runner = make_runner(epochs, folder, hooks=hooks, **values)
        if at is None:
            runner.train()
        else:
            with pytest.raises(Interrupted):
                runner.train()
        return runner

    return train


def rates(runner) -> list[float]:
    return [step['lr'][0] for step in steps(runner.work_dir)]


# holds: other epochs, rate
@pytest.mark.parametrize(
    ('changed', 'word'),
    [
        (dict(epochs=6), 'length 4 -> 6'),
        (dict(optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01))), r'learning rates \[0.05\] -> \[0.01\]'),
        (dict(param_scheduler=dict(type='MultiStepLR', milestones=[3])), 'schedule'),
        (dict(train_dataloader=dict(dataset=dict(type='Numbers', length=20), batch_size=2, num_workers=0,
                                    sampler=dict(type='DefaultSampler'))), 'images of the data set 16 -> 20'),
    ],
    ids=['epochs', 'rate', 'schedule', 'data'],
)  # fmt: skip
def test_another_plan_is_refused(run, changed, word):
    run('run', 4, at=10)
    with pytest.raises(PlanChanged, match=word) as error:
        run('run', **{'epochs': 4, 'resume': True, **changed})
    assert '--resume-schedule extend' in str(error.value)


# holds: other epochs, rate
def test_extend_plans_anew(run):
    """From the step of the resume on, the rates are those of a run that had the longer plan from the start."""
    longer = rates(run('longer', 6))
    run('run', 4, at=10)
    extended = rates(run('run', 6, resume=True, hooks=dict(progress=EXTEND)))
    assert len(extended) == len(longer) == 48
    assert extended[11:] == pytest.approx(longer[11:], rel=1e-12)
    assert extended[:11] != longer[:11]


# holds: another number of processes or batch
@pytest.mark.parametrize(('before', 'after'), [(4, 2), (2, 4)])
def test_steps_of_another_size_continue_by_images(run, before, after):
    """Epoch 2 is half done: each image is seen once, and the rates are those of a run with such steps throughout."""
    straight = rates(run('straight', 4, batch=after))
    run('run', 4, at=LENGTH // before + LENGTH // before // 2 - 1, batch=before)
    resumed = run('run', 4, resume=True, batch=after)
    log = steps(resumed.work_dir)
    for epoch in range(4):
        seen = [image for step in log if step['epoch'] == epoch for image in step['images']]
        assert sorted(seen) == sorted(f'images/{index}.jpg' for index in range(LENGTH))
    left = 5 * (LENGTH // after) // 2
    assert rates(resumed)[-left:] == pytest.approx(straight[-left:], rel=1e-12)
    assert resumed.iter == 4 * LENGTH // after


# holds: another number of processes or batch
def test_the_rate_is_scaled_when_asked(run):
    scale = dict(enable=True, base_batch_size=2)
    straight = rates(run('straight', 4, batch=2, auto_scale_lr=scale))
    run('run', 4, at=5, batch=4, auto_scale_lr=scale)
    resumed = rates(run('run', 4, resume=True, batch=2, auto_scale_lr=scale))
    assert resumed[-20:] == pytest.approx(straight[-20:], rel=1e-12) and max(resumed[:6]) > max(straight)


# holds: another number of processes or batch
@pytest.mark.parametrize(('before', 'after'), [(4, 2), (2, 4)])
def test_a_plan_in_iterations_continues_by_images(run, before, after):
    """Planned in 20 steps of 4 images, or 40 of 2; resumed twice, it sees each image as often as planned."""
    length = 80 // before
    values = dict(train_cfg=dict(by_epoch=False, max_iters=length, val_interval=length))
    values['param_scheduler'] = dict(type='MultiStepLR', milestones=[length // 2], by_epoch=False)
    run('run', 4, at=length // 4 - 1, batch=before, **values)
    run('run', 4, at=40 // after, resume=True, batch=after, **values)
    resumed = run('run', 4, resume=True, batch=after, **values)
    log = steps(resumed.work_dir)
    assert resumed.iter == len(log) - length // 4 + 20 // after == 80 // after
    seen = [image for step in log for image in step['images']]
    assert sorted(seen) == sorted(5 * [f'images/{index}.jpg' for index in range(LENGTH)])
    reduced = [step['lr'][0] < 0.05 for step in log]
    assert reduced.index(True) == length // 4 + 20 // after, 'after half of the images'


def test_early_stopping_goes_on_counting(make_runner):
    """Four evaluations without a better score end a run; three before it was stopped count."""
    hooks = dict(stop=dict(type='EarlyStoppingHook', monitor='toy/mAP', rule='less', patience=4))
    straight = make_runner(9, 'straight', hooks=hooks)
    straight.train()
    with pytest.raises(Interrupted):
        make_runner(9, 'run', hooks=dict(hooks, sender=dict(type='SignalHook', name='SIGTERM', at=14))).train()
    resumed = make_runner(9, 'run', hooks=hooks, resume=True)
    resumed.train()
    assert resumed.epoch == straight.epoch == 5


# holds: processes that start from different places
def test_processes_in_different_places_are_refused(run, monkeypatch):
    monkeypatch.setattr(progress, 'gathered', lambda mine: [mine, {**mine, 'iteration': 7, 'images': 41}])
    with pytest.raises(Disagreement, match='iteration, images differ') as error:
        run('run', 1)
    assert 'rank 1: iteration 7, images 41' in str(error.value)
