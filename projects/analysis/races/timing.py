"""Measuring time and memory of a step: repeated, interleaved against a rival, on a CPU or a GPU."""

import contextlib
import ctypes
import gc
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

WARM_UP = {'cpu': 1, 'cuda': 5}


@dataclass(frozen=True)
class Timing:
    """Seconds of each measured repetition."""

    seconds: list[float]

    @property
    def best(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Race:
    """Two sides that took turns.

    The ratio compares the best of both, which other load on the machine can only worsen; the spread is that of the
    ratios of single rounds.
    """

    ours: Timing
    theirs: Timing

    @property
    def ratio(self) -> float:
        """How many times longer they take."""
        return self.theirs.best / self.ours.best

    @property
    def spread(self) -> tuple[float, float]:
        rounds = [theirs / ours for ours, theirs in zip(self.ours.seconds, self.theirs.seconds)]
        return min(rounds), max(rounds)


def timed(step: Callable[[], object], device: torch.device) -> float:
    """Seconds of one step, all of its work on the device included."""
    _wait_for(device)
    start = time.perf_counter()
    step()
    _wait_for(device)
    return time.perf_counter() - start


def measure(
    step: Callable[[], object], device: torch.device, rounds: int = 10, budget: float = 20.0
) -> tuple[Timing, 'PeakMemory']:
    """Repeat a step, after a warm-up, until there are so many ``rounds`` or ``budget`` seconds are over.

    Where the first step alone takes longer than the budget, it is the measurement.
    """
    with PeakMemory(device) as memory:
        first = timed(step, device)
    if first > budget:
        return Timing([first]), memory
    for _ in range(WARM_UP.get(device.type, 1) - 1):
        step()
    with PeakMemory(device) as memory:
        seconds = [timed(step, device)]
        while len(seconds) < rounds and sum(seconds) + seconds[-1] <= budget:
            seconds.append(timed(step, device))
    return Timing(seconds), memory


def race(ours: Callable[[], object], theirs: Callable[[], object], device: torch.device, rounds: int = 5) -> Race:
    """Let two steps take turns, ours first, after a warm-up of each; so that other load on the machine slows both."""
    for _ in range(WARM_UP.get(device.type, 1)):
        ours(), theirs()
    pairs = [(timed(ours, device), timed(theirs, device)) for _ in range(rounds)]
    return Race(*(Timing(list(side)) for side in zip(*pairs)))


@dataclass
class PeakMemory:
    """Context manager; ``bytes`` is valid after it, ``kind`` says what was measured.

    On a GPU: the most that tensors occupied at once, weights included. On a CPU: how far the resident memory of the
    process rose above what it was at the start; what was there before, such as weights, is not in it.
    """

    device: torch.device
    bytes: int = 0
    kind: str = field(init=False)

    def __post_init__(self):
        on_gpu = self.device.type == 'cuda'
        self.kind = 'all tensors on the GPU' if on_gpu else 'rise of the process while a step runs'

    def __enter__(self):
        gc.collect()
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            _forget_peak()
            self.start = _peak_resident()
        return self

    def __exit__(self, *error):
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)
            self.bytes = torch.cuda.max_memory_allocated(self.device)
        else:
            self.bytes = _peak_resident() - self.start


def _wait_for(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def _peak_resident() -> int:
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _forget_peak() -> None:
    """Give freed memory back and let the kernel start a new peak at what is left. Only Linux can; elsewhere an
    earlier, higher peak hides part of the rise."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError), open('/proc/self/clear_refs', 'w', encoding='ascii') as file:
        file.write('5')
