"""Checkpoints that load without running code and survive a kill or a full disk.

Stock mmengine 0.10.7 cannot resume its own files on torch >= 2.6 (they hold ``HistoryBuffer`` objects, which
``weights_only=True`` refuses), and its maintained fork falls back to unpickling anything. Here files are always read
with ``weights_only=True`` and a short allow-list; what mmengine pickles but must not run is replaced by inert
stand-ins. :func:`install` puts this under mmengine's own loading functions, so a stock runner,
``init_cfg=dict(type='Pretrained')`` and mmdet's ``init_detector`` use it too. The files that
:class:`~.checkpoint_hook.SafeCheckpointHook` writes hold tensors and plain data only: ``torch.load`` alone reads them.
"""

import contextlib
import hashlib
import logging
import os
import os.path as osp
import re
import socket
from collections import Counter, OrderedDict
from typing import Any

import mmengine.runner.checkpoint as mmengine_checkpoint
import numpy as np
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner import CheckpointLoader

from ...weights.errors import CorruptCheckpoint, UnsafeCheckpoint
from ...weights.readers import check_bytes, check_finite, read_file
from ...weights.torch_file import PickledHistory, read_torch, trusted
from ..initialisation.fit import load_and_account
from ..resuming.lock import process_start

BACKEND = 'mmparts.atomic'
POINTER = 'last_checkpoint'
# State dicts carry `_metadata` that a rebuilt dict would lose, and hold nothing but tensors.
STATE_DICTS = ('state_dict', 'ema_state_dict')


def _to_history(value: Any) -> Any:
    if isinstance(value, PickledHistory):
        return HistoryBuffer(value.log_history, value.count_history, value.max_length)
    if isinstance(value, dict) and value.keys() == {'log_history', 'count_history', 'max_length'}:
        return HistoryBuffer(
            value['log_history'].cpu().numpy(), value['count_history'].cpu().numpy(), value['max_length']
        )
    return value


def load_checkpoint_file(path: str, map_location: Any = 'cpu', trust: bool = False) -> Any:
    """Read a checkpoint without running anything that it may hold, and check its bytes and numbers.

    Args:
        path: A local file, of any format that `weights/readers.py` knows.
        map_location: As in ``torch.load``.
        trust: Unpickle arbitrary objects: only for files whose maker you know.

    Raises:
        FileNotFoundError: There is no such file.
        CorruptCheckpoint: It is damaged, holds NaN or infinity, or is something else than a checkpoint.
        UnsafeCheckpoint: It needs an object outside the allow-list; the message names it.
    """
    checkpoint = read_file(path, map_location, trust).content
    check_numbers(checkpoint, path)
    if isinstance(checkpoint, dict) and not trust and isinstance(checkpoint.get('meta'), dict):
        # Runner.resume runs this text as Python. Only mmdet 2.x wrote it; nothing of mmengine's is lost without it.
        checkpoint['meta'].pop('config', None)
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get('message_hub'), dict):
        scalars = checkpoint['message_hub'].get('log_scalars', {})
        checkpoint['message_hub']['log_scalars'] = OrderedDict((k, _to_history(v)) for k, v in scalars.items())
    return checkpoint


def check_numbers(checkpoint: Any, path: str) -> None:
    """Raise :class:`CorruptCheckpoint` when weights or optimizer states of ``checkpoint`` are NaN or infinite."""
    if isinstance(checkpoint, dict):
        # A log may hold NaN: it says that a loss was.
        kept = {key: value for key, value in checkpoint.items() if key in (*STATE_DICTS, 'optimizer')}
        check_finite(kept or checkpoint, path)


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
    temporary = osp.join(folder, f'.{name}.{socket.gethostname()}.{os.getpid()}.tmp')
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
    """Delete the temporary files of saves that were killed: those of processes of this machine that are no more."""
    own = re.escape(socket.gethostname())
    for name in os.listdir(folder):
        found = re.fullmatch(rf'\..+\.{own}\.(\d+)\.tmp', name)
        if found and process_start(int(found[1])) is None:
            with contextlib.suppress(FileNotFoundError):
                os.remove(osp.join(folder, name))


def verify_checkpoint(path: str) -> None:
    """Read ``path`` back as a whole; raises :class:`CorruptCheckpoint`, warns if only a trusting load could read it."""
    check_bytes(path)
    try:
        read_torch(path, 'meta')
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


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """mmengine's loader for local files, made safe."""
    return load_checkpoint_file(filename, map_location, trusted())


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def load_from_url(url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True) -> Any:
    """mmengine's loader for http(s), made safe: torch's ``load_state_dict_from_url`` unpickles anything by default.

    A file is kept in a folder for its whole address, so two addresses with files of one name do not meet. What it must
    be is said by ``URL#sha256=...``, or by eight digits in its name (``-0123abcd.pth``); where nothing says it, the log
    tells its hash.

    Raises:
        CorruptCheckpoint: the file is not the one that the hash belongs to.
    """
    address, _, wanted = url.partition('#sha256=')
    name = osp.basename(address.split('?')[0])
    in_name = re.search(r'-([0-9a-f]{8,64})\.\w+$', name)
    wanted = wanted.lower() or (in_name[1] if in_name else '')
    folder = osp.join(
        model_dir or osp.join(torch.hub.get_dir(), 'checkpoints'), hashlib.sha256(address.encode()).hexdigest()[:12]
    )
    path = osp.join(folder, name)
    if not osp.isfile(path):
        os.makedirs(folder, exist_ok=True)
        torch.hub.download_url_to_file(address, path, progress=progress)
    digest = sha256(path)
    if not digest.startswith(wanted):
        os.remove(path)
        raise CorruptCheckpoint(
            f'{address} gave a file with sha256 {digest}, not {wanted}: it is damaged or another one, and was removed. '
            'Fetch it again, or ask its maker for the right hash'
        )
    if not wanted:
        print_log(f'{address} has no hash; to be sure of the file, write {address}#sha256={digest}', 'current')
    return load_checkpoint_file(path, map_location, trusted())


def install() -> None:
    """Make mmengine load and account through this module. Importing ``mmparts.engine`` does it.

    A runner has imported it before it loads anything as soon as one part of its config is ``mmparts.Something``.
    """
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    mmengine_checkpoint.load_url = load_from_url
    mmengine_checkpoint.load_state_dict = load_and_account
    if hasattr(mmengine_checkpoint, '_safe_torch_load'):  # onedl-mmengine: falls back to unpickling anything
        mmengine_checkpoint._safe_torch_load = lambda file, map_location=None, **_: load_from_local(file, map_location)
    register_backend(BACKEND, AtomicBackend, force=True)
