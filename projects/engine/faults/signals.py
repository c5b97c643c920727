"""Signals that ask a run to stop: noted when they come, answered between two steps; data workers never see them."""

import atexit
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

SIGNALS = ('SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGUSR2')
NUMBERS = tuple(getattr(signal, name) for name in SIGNALS)
# A second Ctrl-C ends the process at once; one that a launcher passes on comes twice within moments.
SAME_SECONDS = 1.0


class StopRequest:
    """The signal that asked this process to stop, if one did. :data:`stop` is the only one."""

    def __init__(self):
        self.received: str | None = None
        self.agreed = False
        self.time = 0.0
        self.previous: dict[int, Callable] = {}
        self.until_exit = False

    def listen(self, names: tuple[str, ...] = SIGNALS, until_exit: bool = False) -> None:
        """Note these signals, and no others, from now on instead of dying of them.

        Args:
            until_exit: :meth:`forget` leaves it so: a run that is over must not die of a signal that comes too late.
        """
        self.until_exit = self.until_exit or until_exit
        if threading.current_thread() is not threading.main_thread():
            return
        for number in [number for number in self.previous if signal.Signals(number).name not in names]:
            signal.signal(number, self.previous.pop(number))
        for name in names:
            number = getattr(signal, name)
            if number not in self.previous:
                self.previous[number] = signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, list(self.previous))

    def forget(self) -> None:
        """Let signals do again what they did before, unless that is for the end of the process; forget what came."""
        if not self.until_exit and threading.current_thread() is threading.main_thread():
            for number, handler in self.previous.items():
                signal.signal(number, handler)
            self.previous = {}
        self.received, self.agreed = None, False

    def _note(self, number: int, frame) -> None:
        if number == signal.SIGINT and self.received and monotonic() - self.time > SAME_SECONDS:
            raise KeyboardInterrupt
        if self.received is None:
            self.received, self.time = signal.Signals(number).name, monotonic()


stop = StopRequest()


@contextmanager
def held() -> Iterator[None]:
    """Signals wait inside; a process started here waits until it has decided what to do with them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_worker(then: Callable | None, worker_id: int) -> None:
    """The ``worker_init_fn`` of a worker that ignores the signals, then does what ``then`` does."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)
    if then is not None:
        then(worker_id)


def end_workers() -> None:
    """Kill the data workers of this process: they ignore the signal by which Python would end them at its exit."""
    workers = [child for child in multiprocessing.active_children() if child.daemon]
    if not workers:
        return
    in_main = threading.current_thread() is threading.main_thread()
    # torch raises from this signal when a worker of a loader still in use dies.
    before = signal.signal(signal.SIGCHLD, lambda number, frame: None) if in_main else None
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.join()
    if in_main:
        signal.signal(signal.SIGCHLD, before)


# Registered after multiprocessing's own, which would wait for ever, and so run before it.
atexit.register(end_workers)
