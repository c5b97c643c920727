"""How far a run is, saved and resumed as a whole: the place in the data and the plan, beside what mmengine keeps."""

import hashlib

from mmengine.dist import get_rank
from mmengine.hooks import EarlyStoppingHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop
from torch import Tensor, nn, stack

from ...registry import HOOKS
from ..faults.consensus import Disagreement, gathered
from ..loops import EpochLoop, make_resumable
from .buffers import KEY, restore_buffers
from .plan import advance, images_a_step, plan_of, replan, set_pace, settle
from .samples import Loader


@HOOKS.register_module()
class ProgressHook(Hook):
    """Lets a run go on with the batch after the last one it saw, on epoch and iteration loops.

    It turns the runner's loops into resumable ones (see :mod:`.loops`), writes ``meta['progress']`` into every
    checkpoint and goes back to it on a resume, holding it against the config (see :mod:`.plan`). Before the first step
    all processes compare where they are. Checkpoints of others resume at the start of their epoch.

    Args:
        resume_schedule: 'extend' plans the schedules anew where the config has changed, instead of refusing it.
    """

    priority = 'VERY_HIGH'

    def __init__(self, resume_schedule: str | None = None):
        if resume_schedule not in (None, 'extend'):
            raise ValueError(f"resume_schedule is {resume_schedule!r}; it can be None or 'extend'")
        self.extend = resume_schedule == 'extend'
        self.found = {}
        self.rates = None
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
            return
        self.plan = plan_of(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        if not self.resumable:
            return
        loop, meta = runner.train_loop, checkpoint['meta']
        inside = isinstance(loop, EpochLoop) and meta['epoch'] == loop.epoch
        meta['progress'] = dict(
            batch=meta['iter'] - loop.first_iter if inside else 0,
            owes_validation=meta.pop('owes_validation', False),
            plan=self.plan,
            stopping={
                hook.monitor: dict(wait_count=hook.wait_count, best_score=hook.best_score) for hook in stoppers(runner)
            },
        )

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        progress = checkpoint.get('meta', {}).get('progress')
        if not (runner._resume and self.resumable and progress):
            return
        self._hold_to_plan(runner, checkpoint, progress['plan'])
        self.found = checkpoint['meta']['progress']
        self.buffers = checkpoint.pop(KEY, None)

    def _hold_to_plan(self, runner, checkpoint: dict, old: dict) -> None:
        layout = [f'{plan["processes"]} x {plan["batch_size"]}' for plan in (old, self.plan)]
        replanned = settle(old, self.plan, self.extend)
        if replanned:
            self.rates = replan(runner, checkpoint, old, self.plan)
        if replanned or layout[0] != layout[1]:
            meta, size = checkpoint['meta'], images_a_step(self.plan)
            where = (
                f'in epoch {meta["epoch"] + 1} after {meta["progress"]["batch"] * size} of {self.plan["images"]} images'
            )
            if self.plan['by'] == 'iterations':
                length = self.plan['length'] * self.plan['planned']
                where = f'after {meta["iter"] * size} of the {length} images of the run'
            runner.logger.warning(
                f'resumed by images: {layout[0]} a step before, {layout[1]} now; goes on {where}, '
                f'as iteration {meta["iter"] + 1}'
                + (f', schedules planned anew with rates {self.plan["lr"]}' if replanned else '')
            )

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
        if self.found and self.buffers is not None:
            restore_buffers(runner.model, self.buffers)
        pace = set_pace(runner, self.plan)
        if self.rates is not None:
            advance(runner, self.rates, pace)
        for hook in stoppers(runner):
            vars(hook).update(self.found.get('stopping', {}).get(hook.monitor, {}))
        require_same_place(runner)


def stoppers(runner) -> list[EarlyStoppingHook]:
    """The hooks that end a run early, which count evaluations, and are saved with it."""
    return [hook for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]


def require_same_place(runner) -> None:
    """Raise :class:`Disagreement` on every process unless all are at the same step, with the same weights and data."""
    loop, model = runner.train_loop, runner.model
    mine = dict(
        epoch=loop.epoch,
        iteration=loop.iter,
        weights=checksum(model.module if is_model_wrapper(model) else model),
        images=len(loop.dataloader.dataset),
        batches=len(loop.dataloader),
        seed=runner.seed,
    )
    places = gathered(mine)
    unequal = [key for key in mine if any(place[key] != places[0][key] for place in places)]
    if unequal:
        lines = [
            f'  rank {rank}: ' + ', '.join(f'{key} {place[key]}' for key in unequal)
            for rank, place in enumerate(places)
        ]
        raise Disagreement(
            f'the processes do not start from the same place: their {", ".join(unequal)} differ\n'
            + '\n'.join(lines)
            + f'\n(this is rank {get_rank()}) Do all machines see the same data, checkpoint and code?'
        )


def checksum(model: nn.Module) -> str:
    """Of the parameters; equal for equal ones. Shards of a model, which differ by design, count as equal."""
    values = [value.detach() for value in model.parameters()]
    if not values or any(type(value) is not Tensor and hasattr(value, 'to_local') for value in values):
        return 'sharded'
    sums = stack([value.double().sum() for value in values]).tolist()
    return hashlib.sha256(repr(sums).encode()).hexdigest()[:8]
