"""Checkpoints that load without running code and survive a kill or a full disk.

Stock mmengine 0.10.7 cannot resume its own files on torch >= 2.6 (they hold ``HistoryBuffer`` objects, which
``weights_only=True`` refuses), and its maintained fork falls back to unpickling anything. Here files are always read
with ``weights_only=True`` and a short allow-list; what mmengine pickles but must not run is replaced by inert
stand-ins. :func:`install` puts this under mmengine's own loading functions, so a stock runner,
``init_cfg=dict(type='Pretrained')`` and mmdet's ``init_detector`` use it too. The files that
:class:`~.checkpoint_hook.SafeCheckpointHook` writes hold tensors and plain data only: ``torch.load`` alone reads them.
"""

import argparse
import contextlib
import logging
import os
import os.path as osp
import pickle
import re
import zipfile
from collections import Counter, OrderedDict
from typing import Any

import mmengine.runner.checkpoint as mmengine_checkpoint
import mmengine.runner.runner as mmengine_runner
import numpy as np
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner import CheckpointLoader

from .fit import load_and_account

TRUST_VARIABLE = 'MMPARTS_TRUST_CHECKPOINT'
BACKEND = 'mmparts.atomic'
POINTER = 'last_checkpoint'
# State dicts carry `_metadata` that a rebuilt dict would lose, and hold nothing but tensors.
STATE_DICTS = ('state_dict', 'ema_state_dict')


class CorruptCheckpoint(RuntimeError):
    """The file is truncated or no checkpoint at all."""


class UnsafeCheckpoint(RuntimeError):
    """The file asks for an object that could run code."""


class _PickledHistory:
    """Takes the place of a pickled ``HistoryBuffer``, whose own ``__setstate__`` accepts functions from the file."""

    def __setstate__(self, state: dict):
        self.log_history = state.get('_log_history', ())
        self.count_history = state.get('_count_history', ())
        self.max_length = state.get('max_length', 1000000)


def _inert_getattr(owner: Any, name: str) -> str:
    """Takes the place of ``getattr``, by which mmengine pickles the bound statistics of a ``HistoryBuffer``."""
    return name


def _allowed() -> list:
    """What mmengine's and the common official checkpoints hold beside tensors; each is data, none can call out."""
    core = getattr(np, '_core', None) or np.core
    plain = [argparse.Namespace, np.ndarray, np.dtype]
    plain += [type(np.dtype(name)) for name in ('b1', 'u1', 'i1', 'i2', 'i4', 'i8', 'f2', 'f4', 'f8', 'U1', 'S1')]
    renamed = [
        (_PickledHistory, 'mmengine.logging.history_buffer.HistoryBuffer'),
        (_inert_getattr, 'builtins.getattr'),
        (dict, 'mmengine.config.config.ConfigDict'),
    ]
    for package in ('numpy._core', 'numpy.core'):
        renamed += [
            (core.multiarray._reconstruct, f'{package}.multiarray._reconstruct'),
            (core.multiarray.scalar, f'{package}.multiarray.scalar'),
        ]
    # `BUILD` is checked against the class itself, hence the stand-ins appear by their own names too.
    return plain + [_PickledHistory] + renamed


def _safe_globals() -> contextlib.AbstractContextManager:
    # torch < 2.6 has no allow-list with names: our own files and bare state dicts load there, mmengine's do not.
    if tuple(int(part) for part in re.findall(r'\d+', torch.__version__)[:2]) < (2, 6):
        return contextlib.nullcontext()
    return torch.serialization.safe_globals(_allowed())


def trusted() -> bool:
    """Whether the user said ``--trust-checkpoint`` (or set ``MMPARTS_TRUST_CHECKPOINT=1``)."""
    return os.environ.get(TRUST_VARIABLE, '0') not in ('', '0')


def _read(path: str, map_location: Any, trust: bool) -> Any:
    try:
        if trust:
            return torch.load(path, map_location=map_location, weights_only=False)
        with _safe_globals():
            return torch.load(path, map_location=map_location, weights_only=True)
    except (FileNotFoundError, PermissionError):
        raise
    # OSError: what torch's zip reader raises for some truncated files.
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise _explain(path, error) from error


