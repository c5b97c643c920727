"""A checkpoint hook whose saves cannot lose what was there before.

mmengine's removes the old file first and writes the new one over its final name. This one writes beside, verifies,
renames, moves the pointer, and only then removes.
"""

import os.path as osp
import re
from collections import deque

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper

from ...registry import HOOKS
from ...weights.errors import CorruptCheckpoint, WeightsDoNotFit
from ..faults.nan_guard import NonFiniteLoss
from ..initialisation.fit import last_fit
from ..optim.paramwise import regroup
from ..resuming.buffers import KEY, gather_buffers
from . import shards
from .checkpoint import BACKEND, POINTER, check_numbers, make_plain, remove_leftovers, write_atomically

# Saved when a run is asked to stop; the next regular save takes its place.
INTERRUPTED = 'interrupted.pth'


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook`` with the same arguments, atomic and verified on local disks.

    With ``max_keep_ckpts=N`` the folder holds N + 1 files for the moment between a save and the removal. The files hold
    tensors and plain data only. A resume must fill the model as a whole; to start from part of a checkpoint, use
    ``load_from``.
    """

    def before_train(self, runner) -> None:
        self.filename_tmpl = named(runner, self.filename_tmpl)
        remote = '://' in str(self.out_dir or runner.work_dir)
        if not remote and self.backend_args is None and self.file_client_args is None:
            self.backend_args = dict(backend=BACKEND)
        self._check_resumed(runner)
        self._trim(runner)
        super().before_train(runner)
        self._put_best({key: self._own(path) for key, path in self._take_best().items()})
        self.last_ckpt = self._known_last(runner)
        self.keep_ckpt_ids = deque(getattr(self, 'keep_ckpt_ids', ()))
        for step in self.surplus:
            self._remove(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step)))
        if is_main_process() and osp.isdir(self.out_dir):
            remove_leftovers(self.out_dir)
            shards.remove_leftovers(self.out_dir)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        optimizer = getattr(getattr(runner, 'optim_wrapper', None), 'optimizer', None)
        if optimizer is not None and regroup(checkpoint, optimizer):
            runner.logger.info('the checkpoint has an optimizer group for each tensor; brought to one for each setting')

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        if getattr(self, 'rank_buffers', None) is not None:
            checkpoint[KEY] = self.rank_buffers
        self._require_finite(runner, checkpoint)
        info = checkpoint['message_hub']['runtime_info']
        for key in info:
            if key == 'last_ckpt' or key.startswith('best_ckpt'):
                info[key] = osp.basename(str(info[key]))  # the folder may be moved or copied
        make_plain(checkpoint)

    def _require_finite(self, runner, checkpoint: dict) -> None:
        """Keep weights with NaN, which a gradient of a finite loss may bring, from taking the place of good ones."""
        try:
            check_numbers(checkpoint, f'the model at epoch {runner.epoch + 1}, iteration {runner.iter + 1},')
        except CorruptCheckpoint as error:
            raise NonFiniteLoss(
                f'{error}. It was not saved; the files in {self.out_dir} are those of before. Lower the learning rate '
                'or clip the gradients (optim_wrapper.clip_grad), and resume'
            ) from error

    def _trim(self, runner) -> None:
        """Take from a resumed file only what this hook would have written there: the file is not trusted.

        Its list of kept checkpoints and the name of its best one decide what is deleted later.
        """
        hub = runner.message_hub
        ids = [each for each in hub.runtime_info.get('keep_ckpt_ids', ()) if type(each) is int]
        surplus = max(len(ids) - self.max_keep_ckpts, 0) if self.max_keep_ckpts > 0 else 0
        self.surplus, ids = ids[:surplus], ids[surplus:]
        if 'keep_ckpt_ids' in hub.runtime_info:
            hub.update_info('keep_ckpt_ids', ids)

    def _own(self, path: str) -> str | None:
        """The best checkpoint of that name in this folder; None for a file that is not one."""
        own = self.file_backend.join_path(self.out_dir, osp.basename(str(path)))
        return (
            own
            if re.fullmatch(f'best_.*{self._names()}', osp.basename(own))
            and (self.file_backend.isfile(own) or shards.is_sharded(own))
            else None
        )

    def _known_last(self, runner) -> str | None:
        """The last regular save of the resumed run, which a new best score is written into, too.

        Not looked for on the disk: all processes must answer alike.
        """
        name = osp.basename(str(runner.message_hub.runtime_info.get('last_ckpt', '')))
        return self.file_backend.join_path(self.out_dir, name) if re.fullmatch(self._names(), name) else None

    def _names(self) -> str:
        """A pattern of the names of regular saves."""
        return re.escape(self.filename_tmpl).replace(re.escape('{}'), r'\d+')

    def _check_resumed(self, runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        fit = last_fit.get(model)
        if not (runner._resume and runner._has_loaded and fit is not None):
            return
        if fit.loaded_tensors < fit.tensors:
            raise WeightsDoNotFit(
                f'Cannot resume: {fit}; missing: {fit.missing[:4]}. The config builds another '
                'model than the checkpoint holds; to start from its weights, use load_from.'
            )

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        outdated = self._keep(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)

        self.save(runner, name, meta)

        for old in outdated:
            self._remove(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old)))
        self._remove(self.file_backend.join_path(self.out_dir, named(runner, INTERRUPTED)))

    def save(self, runner, name: str, meta: dict) -> None:
        """Write the state to ``out_dir/name`` and point ``last_checkpoint`` at it.

        Args:
            name: File name, ``.pth``; a runner that saves shards has its own ending.
            meta: ``epoch`` and ``iter`` that a resume starts from.
        """
        name = named(runner, name)
        self.rank_buffers = gather_buffers(runner.model)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self.rank_buffers = None
        if is_main_process():
            path = self.file_backend.join_path(self.out_dir, name)
            inside = osp.abspath(self.out_dir) == osp.abspath(runner.work_dir)
            write_atomically((name if inside else path).encode(), osp.join(runner.work_dir, POINTER))

    def _keep(self, runner, step: int) -> list[int]:
        """Note that ``step`` is being saved; returns the steps to remove afterwards."""
        if self.max_keep_ckpts <= 0:
            return []
        if step not in self.keep_ckpt_ids:
            self.keep_ckpt_ids.append(step)
        surplus = len(self.keep_ckpt_ids) - self.max_keep_ckpts
        outdated = [self.keep_ckpt_ids.popleft() for _ in range(surplus)]
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        return outdated

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        # The base class removes the path it knows before it writes; it is told of none, and the old one goes after.
        before, last = self._take_best(), self.last_ckpt
        # It also writes the score into the last file; where that is of an earlier step, it would save one more.
        name = self.filename_tmpl.format(runner.epoch if self.by_epoch else runner.iter)
        if last and osp.basename(last) != name:
            self.last_ckpt = None
        super()._save_best_checkpoint(runner, metrics)
        self.last_ckpt = last
        after = self._take_best()
        self._put_best({**before, **after})
        for key, path in before.items():
            if after.get(key, path) != path:
                self._remove(path)

    def _take_best(self) -> dict[str, str]:
        """The known best files by metric; forgets them."""
        if not self.save_best:
            return {}
        if len(self.key_indicators) == 1:
            best, self.best_ckpt_path = {'': self.best_ckpt_path}, None
        else:
            best = self.best_ckpt_path_dict
            self.best_ckpt_path_dict = dict.fromkeys(self.key_indicators)
        return {key: path for key, path in best.items() if path}

    def _put_best(self, best: dict[str, str]) -> None:
        if not self.save_best:
            return
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = best.get('')
        else:
            self.best_ckpt_path_dict.update(best)

    def _remove(self, path: str) -> None:
        if not is_main_process():
            return
        if self.file_backend.isfile(path):  # never a folder, whatever is in it
            self.file_backend.remove(path)
        elif shards.is_sharded(path):  # its own files, by their names
            shards.remove(path)


def named(runner, name: str) -> str:
    """The name of a checkpoint with the ending that this runner gives it."""
    root, _ = osp.splitext(name)
    return root + getattr(runner, 'checkpoint_ending', '.pth')
