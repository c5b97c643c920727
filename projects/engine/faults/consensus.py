"""What the processes of a run say to each other beside gradients: numbers and JSON, whether to stop, their losses."""

import json
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from mmengine.dist import all_gather, all_reduce, broadcast, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from ...registry import HOOKS
from .signals import stop


class Disagreement(RuntimeError):
    """The processes of a run are not in the same place."""


@HOOKS.register_module()
class ConsensusHook(Hook):
    """One small message after each step: all processes stop after the same one, and the log shows the mean loss.

    It runs before the hooks that log, with the losses of this process where one of them is not finite: the process that
    has a bad loss is to say so.
    """

    priority = 'HIGHEST'

    def before_run(self, runner) -> None:
        control.open()

    def before_train(self, runner) -> None:
        # Data sets of unequal length on the processes may make validations of unequal length.
        self.common = 0
        if isinstance(runner._val_loop, BaseLoop):
            self.common = int(reduced([len(runner.val_dataloader)], 'min')[0])

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        names = [name for name, value in (outputs or {}).items() if 'loss' in name and value.numel() == 1]
        if get_world_size() == 1 or not names:
            agree()
            return
        values = torch.stack([outputs[name].detach().double().reshape(()) for name in names]).tolist()
        asked, *means = reduced([float(stop.received is not None), *values], 'mean')
        stop.agreed = asked > 0
        if all(map(math.isfinite, means)):
            outputs.update({name: torch.tensor(mean) for name, mean in zip(names, means)})

    def after_val_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        if batch_idx < getattr(self, 'common', 0):
            agree()


class _Control:
    """A group of processes on CPUs, so that a question does not wait for a GPU."""

    def __init__(self):
        self.group, self.world = None, None

    def open(self) -> None:
        """Make the group; every process must come here."""
        if get_world_size() == 1 or self.world is dist.group.WORLD:
            return
        self.world = dist.group.WORLD
        self.group = None if dist.get_backend() == 'gloo' else dist.new_group(backend='gloo')


control = _Control()


def reduced(values: list[float], op: str) -> list[float]:
    """The ``op`` ('mean', 'min', 'max') of each number over all processes."""
    if get_world_size() == 1:
        return values
    numbers = torch.tensor(values, dtype=torch.float64)
    all_reduce(numbers, op=op, group=control.group)
    return numbers.tolist()


def agree() -> bool:
    """Whether any process was asked to stop, the same answer on all."""
    stop.agreed = reduced([float(stop.received is not None)], 'max')[0] > 0
    return stop.agreed


def gathered(value: Any) -> list:
    """``value``, anything that JSON holds, of every process in the order of their ranks."""
    if get_world_size() == 1:
        return [value]
    data = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)
    sizes = [int(size) for size in all_gather(torch.tensor([len(data)]), group=control.group)]
    padded = torch.zeros(max(sizes), dtype=torch.uint8)
    padded[: len(data)] = data
    rows = all_gather(padded, group=control.group)
    return [json.loads(bytes(row[:size].tolist())) for row, size in zip(rows, sizes)]


def decided(function: Callable[[], Any]) -> Any:
    """What ``function`` returns on rank 0, which alone calls it; where it raises, the others leave with code 1."""
    value, error = None, None
    if get_rank() == 0:
        try:
            value = function()
        except BaseException as raised:
            error = raised
    answer = gathered(dict(value=value, failed=error is not None))[0]
    if error is not None:
        raise error
    if answer['failed']:
        raise SystemExit(1)
    return answer['value']


def send_bytes(data: bytes | None, size: int) -> bytes:
    """``data`` of rank 0, ``size`` bytes, on every process."""
    pieces = []
    for start in range(0, size, 2**26):
        count = min(2**26, size - start)
        piece = torch.empty(count, dtype=torch.uint8)
        if data is not None:
            piece = torch.frombuffer(bytearray(data[start : start + count]), dtype=torch.uint8)
        broadcast(piece, group=control.group)
        pieces.append(piece.numpy().tobytes())
    return b''.join(pieces)
