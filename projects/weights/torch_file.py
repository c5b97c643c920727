"""torch's own files, read without running code from them.

Files are read with ``weights_only=True`` and a short allow-list; what mmengine pickles but must not run (stock mmengine
0.10.7 cannot read its own files so) is replaced by inert stand-ins.
"""

import argparse
import contextlib
import os
import os.path as osp
import pickle
import re
from typing import Any

import numpy as np
import torch

from .errors import CorruptCheckpoint, UnsafeCheckpoint

TRUST_VARIABLE = 'MMPARTS_TRUST_CHECKPOINT'


class PickledHistory:
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
        (PickledHistory, 'mmengine.logging.history_buffer.HistoryBuffer'),
        (_inert_getattr, 'builtins.getattr'),
        (dict, 'mmengine.config.config.ConfigDict'),
    ]
    for package in ('numpy._core', 'numpy.core'):
        renamed += [
            (core.multiarray._reconstruct, f'{package}.multiarray._reconstruct'),
            (core.multiarray.scalar, f'{package}.multiarray.scalar'),
        ]
    # `BUILD` is checked against the class itself, hence the stand-ins appear by their own names too.
    return plain + [PickledHistory] + renamed


def _safe_globals() -> contextlib.AbstractContextManager:
    # torch < 2.6 has no allow-list with names: our own files and bare state dicts load there, mmengine's do not.
    if tuple(int(part) for part in re.findall(r'\d+', torch.__version__)[:2]) < (2, 6):
        return contextlib.nullcontext()
    return torch.serialization.safe_globals(_allowed())


def trusted() -> bool:
    """Whether the user said ``--trust-checkpoint`` (or set ``MMPARTS_TRUST_CHECKPOINT=1``)."""
    return os.environ.get(TRUST_VARIABLE, '0') not in ('', '0')


def read_torch(path: str, map_location: Any = 'cpu', trust: bool = False) -> Any:
    """The content of a file that ``torch.save`` wrote.

    Args:
        map_location: As in ``torch.load``.
        trust: Unpickle arbitrary objects: only for files whose maker you know.

    Raises:
        CorruptCheckpoint: It cannot be read.
        UnsafeCheckpoint: It needs an object outside the allow-list; the message names it.
    """
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
        return unsafe(path, next(name for name in found.groups() if name))
    size = osp.getsize(path)
    reason = text.strip().splitlines()[-1] if text.strip() else type(error).__name__
    return CorruptCheckpoint(
        f'{path} ({size} bytes) is no readable checkpoint: it begins as a torch file and cannot be read to its end '
        f'({reason}). Fetch or copy it again, or resume from an earlier one.'
    )


def unsafe(path: str, culprit: str) -> UnsafeCheckpoint:
    """The refusal of a file that asks for `culprit`."""
    return UnsafeCheckpoint(
        f'{path} was not loaded: it asks for `{culprit}`, which is neither a tensor nor plain data and could run '
        f'code. If you know who made the file, load it with --trust-checkpoint (or {TRUST_VARIABLE}=1); otherwise '
        'ask for a file with weights only.'
    )
