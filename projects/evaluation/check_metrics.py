"""Before the first step: does validation work, and does everything that waits for a number wait for one that comes?"""

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner, ValLoop

from ..registry import HOOKS
from .names import nearest


@HOOKS.register_module()
class CheckMetricsHook(Hook):
    """Rehearses validation with one image, and holds ``save_best``, ``monitor`` and their like against the metrics.

    Without it a metric that asks a model for masks it does not make, or a misspelt ``save_best``, ends the run after
    the first epoch and its validation. Training goes on as if the rehearsal had not been: no random number is used up.

    Raises:
        ValueError: a hook or a schedule waits for a number that no metric tells; the validation set has no annotations.
    """

    def before_train(self, runner: Runner):
        """The loops have been built, and weights loaded."""
        if not isinstance(runner._val_loop, ValLoop):
            return
        metrics = runner._val_loop.evaluator.metrics
        waiting = [*awaited(runner)]
        try:
            rehearse(runner)
            if waiting:
                known = [names_of(metric, any(name != 'auto' for _, name in waiting)) for metric in metrics]
                if hasattr(runner._val_loop, 'names'):  # a loss, which is no metric
                    known.append(runner._val_loop.names())
                hold(waiting, None if None in known else [name for names in known for name in names])
        finally:
            for metric in metrics:
                metric.results.clear()


def hold(waiting: list[tuple[str, str]], known: list[str] | None) -> None:
    """Refuse who waits for a number that does not come. ``known`` None: the names cannot be told before."""
    for who, name in waiting:
        if known == []:
            raise ValueError(
                f'{who} waits for {name!r}, but validation tells no number: its annotation file has no annotations, '
                'or format_only is set'
            )
        if known is not None and name != 'auto' and name not in known:
            raise ValueError(f'{who} waits for {name!r}, which no metric tells{nearest(name, known)}')


def rehearse(runner: Runner) -> None:
    """Predict the first image of the validation set and hand it to the metrics."""
    loop = runner._val_loop
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    training = model.training
    with same_random_numbers(), torch.no_grad():
        batch = loop.dataloader.collate_fn([loop.dataloader.dataset[0]])
        model.eval()
        found = model.val_step(batch)
        model.train(training)
        loop.evaluator.process(data_samples=found, data_batch=batch)


@contextlib.contextmanager
def same_random_numbers() -> Iterator[None]:
    """What follows draws the numbers that it would have drawn without what happens in here."""
    states = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        yield
    random.setstate(states[0])
    np.random.set_state(states[1])


def names_of(metric, try_out: bool) -> list[str] | None:
    """Of the numbers that a metric tells: as it says (``names()``), or, to ``try_out``, of one image; None: unknown."""
    if hasattr(metric, 'names'):
        return metric.names()
    if not try_out:
        return None
    try:
        with contextlib.redirect_stdout(None):
            told = metric.compute_metrics(list(metric.results))
    except Exception:  # of one image some metrics cannot tell anything
        return None
    return [f'{metric.prefix}/{name}' if metric.prefix else name for name in told]


def awaited(runner: Runner) -> Iterator[tuple[str, str]]:
    """(who, name) of each number that a hook or a schedule waits for."""
    schedules = runner.param_schedulers or []
    groups = schedules.values() if isinstance(schedules, dict) else [schedules]
    for one in (*runner.hooks, *(schedule for group in groups for schedule in group)):
        for attribute in ('save_best', 'monitor'):
            names = getattr(one, attribute, None)
            names = names if isinstance(names, (list, tuple)) else [names]
            yield from ((f'{type(one).__name__}({attribute}=...)', name) for name in names if isinstance(name, str))
