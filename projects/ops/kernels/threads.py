"""Threads for kernels that release the GIL: as many as torch uses, the caller among them.

Own threads, because numba's threading layers either die after a fork or need a package of their own.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

_pools: dict[int, ThreadPoolExecutor] = {}  # of this process; by threads


def run(task: Callable[[int], None], count: int):
    """Call ``task(0)`` ... ``task(count - 1)``, in any order, on up to `torch.get_num_threads()` threads."""
    helpers = min(torch.get_num_threads(), count) - 1
    turns = iter(range(count))

    def work():
        for turn in turns:
            task(turn)

    futures = [_pool(helpers).submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        for future in futures:
            # One that has not begun by now has nothing left to do.
            future.cancel() or future.result()


def _pool(threads: int) -> ThreadPoolExecutor:
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix='mmparts-ops')
    return _pools[threads]


# A forked child inherits the pools but not their threads.
os.register_at_fork(after_in_child=_pools.clear)
