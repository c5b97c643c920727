"""One run in a work dir at a time, and no fresh run among the checkpoints of another."""

import glob
import json
import os
import os.path as osp
import socket
import time

NAME = 'run.lock'
# The file of a living run is touched more often than this; on another machine, a process cannot be looked for.
STALE_SECONDS = 600


class WorkDirInUse(RuntimeError):
    """The work dir belongs to another run."""


class WorkDirLock:
    """Who trains in a folder: host, process, start, and the Slurm job, in ``run.lock``.

    The lock of a process that has ended, of an earlier start of the same job, or one that nobody has touched for ten
    minutes is taken over.

    Args:
        folder: The work dir; it is made where missing.
    """

    def __init__(self, folder: str):
        self.path = osp.join(folder, NAME)
        self.held = False

    def take(self) -> None:
        """Raises :class:`WorkDirInUse` when a living run has it."""
        os.makedirs(osp.dirname(self.path), exist_ok=True)
        for _ in range(3):
            try:
                handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:
                owner = self._owner()
                if owner is None or not self._lives(owner):
                    self._drop_stale(owner)
                    continue
                raise WorkDirInUse(self._refusal(owner)) from None
            with os.fdopen(handle, 'w') as file:
                json.dump(self.identity(), file)
            self.held = True
            return
        raise WorkDirInUse(f'{self.path} changes hands all the time; are several runs being started in it?')

    def release(self) -> None:
        owner = self._owner() or {}
        if self.held and {**owner, 'touched': None} == {**self.identity(), 'touched': None}:
            os.remove(self.path)
        self.held = False

    @staticmethod
    def identity() -> dict:
        pid = os.getpid()
        return dict(host=socket.gethostname(), pid=pid, started=process_start(pid), job=os.environ.get('SLURM_JOB_ID'))

    def _owner(self) -> dict | None:
        try:
            with open(self.path, encoding='utf-8') as file:
                owner = json.load(file)
            return {**owner, 'touched': osp.getmtime(self.path)} if isinstance(owner, dict) else None
        except (FileNotFoundError, ValueError):
            return None

    def _lives(self, owner: dict) -> bool:
        mine = self.identity()
        if owner.get('host') == mine['host']:
            return process_start(owner.get('pid', -1)) == owner.get('started') is not None
        if mine['job'] and owner.get('job') == mine['job']:
            return False
        return time.time() - owner['touched'] < STALE_SECONDS

    def _drop_stale(self, owner: dict | None) -> None:
        # A file being written is empty for a moment.
        if owner is None:
            time.sleep(0.2)
            if self._owner() is not None:
                return
        if self._owner() == owner:
            try:
                os.remove(self.path)
            except FileNotFoundError:
                return

    def _refusal(self, owner: dict) -> str:
        since = time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(owner['touched']))
        job = f' (Slurm job {owner["job"]})' if owner.get('job') else ''
        return (
            f'{osp.dirname(self.path)} is in use: process {owner.get("pid")} on {owner.get("host")}{job} trains there, '
            f'last seen {since}. Give this run a --work-dir of its own, or end the other one first'
        )


def process_start(pid: int) -> str | None:
    """When a process of this machine started, in the kernel's ticks; None where there is no such process.

    Together with its number this tells it from a later process of the same number.
    """
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as file:
            fields = file.read().rpartition(')')[2].split()
        return None if fields[0] in 'ZX' else fields[19]
    except FileNotFoundError:
        if osp.isdir('/proc/self'):
            return None
    try:  # no /proc: a Mac
        os.kill(pid, 0)
        return 'unknown'
    except PermissionError:
        return 'unknown'
    except OSError:
        return None


def checkpoints_of(folder: str) -> list[str]:
    """The checkpoints that lie in a work dir: files, and folders of shards that were written to their end."""
    inside = glob.escape(folder)
    files = [path for path in glob.glob(osp.join(inside, '*.pth')) if osp.isfile(path)]
    in_shards = [osp.dirname(index) for index in glob.glob(osp.join(inside, '*.dcp', 'index.pth'))]
    return sorted(files + in_shards)


def saved_at(checkpoint: str) -> float:
    """When it was written, in seconds."""
    return osp.getmtime(osp.join(checkpoint, 'index.pth') if osp.isdir(checkpoint) else checkpoint)


def require_unused(folder: str) -> None:
    """Refuse to start afresh among the checkpoints of an earlier run: they would be overwritten one by one.

    Raises:
        WorkDirInUse: There are some.
    """
    found = checkpoints_of(folder)
    if found:
        names = ', '.join(osp.basename(path) for path in found[:3])
        raise WorkDirInUse(
            f'{folder} holds the checkpoints of an earlier run ({names}{" ..." if len(found) > 3 else ""}). '
            'Go on with it: --resume. Start afresh: --work-dir with another folder, or move this one away'
        )


def unused(folder: str) -> str:
    """``folder``, or, where it holds checkpoints, the first of ``folder-2``, ``folder-3`` ... that does not."""
    number, free = 1, folder
    while checkpoints_of(free):
        number += 1
        free = f'{folder}-{number}'
    return free
