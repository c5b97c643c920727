"""How far a run is, saved and resumed as a whole: the place in the data, beside what mmengine keeps."""

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from ..registry import HOOKS
from .loops import EpochLoop, make_resumable
from .samples import Loader


@HOOKS.register_module()
class ProgressHook(Hook):
    """Lets a run go on with the batch after the last one it saw, on epoch and iteration loops.

    It turns the runner's loops into resumable ones (see :mod:`.loops`), writes ``meta['progress']`` into every
    checkpoint and goes back to it on a resume. Checkpoints of others resume at the start of their epoch.
    """

    priority = 'VERY_HIGH'

    def __init__(self):
        self.found = {}
        self.resumable = False

    def before_run(self, runner) -> None:
        loop, val_loop = runner._train_loop, runner._val_loop
        if not isinstance(loop, BaseLoop):
            return  # a test
        self.resumable = make_resumable(loop)
        if isinstance(val_loop, BaseLoop) and not isinstance(val_loop.dataloader, Loader):
            val_loop.dataloader = Loader.like(val_loop.dataloader)
        if not self.resumable:
            runner.logger.warning(f'{type(loop).__name__} does not go on inside an epoch; it stops at the end of one')

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        loop, meta = runner.train_loop, checkpoint['meta']
        inside = isinstance(loop, EpochLoop) and meta['epoch'] == loop.epoch
        meta['progress'] = dict(
            batch=meta['iter'] - loop.first_iter if inside else 0, owes_validation=meta.pop('owes_validation', False)
        )

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        if runner._resume:
            self.found = checkpoint['meta'].get('progress', {})

    def before_train(self, runner) -> None:
        loop = runner.train_loop
        if not self.resumable:
            return
        # A resume brings the seed of the file, and the sampler was made before.
        loop.dataloader.dataset.seed = runner.seed
        if hasattr(loop.dataloader.batch_sampler.sampler, 'seed'):
            loop.dataloader.batch_sampler.sampler.seed = runner.seed
        loop.first_iter = loop.iter - self.found.get('batch', 0)
        loop.owes_validation = self.found.get('owes_validation', False)