def _explain(path: str, error: Exception) -> RuntimeError:
    text = str(error)
    found = re.search(r'GLOBAL (\S+)|unrecognized function (<[^>]*>|\S+)|unsupported class (<[^>]*>|\S+)', text)
    if found:
        culprit = next(name for name in found.groups() if name)
        return UnsafeCheckpoint(
            f'{path} was not loaded: it asks for `{culprit}`, which is neither a tensor nor plain data and could run '
            f'code. If you know who made the file, load it with --trust-checkpoint (or {TRUST_VARIABLE}=1); otherwise '
            'ask for a file with weights only.'
        )
    size = osp.getsize(path)
    reason = text.strip().splitlines()[-1] if text.strip() else type(error).__name__
    return CorruptCheckpoint(
        f'{path} ({size} bytes) is no readable checkpoint: it is truncated, or another kind of file ({reason}). '
        'Fetch or copy it again, or resume from an earlier one.'
    )


def _to_history(value: Any) -> Any:
    if isinstance(value, _PickledHistory):
        return HistoryBuffer(value.log_history, value.count_history, value.max_length)
    if isinstance(value, dict) and value.keys() == {'log_history', 'count_history', 'max_length'}:
        return HistoryBuffer(
            value['log_history'].cpu().numpy(), value['count_history'].cpu().numpy(), value['max_length']
        )
    return value


def load_checkpoint_file(path: str, map_location: Any = 'cpu', trust: bool = False) -> Any:
    """Read a checkpoint without running anything that it may hold.

    Args:
        path: A local file.
        map_location: As in ``torch.load``.
        trust: Unpickle arbitrary objects: only for files whose maker you know.

    Raises:
        FileNotFoundError: There is no such file.
        CorruptCheckpoint: It is truncated, or something else than a checkpoint.
        UnsafeCheckpoint: It needs an object outside the allow-list; the message names it.
    """
    path = osp.expanduser(path)
    if not osp.isfile(path):
        raise FileNotFoundError(f'no checkpoint at {path}')
    checkpoint = _read(path, map_location, trust)
    if isinstance(checkpoint, dict) and not trust and isinstance(checkpoint.get('meta'), dict):
        # Runner.resume runs this text as Python. Only mmdet 2.x wrote it; nothing of mmengine's is lost without it.
        checkpoint['meta'].pop('config', None)
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get('message_hub'), dict):
        scalars = checkpoint['message_hub'].get('log_scalars', {})
        checkpoint['message_hub']['log_scalars'] = OrderedDict((k, _to_history(v)) for k, v in scalars.items())
    return checkpoint


def plain(value: Any) -> Any:
    """``value`` as tensors and plain Python data, so that it loads with ``weights_only=True`` and no allow-list."""
    if isinstance(value, HistoryBuffer):
        log, count = value.data
        return dict(log_history=torch.as_tensor(log), count_history=torch.as_tensor(count), max_length=value.max_length)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        kind = type(value) if type(value) in (OrderedDict, Counter) else dict
        return kind({key: plain(item) for key, item in value.items()})
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def make_plain(checkpoint: dict) -> None:
    """Turn everything but the state dicts of ``checkpoint`` into plain data, in place."""
    for key in checkpoint.keys() - set(STATE_DICTS):
        checkpoint[key] = plain(checkpoint[key])


