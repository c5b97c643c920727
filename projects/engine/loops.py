"""Training loops that start at any batch of an epoch: mmengine's, which every runner may name, in a resumable form.

A run saved after batch 7 of epoch 3 goes on with batch 8 of epoch 3, a run stopped inside a validation begins with that
validation. mmengine's loops know whole epochs only; its iteration loop reads every batch that was already seen again.
"""

from collections.abc import Iterator
from typing import Any

from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop

from ..registry import LOOPS
from .faults.signals import end_workers, stop
from .resuming.samples import Batches, Loader, SeededSamples


class Resumable:
    """What both loops share: the place from which they start.

    ``first_iter`` is the iteration with which the current epoch began, ``owes_validation`` whether the validation that
    follows the last step was not finished.
    """

    first_iter = 0
    owes_validation = False

    def run(self) -> Any:
        try:
            self.train()
        except BaseException:
            end_workers()  # they ignore the signal by which Python ends them at its exit
            raise
        finally:
            stop.forget()
        return self.runner.model

    def validate_first(self) -> None:
        """Make up for a validation that was broken off."""
        if self.owes_validation and self.runner.val_loop is not None:
            self.runner.val_loop.run()
        self.owes_validation = False


@LOOPS.register_module()
class EpochLoop(Resumable, EpochBasedTrainLoop):
    """``EpochBasedTrainLoop`` that goes on inside an epoch, after the batches already seen."""

    def train(self) -> None:
        self.runner.call_hook('before_train')
        self.validate_first()

        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            if self.validates_after(self._epoch):
                self.runner.val_loop.run()

        self.runner.call_hook('after_train')

    def run_epoch(self) -> None:
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()

        seen = self._iter - self.first_iter
        self.dataloader.batch_sampler.seek(self._epoch, seen)
        for index, data in enumerate(self.dataloader, seen):
            self.run_iter(index, data)

        self.runner.call_hook('after_train_epoch')
        self._epoch, self.first_iter = self._epoch + 1, self._iter

    def validates_after(self, epoch: int) -> bool:
        """Whether a validation follows when ``epoch`` epochs are done."""
        due = epoch % self.val_interval == 0 or epoch == self._max_epochs
        return self.runner.val_loop is not None and epoch >= self.val_begin and due


@LOOPS.register_module()
class IterLoop(Resumable, IterBasedTrainLoop):
    """``IterBasedTrainLoop`` that skips what was seen without reading it, and passes over the data without a pause."""

    def train(self) -> None:
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self.validate_first()

        for data in self._batches_left():
            self.runner.model.train()
            self.run_iter(data)
            self._decide_current_val_interval()
            if self.validates_after(self._iter):
                self.runner.val_loop.run()

        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')

    def _batches_left(self) -> Iterator:
        self.dataloader.batch_sampler.seek(0, self._iter)
        batches = iter(self.dataloader)
        while self._iter < self._max_iters and not self.stop_training:
            yield next(batches)

    def validates_after(self, iteration: int) -> bool:
        """Whether a validation follows when ``iteration`` iterations are done."""
        due = iteration % self.val_interval == 0 or iteration == self._max_iters
        return self.runner.val_loop is not None and iteration >= self.val_begin and due


RESUMABLE = {EpochBasedTrainLoop: EpochLoop, IterBasedTrainLoop: IterLoop}


def make_resumable(loop: BaseLoop) -> bool:
    """Turn a stock loop into its resumable form, in place; False for a loop of another class, which is left alone."""
    if isinstance(loop, Resumable) and isinstance(loop.dataloader, Loader):
        return True
    kind = type(loop) if isinstance(loop, Resumable) else RESUMABLE.get(type(loop))
    if kind is None:
        return False
    loop.__class__ = kind
    loop.dataloader_iterator = None  # the stock loop has started its workers; they end with it
    batches = Batches(loop.dataloader.batch_sampler, endless=kind is IterLoop)
    loop.dataloader = Loader.like(loop.dataloader, SeededSamples(loop.dataloader.dataset), batches)
    return True
