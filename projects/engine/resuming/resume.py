"""Which checkpoint all processes start from: rank 0 chooses it, and sends it to those that have no such file."""

import hashlib
import os
import os.path as osp
import zipfile

from mmengine.dist import get_rank
from mmengine.logging import print_log

from ...weights.readers import whole_wanted
from ..checkpoints import shards
from ..checkpoints.checkpoint import write_atomically
from ..checkpoints.find import find_resumable
from ..faults.consensus import decided, gathered, send_bytes
from .lock import require_unused


def choose_checkpoint(work_dir: str, wanted: str | None) -> str | None:
    """The file from which every process resumes; None for a fresh start.

    Args:
        work_dir: Where 'auto' looks for the newest readable checkpoint.
        wanted: 'auto', a file, or None for a fresh start, which is refused in a work dir that holds checkpoints.

    Raises:
        WorkDirInUse: A fresh start among the checkpoints of an earlier run.
    """

    def choice() -> str | None:
        if wanted is None:
            return require_unused(work_dir)
        return find_resumable(work_dir) if wanted == 'auto' else wanted

    path = decided(choice)
    return path if path is None or '://' in path else shared(path, work_dir)


def shared(path: str, work_dir: str) -> str:
    """Rank 0's file on every process: where it is missing or differs, a copy in ``work_dir``, for disks not shared."""
    mine = fingerprint(path)
    all_of_them = gathered(mine)
    lacking = [rank for rank, each in enumerate(all_of_them) if each != all_of_them[0]]
    if not lacking:
        return path
    if gathered(osp.isdir(path))[0]:
        raise OSError(
            f'{path}: the processes {lacking} do not see the same folder. A checkpoint in shards needs a disk that all '
            f'machines share; or make it one file, which is sent to them: {whole_wanted(path)}'
        )
    size = gathered(osp.getsize(path) if get_rank() == 0 else 0)[0]
    data = None
    if get_rank() == 0:
        with open(path, 'rb') as file:
            data = file.read()
        print_log(f'{path} is sent to the processes {lacking}, which have no such file', logger='current')
    data = send_bytes(data, size)
    if mine == all_of_them[0]:
        return path
    copy = osp.join(work_dir, osp.basename(path))
    os.makedirs(work_dir, exist_ok=True)
    write_atomically(data, copy)
    return copy


def fingerprint(path: str) -> str | None:
    """Equal for files of equal content; a checkpoint's own checksums stand for it."""
    if osp.isdir(path):
        return shards.fingerprint(path)
    if not osp.isfile(path):
        return None
    digest = hashlib.sha256(str(osp.getsize(path)).encode())
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            digest.update(repr([(each.filename, each.CRC) for each in archive.infolist()]).encode())
    else:
        with open(path, 'rb') as file:
            digest.update(file.read())
    return digest.hexdigest()