def write_atomically(data: bytes, path: str, verify=None) -> None:
    """Replace ``path`` by ``data`` so that at every moment it holds the old or the new content as a whole.

    Args:
        data: The new content.
        path: Target; its folder is made where missing.
        verify: Called with the temporary file before it takes the name; an exception leaves the old file in place.
    """
    folder, name = osp.split(osp.abspath(path))
    os.makedirs(folder, exist_ok=True)
    temporary = osp.join(folder, f'.{name}.{os.getpid()}.tmp')
    try:
        with open(temporary, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if verify is not None:
            verify(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        if isinstance(error, OSError):
            raise OSError(
                error.errno,
                f'{path} was not written: {error.strerror or error}; the files that were there before are intact',
            ) from error
        raise


def remove_leftovers(folder: str) -> None:
    """Delete the temporary files of saves that were killed."""
    for name in os.listdir(folder):
        if re.fullmatch(r'\..+\.\d+\.tmp', name):
            os.remove(osp.join(folder, name))


def check_bytes(path: str) -> None:
    """Raise :class:`CorruptCheckpoint` when the content of ``path`` does not match its own checksums."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
    if broken is not None:
        raise CorruptCheckpoint(f'{path} is damaged: {broken} does not match its checksum')


def verify_checkpoint(path: str) -> None:
    """Read ``path`` back as a whole; raises :class:`CorruptCheckpoint`, warns if only a trusting load could read it."""
    check_bytes(path)
    try:
        _read(path, 'meta', trust=False)
    except UnsafeCheckpoint as error:
        print_log(
            f'The checkpoint being saved can be loaded only with --trust-checkpoint. {error}',
            logger='current',
            level=logging.WARNING,
        )


class AtomicBackend(LocalBackend):
    """A local file backend whose ``put`` writes beside the target, verifies and renames."""

    def put(self, obj: bytes, filepath: str) -> None:
        write_atomically(obj, str(filepath), verify=verify_checkpoint)


def find_resumable(work_dir: str) -> str | None:
    """The newest checkpoint of ``work_dir`` that can be resumed; damaged ones are skipped, and the log says so.

    The file named by ``last_checkpoint`` comes first, then the others by time. A file that is refused as unsafe is not
    skipped: training from an older state must not happen because of a missing ``--trust-checkpoint``.
    """
    for path in _candidates(work_dir):
        try:
            check_bytes(path)
            checkpoint = _read(path, 'meta', trusted())
        except (CorruptCheckpoint, FileNotFoundError) as error:
            print_log(f'Resume skips a checkpoint: {error}', logger='current', level=logging.WARNING)
            continue
        if isinstance(checkpoint, dict) and 'message_hub' in checkpoint and 'optimizer' in checkpoint:
            return path
    return None


def _candidates(work_dir: str) -> list[str]:
    if not osp.isdir(work_dir):
        return []
    files = [osp.join(work_dir, name) for name in os.listdir(work_dir) if name.endswith('.pth')]
    files.sort(key=osp.getmtime, reverse=True)
    pointer = osp.join(work_dir, POINTER)
    if osp.isfile(pointer):
        with open(pointer, encoding='utf-8') as file:
            last = file.read().strip()
        if last:
            files = [last] + [file for file in files if osp.abspath(file) != osp.abspath(last)]
    return files


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """mmengine's loader for local files, made safe."""
    return load_checkpoint_file(filename, map_location, trusted())


def load_from_url(url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True) -> Any:
    """mmengine's loader for http(s), made safe: torch's ``load_state_dict_from_url`` unpickles anything by default."""
    folder = model_dir or osp.join(torch.hub.get_dir(), 'checkpoints')
    path = osp.join(folder, osp.basename(url.split('?')[0]))
    if not osp.isfile(path):
        os.makedirs(folder, exist_ok=True)
        torch.hub.download_url_to_file(url, path, progress=progress)
    return load_checkpoint_file(path, map_location, trusted())


def install() -> None:
    """Make mmengine load, resume and account through this module. Importing ``mmparts.engine`` does it.

    A runner has imported it before it loads anything as soon as one part of its config is ``mmparts.Something``.
    """
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    mmengine_checkpoint.load_url = load_from_url
    mmengine_checkpoint.load_state_dict = load_and_account
    mmengine_runner.find_latest_checkpoint = find_resumable
    if hasattr(mmengine_checkpoint, '_safe_torch_load'):  # onedl-mmengine: falls back to unpickling anything
        mmengine_checkpoint._safe_torch_load = lambda file, map_location=None, **_: load_from_local(file, map_location)
    register_backend(BACKEND, AtomicBackend, force=True)
