"""Ends training in order when asked to stop: a checkpoint first, then an exit code that asks for a requeue."""

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import EMAHook, Hook

from ...registry import HOOKS
from ..checkpoints.checkpoint_hook import INTERRUPTED, SafeCheckpointHook, named
from ..loops import Resumable
from . import slurm
from .consensus import ConsensusHook, agree
from .signals import SIGNALS, end_workers, stop

# sysexits.h: EX_TEMPFAIL, a temporary failure, the caller may try again.
EXIT_REQUEUE = 75


class Interrupted(SystemExit):
    """The run was asked to stop; its state is on disk."""


@HOOKS.register_module()
class InterruptHook(Hook):
    """Saves ``interrupted.pth`` after the step in which a signal came, then exits with code 75.

    ``--resume auto`` goes on with the next batch, or with the validation in which the signal came. A signal to one of
    several processes stops all of them after the same step. A second Ctrl-C ends the process at once. In a job of
    Slurm's sbatch, rank 0 then queues the job again.

    Args:
        signals: Names of the signals to answer.
        max_requeues: How often a Slurm job is queued again; 0 for never.
    """

    priority = 'LOWEST'

    def __init__(self, signals: tuple[str, ...] = SIGNALS, max_requeues: int = 100):
        self.signals = tuple(signals)
        self.max_requeues = max_requeues

    def before_run(self, runner) -> None:
        if not any(isinstance(hook, ConsensusHook) for hook in runner.hooks):
            runner.register_hook(ConsensusHook())

    def before_train(self, runner) -> None:
        stop.listen(self.signals)
        if agree():
            self._leave(runner, 'nothing was trained since the start')

    def after_train(self, runner) -> None:
        stop.forget()

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        # Inside an accumulation there are gradients that no checkpoint holds.
        between_updates = getattr(runner.optim_wrapper, 'should_update', lambda: True)()
        if stop.agreed and isinstance(runner.train_loop, Resumable) and between_updates:
            self._save_and_leave(runner, dict(epoch=runner.epoch, iter=runner.iter + 1))

    def after_train_epoch(self, runner) -> None:
        if stop.agreed and not isinstance(runner.train_loop, Resumable):
            self._save_and_leave(runner, dict(epoch=runner.epoch + 1, iter=runner.iter))

    def after_val_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        if not (stop.agreed and isinstance(runner._train_loop, Resumable)):
            return
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                hook.after_val_epoch(runner)  # the averaged weights stand in the model during a validation
        self._save_and_leave(runner, dict(epoch=runner.epoch, iter=runner.iter, owes_validation=True))

    def _save_and_leave(self, runner, position: dict) -> None:
        saver = next((hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)), None)
        if saver is None:
            self._leave(runner, 'nothing was saved, the config has no SafeCheckpointHook')
        saver.save(runner, INTERRUPTED, position)
        self._leave(runner, f'saved {named(runner, INTERRUPTED)} in {saver.out_dir}; go on with --resume auto')

    def _leave(self, runner, what: str) -> None:
        runner.logger.warning(f'{stop.received or "a signal to another process"}: {what}')
        # Ctrl-C is a person's wish.
        if is_main_process() and slurm.in_job() and stop.received != 'SIGINT':
            runner.logger.warning(slurm.requeue(self.max_requeues))
        end_workers()
        # A launcher kills the rest as soon as one process leaves with an error code.
        barrier()
        raise Interrupted(EXIT_REQUEUE)
