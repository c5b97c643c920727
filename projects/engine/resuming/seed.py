"""Makes chance depend on seed, step and process only, so that a resumed run sees what an uninterrupted one would."""

from mmengine.dist import get_rank
from mmengine.hooks import Hook

from ...registry import HOOKS
from .samples import seed_all


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seeds python, numpy and torch before every step and validation, differently on every process.

    So no state of a generator has to be saved, and none is lost with a process. What samples draw comes from
    :mod:`.samples`.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        seed_all(runner.seed, runner.iter, get_rank())

    def before_val_epoch(self, runner) -> None:
        seed_all(runner.seed, runner.iter, get_rank())
