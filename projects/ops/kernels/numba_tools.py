"""What all kernels that numba compiles need: compile with a cache on disk, arrays of tensors, shares for threads."""

from collections.abc import Callable

import numpy as np
import torch
from numba import njit
from torch import Tensor

from .threads import run

# Work below this many multiply-adds per task is not worth a thread: about a tenth of a millisecond.
GRAIN = 1 << 18


def jit(function: Callable) -> Callable:
    """Compiled at first use, without the GIL, dividing by zero as the processor does."""
    options = dict(nogil=True, error_model='numpy')
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # can write neither here nor at home
        return njit(**options)(function)


def arrays(*tensors: Tensor) -> tuple[np.ndarray, ...]:
    """The numbers of contiguous tensors, flat, in place."""
    return tuple(tensor.detach().numpy().reshape(-1) for tensor in tensors)


def split(count: int, cost: int, kernel: Callable[[int, int], None]):
    """Call ``kernel(begin, end)`` on parts of 0 ... count, each of which costs ``cost`` multiply-adds."""
    threads = torch.get_num_threads()
    parts = max(1, min(count, count * cost // GRAIN, 4 * threads if threads > 1 else 1))
    run(lambda part: kernel(count * part // parts, count * (part + 1) // parts), parts)
