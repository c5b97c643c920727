"""Readers for weight files of all formats: what a file is and what it holds. No code of a file is run.

torch's (``.pth .pt .bin .ckpt``), ``.safetensors``, ``.npz`` of arrays (Flax names with slashes) and TorchScript
archives are told apart by their content, not by their names. All that can be checked is: the checksums of zip archives
(torch's files are such), and with `check_finite` the numbers.
"""

import os.path as osp
import pickle
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import CorruptCheckpoint
from .torch_file import read_torch, trusted
from .torchscript import read_torchscript

# First bytes of files that hold no weights, or none that can be read here: what they are, and what to do.
OTHERS = (
    (b'\x89HDF\r\n\x1a\n', 'an HDF5 file (as Keras writes)', 'save its arrays with numpy.savez under their names'),
    (b'\x1f\x8b', 'a gzip archive', 'unpack it and give the file inside'),
    (b'version https://git-lfs', 'a Git LFS pointer, not the file itself', 'run `git lfs pull`'),
    (b'<', 'a web page or another text', 'the download failed: fetch it again'),
    (b'{', 'a JSON text', 'give the file of the weights beside it'),
    (
        b'\x80',
        'a Python pickle that torch did not write, and could run code',
        'if you know who made it, save its arrays by name with numpy.savez (of a tree of Haiku, where it is installed: '
        "`np.savez(OUT, **{f'{m}/{n}': a for m, d in tree.items() for n, a in d.items()})`)",
    ),
    (b'\x93NUMPY', 'a single array (.npy)', 'save all arrays by name with numpy.savez'),
)
# How torch's files began before 1.6: the pickle of a number.
BEFORE_1_6 = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)


@dataclass(frozen=True)
class WeightFile:
    """A file that was read.

    Attributes:
        path: where it lies.
        kind: what it is, for messages: 'an npz of 237 arrays'.
        content: what it holds: by name a tensor, or anything for torch's files.
    """

    path: str
    kind: str
    content: Any

    def __str__(self) -> str:
        return f'{self.path} ({self.kind})'


def read_file(path: str, map_location: Any = 'cpu', trust: bool | None = None) -> WeightFile:
    """Read a file of weights in any of the formats above.

    Args:
        map_location: As in ``torch.load``.
        trust: Unpickle arbitrary objects from torch's files; None: as the user said (``--trust-checkpoint``).

    Raises:
        FileNotFoundError: There is no such file.
        CorruptCheckpoint: It is damaged, or no file of weights; the message says what it is.
        UnsafeCheckpoint: It asks for an object that could run code.
        ImportError: Its format needs a package that is not installed.
    """
    path = osp.expanduser(str(path))
    if osp.isdir(path):
        raise IsADirectoryError(whole_wanted(path))
    if not osp.isfile(path):
        raise FileNotFoundError(f'no checkpoint at {path}')
    trust = trusted() if trust is None else trust
    if zipfile.is_zipfile(path):
        return _read_zip(path, map_location, trust)
    with open(path, 'rb') as file:
        head = file.read(64)
    if is_safetensors(path, head):
        return read_safetensors(path, map_location)
    if head.startswith(BEFORE_1_6):
        return WeightFile(path, 'a torch checkpoint, as before 1.6', read_torch(path, map_location, trust))
    raise _not_weights(path, head)


def whole_wanted(folder: str) -> str:
    """What to say of a folder where a file is wanted."""
    root, ending = osp.splitext(osp.normpath(folder))
    if ending != '.dcp':
        return f'{folder} is a folder; give a checkpoint in it'
    return f'{folder} is a checkpoint in shards, a part a process; make it one file: mmparts gather {folder} {root}.pth'


def _read_zip(path: str, map_location: Any, trust: bool) -> WeightFile:
    check_bytes(path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith('/constants.pkl') for name in names):
        state = read_torchscript(path)
        return WeightFile(path, f'a TorchScript archive of {len(state)} tensors', _moved(state, map_location))
    if any(name.endswith('/data.pkl') for name in names):
        return WeightFile(path, 'a torch checkpoint', read_torch(path, map_location, trust))
    if names and all(name.endswith('.npy') for name in names):
        return WeightFile(path, f'an npz of {len(names)} arrays', _moved(read_npz(path), map_location))
    raise CorruptCheckpoint(
        f'{path} is no readable checkpoint: it is a zip archive of {len(names)} files ({", ".join(names[:3])}), '
        'none of which holds weights. Unpack it and give the file inside'
    )


