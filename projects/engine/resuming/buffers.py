"""Statistics of norms on several processes: the same in a validation, each process's own through an interruption."""

import torch
from mmengine.dist import all_gather, all_reduce, get_rank, get_world_size
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from ...registry import HOOKS
from ..faults.consensus import reduced
from ..loops import IterLoop

KEY = 'rank_buffers'


@HOOKS.register_module()
class BufferHook(Hook):
    """Gives every process the mean of the buffers before a validation and before the checkpoint that belongs to it.

    So the file holds the model that was validated. mmengine's ``SyncBuffersHook`` comes too late for the checkpoints
    of iteration loops, and leaves the averaged model out.
    """

    priority = 'NORMAL'

    def after_train_epoch(self, runner) -> None:
        if not isinstance(runner.train_loop, IterLoop):
            self._sync(runner)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        if isinstance(runner.train_loop, IterLoop) and runner.train_loop.validates_after(runner.iter + 1):
            self._sync(runner)

    def _sync(self, runner) -> None:
        if get_world_size() == 1:
            return
        averaged = [hook.ema_model.module for hook in runner.hooks if isinstance(hook, EMAHook)]
        for model in (runner.model, *averaged):
            for buffer in float_buffers(model):
                all_reduce(buffer, op='mean')


def float_buffers(model: nn.Module) -> list[Tensor]:
    """The statistics of a model: its saved buffers of floating point."""
    model = model.module if is_model_wrapper(model) else model
    saved = model.state_dict(keep_vars=True)
    return [value for name, value in model.named_buffers() if name in saved and value.is_floating_point()]


def gather_buffers(model: nn.Module) -> Tensor | None:
    """The buffers of every process, a row each; None where they are all the same. Every process must come here."""
    buffers = float_buffers(model)
    if get_world_size() == 1 or not buffers:
        return None
    flat = torch.cat([buffer.detach().float().reshape(-1) for buffer in buffers])
    total = float(flat.double().sum())
    if reduced([total], 'min') == reduced([total], 'max'):
        return None
    return torch.stack([row.cpu() for row in all_gather(flat)])


def restore_buffers(model: nn.Module, rows: Tensor) -> None:
    """Give each process its own again, or the mean where their number has changed."""
    row = rows[get_rank()] if len(rows) == get_world_size() else rows.mean(0)
    start = 0
    for buffer in float_buffers(model):
        buffer.data.copy_(row[start : start + buffer.numel()].reshape(buffer.shape))
        start += buffer.numel()
