"""Checkpoints to give away: weights, class names and config, and nothing else."""

import hashlib
import io
import os.path as osp

import torch

from ...weights.torch_file import trusted
from .checkpoint import load_checkpoint_file, write_atomically

META = ('dataset_meta', 'cfg', 'mmengine_version', 'epoch', 'iter', 'experiment_name')  # what stays of the run's words
AVERAGE = 'module.'  # before the names of averaged weights


def publish(source: str, out: str, half: bool = False) -> str:
    """Write a slim copy.

    Args:
        source: a checkpoint.
        out: OUT.pth; eight digits of its SHA-256 are put before the ending.
        half: weights in half precision; others as they are.

    Returns:
        The file.

    Raises:
        ValueError: the name has another ending; no weights are in the file.
    """
    root, ending = osp.splitext(out)
    if ending != '.pth':
        raise ValueError(f'{out}: the name must end with .pth')
    loaded = load_checkpoint_file(source, 'cpu', trusted())
    weights = loaded.get('state_dict')
    if not weights:
        raise ValueError(f'{source} has no state_dict; it holds {", ".join(map(str, list(loaded)[:8]))}')
    averaged = loaded.get('ema_state_dict')
    if averaged:  # of mmengine's EMAHook; validation used it
        weights = {key.removeprefix(AVERAGE): value for key, value in averaged.items() if key != 'steps'}
    kept = {key: value.half() if half and value.is_floating_point() else value for key, value in weights.items()}
    meta = {key: value for key, value in (loaded.get('meta') or {}).items() if key in META}
    file = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=kept), file)
    data = file.getvalue()
    path = f'{root}-{hashlib.sha256(data).hexdigest()[:8]}{ending}'
    write_atomically(data, path)
    return path