def _not_weights(path: str, head: bytes) -> CorruptCheckpoint:
    size = osp.getsize(path)
    what, advice = next(
        ((what, advice) for start, what, advice in OTHERS if head.lstrip().startswith(start)),
        ('of no format known here (.pth, .safetensors, .npz, TorchScript)', 'give the file of the weights'),
    )
    if not head:
        what, advice = 'empty', 'fetch or copy it again'
    elif head.startswith(b'PK'):
        what, advice = 'truncated: a zip archive, as torch writes them, without its end', 'fetch or copy it again'
    elif str(path).endswith('.safetensors'):
        what, advice = 'truncated or damaged: named .safetensors, without the header of one', 'fetch or copy it again'
    return CorruptCheckpoint(f'{path} ({size} bytes) is no readable checkpoint: it is {what}; {advice}')


def check_bytes(path: str) -> None:
    """Raise :class:`CorruptCheckpoint` when the content of ``path`` does not match its own checksums."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        raise CorruptCheckpoint(f'{path} is damaged: {error}; fetch or copy it again') from error
    if broken is not None:
        raise CorruptCheckpoint(f'{path} is damaged: {broken} does not match its checksum; fetch or copy it again')


def is_safetensors(path: str, head: bytes) -> bool:
    """Whether a file begins as the format says: the length of its header, then the header, a JSON text."""
    if len(head) < 9:
        return False
    (length,) = struct.unpack('<Q', head[:8])
    return head[8:9] == b'{' and length + 8 <= osp.getsize(path)


def read_safetensors(path: str, map_location: Any = 'cpu') -> WeightFile:
    """Tensors by name; the package `safetensors` is needed."""
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError(f'{path}: to read this format, `pip install safetensors`') from error
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise CorruptCheckpoint(f'{path} is a safetensors file that is damaged: {error}') from error
    return WeightFile(path, f'a safetensors file of {len(state)} tensors', _moved(state, map_location))


def read_npz(path: str) -> dict[str, Tensor]:
    """Arrays by name, as tensors. Arrays of Python objects are pickles, which could run code: they are refused."""
    state = {}
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            try:
                array = arrays[name]
            except ValueError as error:
                raise CorruptCheckpoint(
                    f'{path}: the array {name!r} cannot be read: {error}. An array of Python objects is a pickle and '
                    'could run code. If you know who made the file, write its arrays out by name: '
                    f'`tree = np.load({osp.basename(path)!r}, allow_pickle=True)[{name!r}].item()`, then '
                    '`np.savez(OUT, **flat)` with one entry for each array of the tree'
                ) from error
            state[name] = _tensor(array, f'{path}: the array {name!r}')
    return state


def _tensor(array: np.ndarray, what: str) -> Tensor:
    if array.dtype == np.dtype('V2'):  # what numpy makes of JAX's bfloat16
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    try:
        return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))
    except TypeError as error:
        raise CorruptCheckpoint(f'{what} is no array of numbers: its type is {array.dtype}') from error


def _moved(state: dict[str, Tensor], map_location: Any) -> dict[str, Tensor]:
    if not isinstance(map_location, (str, torch.device)):  # None, or a function or table for torch.load
        return state
    return {name: tensor.to(map_location) for name, tensor in state.items()}


def check_finite(tensors: Mapping[str, Any], where: str) -> None:
    """Raise :class:`CorruptCheckpoint` when one of `tensors`, in dicts and lists of any depth, holds NaN or infinity.

    Args:
        where: what they are, for the message: the file.
    """
    for name, tensor in leaves(tensors):
        if not is_finite(tensor):
            bad = int((~torch.isfinite(tensor)).sum())
            raise CorruptCheckpoint(
                f'{where} holds numbers that are not finite: {bad} of {tensor.numel():,} in {name}. The training that '
                'wrote it had diverged, or the file is damaged; take an earlier one, or fetch it again'
            )


def is_finite(tensor: Tensor) -> bool:
    """Whether no number is NaN or infinite: seen in the extremes, five times as fast as looking at each."""
    return not tensor.is_floating_point() or not tensor.numel() or bool(torch.stack(tensor.aminmax()).isfinite().all())


def leaves(value: Any, name: str = '') -> Iterator[tuple[str, Tensor]]:
    """(dotted name, tensor) of all tensors in nested dicts and lists."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f'{name}.{key}'.strip('.'))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from leaves(item, f'{name}.{index}'.strip('.'))
