"""Which checkpoint of a work dir a run goes on from."""

import logging
import os.path as osp

import mmengine.runner.runner as mmengine_runner
from mmengine.logging import print_log

from ...weights.errors import CorruptCheckpoint
from ...weights.torch_file import trusted
from ..resuming.lock import checkpoints_of, saved_at
from . import shards
from .checkpoint import POINTER, load_checkpoint_file


def find_resumable(work_dir: str) -> str | None:
    """The newest checkpoint of ``work_dir`` that can be resumed; damaged ones are skipped, and the log says so.

    What ``last_checkpoint`` names comes first, then the others by time. A file that is refused as unsafe is not
    skipped: training from an older state must not happen because of a missing ``--trust-checkpoint``.
    """
    for path in _candidates(work_dir):
        try:
            checkpoint = shards.check(path) if osp.isdir(path) else load_checkpoint_file(path, trust=trusted())
        except (CorruptCheckpoint, FileNotFoundError) as error:
            print_log(f'Resume skips a checkpoint: {error}', logger='current', level=logging.WARNING)
            continue
        if isinstance(checkpoint, dict) and 'message_hub' in checkpoint and 'optimizer' in checkpoint:
            return path
    return None


def _candidates(work_dir: str) -> list[str]:
    if not osp.isdir(work_dir):
        return []
    files = checkpoints_of(work_dir)
    files.sort(key=saved_at, reverse=True)
    last = _pointed(work_dir)
    if last:
        files = [last] + [file for file in files if osp.abspath(file) != osp.abspath(last)]
    return files


def _pointed(work_dir: str) -> str | None:
    """The file that ``last_checkpoint`` names, which lies in ``work_dir``, or in an ``out_dir`` of the same name.

    Another folder's is not taken: in a copy of a work dir, older pointers name the original.
    """
    pointer = osp.join(work_dir, POINTER)
    if not osp.isfile(pointer):
        return None
    with open(pointer, encoding='utf-8') as file:
        last = file.read().strip()
    if not last:
        return None
    path = osp.join(work_dir, last)
    same_name = osp.basename(osp.dirname(osp.abspath(path))) == osp.basename(osp.abspath(work_dir))
    return path if same_name else osp.join(work_dir, osp.basename(last))


def install() -> None:
    """Make mmengine's runner look this way. Importing ``mmparts.engine`` does it."""
    mmengine_runner.find_latest_checkpoint = find_resumable
