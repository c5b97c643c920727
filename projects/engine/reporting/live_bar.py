"""A bar that shows a training while it runs: losses, the time that is left, the last score."""

import logging
import sys
import time

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ...registry import HOOKS

FIRST = (1, 5, 20)  # steps that are told where there is no terminal to draw on
READ_SECONDS = 2.0  # between two looks at the losses: each waits until the device has done the step


@HOOKS.register_module()
class LiveBarHook(Hook):
    """Draws a bar on a terminal; elsewhere tells the first steps in lines, before the log has anything to say."""

    priority = 'LOWEST'

    def __init__(self):
        self.bar, self.score, self.start = None, '', 0.0
        self.losses, self.read = '', float('-inf')
        self.streams: list[tuple[logging.StreamHandler, object]] = []

    def before_train(self, runner) -> None:
        self.first, self.start = runner.iter, time.monotonic()
        if is_main_process() and sys.stderr.isatty():
            columns = ('{task.description}', BarColumn(), TextColumn('{task.fields[said]}'), TimeRemainingColumn())
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            for handler in runner.logger.handlers:  # log lines go above the bar: rich has taken over sys.stdout
                if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                    self.streams.append((handler, handler.setStream(sys.stdout)))
            self.task = self.bar.add_task('training', total=runner.max_iters, completed=runner.iter, said='')

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        done = runner.iter + 1
        if self.bar is not None:
            if time.monotonic() - self.read >= READ_SECONDS:
                self.losses, self.read = said(outputs or {}), time.monotonic()
            self.bar.update(self.task, completed=done, said=f'epoch {runner.epoch + 1}  {self.losses}  {self.score}')
        elif is_main_process() and done - self.first in FIRST:
            losses = said(outputs or {})
            a_step = (time.monotonic() - self.start) / (done - self.first)
            left = a_step * (runner.max_iters - done)
            runner.logger.info(
                f'step {done} of {runner.max_iters}: {losses}; {a_step:.2f} s a step, {duration(left)} left, '
                'validations apart'
            )

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        for name, value in (metrics or {}).items():
            if isinstance(value, (int, float)):
                self.score = f'{name.rpartition("/")[2]} {value:.3f}'
                return

    def after_train(self, runner) -> None:
        self.stop()

    def after_run(self, runner) -> None:
        self.stop()

    def stop(self) -> None:
        if self.bar is not None:
            for handler, stream in self.streams:
                handler.setStream(stream)
            self.streams.clear()
            self.bar.stop()
            self.bar = None


def said(outputs: dict) -> str:
    """The loss, and its largest terms without those of inner layers."""
    values = {
        name: value.item() if hasattr(value, 'item') else value
        for name, value in outputs.items()
        if 'loss' in name and '.' not in name
    }
    total = values.pop('loss', None)
    largest = sorted(values, key=lambda name: -values[name])[:2]
    parts = [f'loss {total:.3g}'] if total is not None else []
    return ' '.join([*parts, *(f'{name} {values[name]:.3g}' for name in largest)])


def duration(seconds: float) -> str:
    """'40 s', '12 min', '3.5 h'."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min' if seconds < 5400 else f'{seconds / 3600:.1f} h'
