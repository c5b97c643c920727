"""What a run was planned as, kept in its checkpoints: a resume holds to it, plans anew when asked, or is refused.

mmengine takes the state of the schedules from the file, whatever the config says now: more epochs train at the last
rate, another learning rate is ignored, another number of processes shifts the schedule against the images seen.
"""

import json
import warnings
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import ParamSchedulerHook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop

RATES = ('lr', 'initial_lr', 'momentum', 'initial_momentum')
WORDS = dict(
    by='unit of the plan', length='length', images='images of the data set', schedule='schedule', lr='learning rates'
)


class PlanChanged(RuntimeError):
    """The config plans another run than the checkpoint belongs to."""


def plan_of(runner) -> dict[str, Any]:
    """The plan of a runner whose optimizer and schedules are built, as plain data."""
    loader = runner.train_dataloader
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    schedule = runner.cfg.get('param_scheduler')
    images = get_world_size() * loader.batch_sampler.batch_size
    return dict(
        processes=get_world_size(),
        batch_size=loader.batch_sampler.batch_size,
        planned=images,  # a step that length and schedule are counted in; a resume keeps that of the run
        by='epochs' if by_epoch else 'iterations',
        length=runner.max_epochs if by_epoch else runner.max_iters,
        images=len(loader.dataset),
        schedule=json.dumps(schedule, sort_keys=True, default=str),
        lr=sorted({group.get('initial_lr', group['lr']) for group in _groups(runner.optim_wrapper)}),
    )


def images_a_step(plan: dict) -> int:
    return plan['processes'] * plan['batch_size']


def differences(old: dict, new: dict) -> list[str]:
    """What of the plan itself changed, in words; another layout of equal steps is no change."""
    keys = [key for key in WORDS if old[key] != new[key]]
    if 'lr' in keys and images_a_step(old) != images_a_step(new):
        keys.remove('lr')  # --auto-scale-lr
    return [f'{WORDS[key]} {old[key]} -> {new[key]}' for key in keys]


def settle(old: dict, new: dict, extend: bool) -> bool:
    """Whether the run goes on from another step number or with fresh schedules; ``new`` learns in which steps it is
    planned.

    Raises:
        PlanChanged: The config changed and ``extend`` is not set.
    """
    changed = differences(old, new)
    if changed and not extend:
        raise PlanChanged(
            f'the config plans another run than the checkpoint was saved in: {"; ".join(changed)}. Resume with the old '
            'values, or plan anew from here with --resume-schedule extend; to begin a new run from the weights, use '
            'load_from'
        )
    if not changed:
        new['planned'] = old.get('planned', images_a_step(old))
    return images_a_step(old) != images_a_step(new) or bool(changed)


def replan(runner, checkpoint: dict, old: dict, new: dict) -> list[dict]:
    """Move ``checkpoint`` to the same image in steps of the new size, without its schedules.

    Returns:
        The rates of a fresh start, for each group of the optimizer; :func:`advance` goes on from them.
    """
    meta = checkpoint['meta']
    if new['by'] == 'epochs':
        batch = meta['progress']['batch'] * images_a_step(old) // images_a_step(new)
        meta['progress'] = {**meta['progress'], 'batch': batch}
        meta['iter'] = meta['epoch'] * len(runner.train_dataloader) + batch
    else:
        meta['iter'] = meta['iter'] * images_a_step(old) // images_a_step(new)
    checkpoint.pop('param_schedulers', None)

    if isinstance(runner.optim_wrapper, OptimWrapperDict):
        raise PlanChanged('a run with several optimizers cannot be planned anew; resume it as it was')
    return [{key: group[key] for key in RATES if key in group} for group in runner.optim_wrapper.param_groups]


def advance(runner, rates: list[dict], pace: 'Pace | None' = None) -> None:
    """Let fresh schedules take the steps that a run takes to get to where ``runner`` is, epoch by epoch."""
    for group, fresh in zip(runner.optim_wrapper.param_groups, rates):
        group.update(fresh)
    schedulers = runner.param_schedulers or []
    length = len(runner.train_dataloader) if isinstance(runner.train_loop, EpochBasedTrainLoop) else 0
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # torch's, that the optimizer takes no step
        for step in range(1, runner.iter + 1 if pace is None else pace.planned(runner.iter) + 1):
            _step(schedulers, by_epoch=False)
            if length and step % length == 0:
                _step(schedulers, by_epoch=True)


class Pace(ParamSchedulerHook):
    """Steps the schedules of a run that counts steps, where a step has another size than those it was planned in.

    Args:
        images: in a step.
        planned: images in a step of the plan.
    """

    def __init__(self, images: int, planned: int):
        self.images, self.in_plan = images, planned

    def planned(self, steps: int) -> int:
        """How many whole steps of the plan so many steps are."""
        return steps * self.images // self.in_plan

    def needed(self, planned: int) -> int:
        """How many steps see the images of so many steps of the plan."""
        return -(-planned * self.in_plan // self.images)

    def after_train_iter(self, runner, *args, **kwargs) -> None:
        for _ in range(self.planned(runner.iter + 1) - self.planned(runner.iter)):
            super().after_train_iter(runner, *args, **kwargs)


def set_pace(runner, plan: dict) -> Pace | None:
    """Let a run of iterations last as many images as it was planned for, and its schedules, too."""
    images = images_a_step(plan)
    if plan['by'] == 'epochs' or images == plan['planned']:
        return None
    pace = Pace(images, plan['planned'])
    runner.train_loop._max_iters = pace.needed(plan['length'])
    for place, hook in enumerate(runner._hooks):
        if type(hook) is ParamSchedulerHook:
            pace.priority = hook.priority
            runner._hooks[place] = pace
    return pace


def _step(schedulers: list, by_epoch: bool) -> None:
    for scheduler in schedulers:
        if scheduler.by_epoch is by_epoch:
            scheduler.step()


def _groups(optim_wrapper) -> list[dict]:
    wrappers = optim_wrapper.values() if isinstance(optim_wrapper, OptimWrapperDict) else [optim_wrapper]
    return [group for wrapper in wrappers for group in wrapper.optimizer.param_groups]
