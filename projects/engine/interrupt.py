"""Ends training in order when asked to stop: a checkpoint first, then an exit code that asks for a requeue."""

import signal
import threading

import torch
from mmengine.dist import all_reduce, barrier, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop

from ..registry import HOOKS
from .checkpoint_hook import SafeCheckpointHook

# sysexits.h: EX_TEMPFAIL, a temporary failure, the caller may try again.
EXIT_REQUEUE = 75
FILE_NAME = 'interrupted.pth'


@HOOKS.register_module()
class InterruptHook(Hook):
    """Saves ``interrupted.pth`` at the end of the step in which a signal came, then exits with code 75.

    ``--resume auto`` goes on from there. An epoch-based run goes on at the start of the interrupted epoch, with the
    weights it had; an iteration-based one at the next iteration. A second signal ends the process at once. In Slurm,
    prefer ``--signal=USR1@120``: SIGTERM also ends the data workers, with which the running step is lost. A signal to
    one of several processes stops all of them after the same step.

    Args:
        signals: Names of the signals to answer.
    """

    priority = 'LOWEST'

    def __init__(self, signals: tuple[str, ...] = ('SIGTERM', 'SIGINT', 'SIGUSR1')):
        self.signals = [getattr(signal, name) for name in signals]
        self.received = None
        self.previous = {}

    def before_train(self, runner) -> None:
        if threading.current_thread() is threading.main_thread():
            self.previous = {number: signal.signal(number, self._note) for number in self.signals}

    def after_train(self, runner) -> None:
        self._restore()

    def _note(self, number: int, frame) -> None:
        self.received = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous = {}

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        if not self._asked_to_stop():
            return
        saver = next((hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)), None)
        if saver is not None:
            runner.logger.warning(
                f'{self.received or "a signal to another process"}: saving {FILE_NAME} in '
                f'{saver.out_dir}; go on with --resume auto'
            )
            saver.save(runner, FILE_NAME, self._position(runner, batch_idx))
        # A launcher kills the rest as soon as one process leaves with an error code.
        barrier()
        raise SystemExit(EXIT_REQUEUE)

    def _asked_to_stop(self) -> bool:
        if get_world_size() == 1:
            return self.received is not None
        # One number a step, so that no process waits for a gradient of one that has left.
        asked = torch.tensor([self.received is not None], dtype=torch.float32)
        all_reduce(asked, op='max')
        return bool(asked.item())

    def _position(self, runner, batch_idx: int) -> dict:
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            return dict(epoch=runner.epoch, iter=runner.iter + 1)
        return dict(epoch=runner.epoch, iter=runner.iter - batch_idx)
