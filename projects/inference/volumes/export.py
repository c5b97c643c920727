"""Label files written beside the prediction of the next volume, by a process of its own; its death ends the run."""

import multiprocessing
import os
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np

from ...datasets.volumes.files import write_volume


class ExportFailed(RuntimeError):
    """A label file could not be written; the message names the case."""


class Exporter:
    """Writes label files in a second process; a context manager, which waits for all at its end.

    Args:
        waiting: so many volumes may wait to be written; then `write` waits, so that memory stays bounded.

    Raises:
        ExportFailed: from the next call on, and at the end, if a file was not written or the process died.
    """

    def __init__(self, waiting: int = 2):
        self.pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn'))
        self.waiting = waiting
        self.jobs: deque[tuple[str, Future]] = deque()

    def write(self, case: str, path: str | os.PathLike, array: np.ndarray, affine: np.ndarray, like: str | None = None):
        """Have D H W written, see `mmparts.datasets.volumes.write_volume`."""
        self._finish(self.waiting - 1)
        try:
            self.jobs.append((case, self.pool.submit(write_volume, str(path), array, affine, like)))
        except BrokenProcessPool as error:
            raise self._failed(case, error) from error

    def _finish(self, left: int):
        """Wait until at most so many jobs are left; report those that are done."""
        while self.jobs and (len(self.jobs) > left or self.jobs[0][1].done()):
            case, job = self.jobs.popleft()
            try:
                job.result()
            except BrokenProcessPool as error:
                raise self._failed(case, error) from error
            except Exception as error:
                raise ExportFailed(f'{case}: {error}') from error

    @staticmethod
    def _failed(case: str, error: Exception) -> ExportFailed:
        return ExportFailed(
            f'{case}: the process that writes label files died (killed, or out of memory); this case and later ones '
            f'are not written: {error}'
        )

    def __enter__(self) -> 'Exporter':
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self._finish(0)
        finally:
            self.pool.shutdown(wait=False, cancel_futures=True)
