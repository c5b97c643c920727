"""The bar on a terminal, and lines where there is none."""

import io
import logging
import sys
from types import SimpleNamespace

import torch

from mmparts.engine.reporting import live_bar
from mmparts.engine.reporting.live_bar import LiveBarHook, duration, said

LOSSES = {name: torch.tensor(value) for name, value in (('loss', 9.0), ('loss_cls', 5.0), ('d0.loss_cls', 3.0))}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(steps: int, losses: dict = LOSSES) -> tuple[LiveBarHook, logging.Logger, list[str]]:
    """A training of ``steps`` steps, as the hook sees it; what it logged."""
    lines, logger = [], logging.getLogger('live')
    logger.handlers = [logging.StreamHandler(sys.stdout)]
    logger.info = lines.append
    runner = SimpleNamespace(iter=0, epoch=0, max_iters=steps, logger=logger)
    hook = LiveBarHook()
    hook.before_train(runner)
    for runner.iter in range(steps):
        hook.after_train_iter(runner, runner.iter, outputs=losses)
    hook.after_val_epoch(runner, {'coco/bbox_mAP': 0.25})
    hook.after_train_iter(runner, runner.iter, outputs=losses)
    return hook, logger, lines


def test_the_first_steps_are_told_without_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, 'stderr', io.StringIO())
    hook, _, lines = run(30)
    assert [line.split(':')[0] for line in lines] == ['step 1 of 30', 'step 5 of 30', 'step 20 of 30']
    assert 'loss 9 loss_cls 5' in lines[0] and 'left' in lines[0] and hook.bar is None


def test_a_bar_is_drawn_on_a_terminal_and_gives_the_log_its_stream_back(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, 'stderr', terminal)
    hook, logger, lines = run(30)
    (handler,) = logger.handlers
    assert not lines and hook.bar is not None and handler.stream is not sys.__stdout__
    during = handler.stream
    hook.after_train(None)
    text = terminal.getvalue()
    assert hook.bar is None and handler.stream is not during
    assert 'loss 9 loss_cls 5' in text and 'bbox_mAP 0.250' in text


class Loss:
    """Counts how often it is brought to the host, which waits for the device."""

    reads = 0

    def item(self) -> float:
        type(self).reads += 1
        return 9.0


def test_losses_are_read_every_two_seconds_and_not_every_step(monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(live_bar.time, 'monotonic', lambda: next(clock) / 10)  # a few tenths of a second a step
    monkeypatch.setattr(Loss, 'reads', 0)
    for stream, most in ((Terminal(), 30), (io.StringIO(), 3)):
        monkeypatch.setattr(sys, 'stderr', stream)
        before = Loss.reads
        hook, _, _ = run(200, {'loss': Loss()})
        hook.after_train(None)
        assert 1 <= Loss.reads - before <= most


def test_words():
    assert said({'loss': 1.0, 'time': 2.0}) == 'loss 1' and said({}) == ''
    assert [duration(seconds) for seconds in (40, 600, 12600)] == ['40 s', '10 min', '3.5 h']
