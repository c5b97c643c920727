"""Ends a job in which one process has stopped, and says which one and where; torch says that a message did not come."""

import json
import os
import os.path as osp
import sys
import threading
import time

import torch.distributed as dist
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from ...registry import HOOKS
from ..resuming import lock

EXIT_HANG = 70  # sysexits.h: EX_SOFTWARE
# A little before torch's own, so that the message comes first.
SHARE = 0.9
# The lock of the work dir says by its age that the run lives.
TOUCH_SECONDS = 60


@HOOKS.register_module()
class WatchdogHook(Hook):
    """Notes every step of its process, tells the others, and ends the process when it has not gone on for too long.

    The processes go through the same steps, so the one that has taken the fewest is the one that the others wait for.

    Args:
        timeout: Seconds without a step; None for nine tenths of ``env_cfg.dist_cfg.timeout``.
    """

    priority = 'VERY_HIGH'

    def __init__(self, timeout: float | None = None):
        self.timeout = timeout
        self.done = threading.Event()
        self.place = dict(count=0, what='starts')
        self.step = ''
        self.since = time.monotonic()

    def before_train(self, runner) -> None:
        self._note('is before the first step')
        self.lock = osp.join(runner.work_dir, lock.NAME) if get_rank() == 0 else None
        if self.timeout is None:
            self.timeout = SHARE * runner.cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', 1800)
        if get_world_size() > 1:
            store = dist.distributed_c10d._get_default_store()
            self.store = store.clone() if hasattr(store, 'clone') else store  # a connection of the thread's own
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            model.register_forward_hook(lambda *_: self._note(f'{self.step}, and its forward pass', same_step=True))
        threading.Thread(target=self._watch, name='watchdog', daemon=True).start()

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        self._note(f'has its data for step {batch_idx + 1} of epoch {runner.epoch + 1} (iteration {runner.iter + 1})')

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        self._note(f'has done step {batch_idx + 1} of epoch {runner.epoch + 1} (iteration {runner.iter + 1})')

    def after_train_epoch(self, runner) -> None:
        self._note(f'has done epoch {runner.epoch + 1}')

    def after_val_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        self.since = time.monotonic()  # not counted: validations may be of unequal length

    def after_train(self, runner) -> None:
        self.done.set()

    def _note(self, what: str, same_step: bool = False) -> None:
        self.since = time.monotonic()
        self.step = self.step if same_step else what
        self.place = dict(count=self.place['count'] + 1, what=what)

    def _watch(self) -> None:
        said, touched = None, 0.0
        while not self.done.wait(min(1.0, self.timeout / 10)):
            if self.lock and time.monotonic() - touched > TOUCH_SECONDS and osp.exists(self.lock):
                touched = time.monotonic()
                os.utime(self.lock)
            if get_world_size() == 1:
                continue
            try:
                if self.place is not said:
                    said = self.place
                    self.store.set(f'mmparts/place/{get_rank()}', json.dumps(said))
                if time.monotonic() - self.since > self.timeout:
                    print(self._report(), file=sys.stderr, flush=True)
                    os._exit(EXIT_HANG)
            except RuntimeError:
                return  # the process with the store has ended, and so will this one

    def _report(self) -> str:
        places = []
        for rank in range(get_world_size()):
            key = f'mmparts/place/{rank}'
            places.append(json.loads(self.store.get(key)) if self.store.check([key]) else dict(count=0, what='starts'))
        least = min(place['count'] for place in places)
        behind = [rank for rank, place in enumerate(places) if place['count'] == least]
        if len(behind) == len(places):
            first = f'all processes have stopped: each {places[0]["what"]}'
        else:
            first = '; '.join(f'rank {rank} has stopped: it {places[rank]["what"]}' for rank in behind)
        others = [f'rank {rank} {place["what"]}' for rank, place in enumerate(places) if rank not in behind]
        rest = f', and the others wait ({"; ".join(others[:4])}{" ..." if len(others) > 4 else ""})' if others else ''
        return (
            f'error: no step for {self.timeout:.0f} s. {first}{rest}. The job ends here; --resume goes on from the '
            'last checkpoint. Where a step may take longer: --cfg-options env_cfg.dist_cfg.timeout=SECONDS'
        )
