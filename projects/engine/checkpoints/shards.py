"""Checkpoints that each process writes its own part of (torch.distributed.checkpoint): `epoch_3.dcp/`.

A folder holds `index.pth`, an ordinary file of plain data and small tensors (meta, log, schedules, and where each piece
of each tensor lies), and one `data-N` with the pieces, a file a process. The index is written last and in one stroke,
so it always names a whole set; torch's own `.metadata` lies beside the pieces for other tools, and is never read here:
it is a pickle.
"""

import contextlib
import hashlib
import io
import os
import os.path as osp
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.dist import get_rank, is_distributed
from torch import Tensor

from ...weights.errors import CorruptCheckpoint, UnsafeCheckpoint
from ...weights.readers import check_finite
from ..faults.consensus import gathered
from .checkpoint import load_checkpoint_file, make_plain, verify_checkpoint, write_atomically

ENDING = '.dcp'
INDEX = 'index.pth'
PIECES = re.compile(r'__\d+_\d+\.distcp')
TORCH_FILES = re.compile(r'__\d+_\d+\.distcp|\.metadata(\.tmp)?')
MODEL, OPTIMIZER = 'model.', 'optimizer.'  # what the names of tensors begin with


def is_sharded(path: str) -> bool:
    """Whether ``path`` is a folder of shards that was written to its end."""
    return osp.isfile(osp.join(path, INDEX))


# ---------------------------------------------------------------------------------------------------------- writing


def write_pieces(folder: str, tensors: Mapping[str, Tensor]) -> dict:
    """Write this process's part of ``tensors`` below ``folder``; all processes must come here.

    Returns:
        For the index, on rank 0: `data`, the folder's name, and `tensors`, where the pieces lie.

    Raises:
        OSError: A process could not write, or rank 0 cannot see what another wrote; the old index still stands.
    """
    import torch.distributed.checkpoint as dcp  # as fully_shard, not of every torch

    names = gathered(_free_name(folder))  # rank 0's; disks may differ
    data = osp.join(folder, names[0])
    writer = _index_writer(data)
    error = None
    try:
        dcp.save(dict(tensors), storage_writer=writer)
    except (Exception, dcp.api.CheckpointException) as raised:  # on all, whoever met it; no Exception, in torch's eyes
        error = raised
    failed = [rank for rank, each in enumerate(gathered(error is not None)) if each]
    if failed:
        raise OSError(f'{folder} was not written by the processes {failed}: {_first_line(error)}; {_INTACT}') from error
    made = gathered(dict(data=names[0], tensors=writer.index))[0]
    problems = [each for each in gathered(_problem(folder, made)) if each]
    if problems:
        raise OSError(f'{folder} was not written: {problems[0]}. {_INTACT}')
    return made


def _problem(folder: str, made: dict) -> str | None:
    """What is wrong with the files of this process, read back; rank 0 also looks for those of the others."""
    files = {piece['file'] for tensor in made['tensors'].values() for piece in tensor['pieces']}
    missing = sorted(file for file in files if not osp.isfile(osp.join(folder, made['data'], file)))
    if missing and get_rank() == 0:
        return (
            f'rank 0 does not see {", ".join(missing)}; shards need a disk that all machines share, without one take '
            'fsdp = dict(checkpoint="plain")'
        )
    try:
        for _ in pieces(folder, made, of_file=f'__{get_rank()}_0.distcp'):
            continue
    except CorruptCheckpoint as error:
        return str(error)
    return None


_INTACT = 'the files that were there before are intact'


def _first_line(error: BaseException | None) -> str:
    inner = getattr(error, 'failures', None)
    if inner:
        error = next(iter(inner.values()))[0]
    return str(error).strip().splitlines()[0] if str(error or '').strip() else type(error).__name__


def _free_name(folder: str) -> str:
    number = 0
    while osp.exists(osp.join(folder, f'data-{number}')):
        number += 1
    return f'data-{number}'


def _index_writer(data: str):
    """torch's writer that also keeps, on rank 0, where everything lies, as plain data."""
    from torch.distributed.checkpoint import FileSystemWriter

    class Writer(FileSystemWriter):
        index: dict = {}

        def finish(self, metadata, results) -> None:
            super().finish(metadata, results)
            self.index = to_plain(metadata)

    return Writer(data)


def to_plain(metadata: Any) -> dict:
    """{name: dict(size, dtype, pieces=[dict(start, size, file, offset, length)])} of torch's metadata."""
    index, sizes = {}, {}
    for name, tensor in metadata.state_dict_metadata.items():
        index[name] = dict(size=list(tensor.size), dtype=str(tensor.properties.dtype).removeprefix('torch.'), pieces=[])
        sizes |= {(name, tuple(chunk.offsets)): list(chunk.sizes) for chunk in tensor.chunks}
    for where, info in metadata.storage_data.items():
        start = tuple(where.offset)
        file = dict(file=str(info.relative_path), offset=info.offset, length=info.length)
        index[where.fqn]['pieces'].append(dict(start=list(start), size=sizes[where.fqn, start], **file))
    return index


# ---------------------------------------------------------------------------------------------------------- reading


def read_index(folder: str) -> dict:
    """The plain part of a checkpoint, with `shards` in it.

    Raises:
        CorruptCheckpoint: The folder was not written to its end, or its index is not one of ours.
    """
    path = osp.join(folder, INDEX)
    if not osp.isfile(path):
        raise CorruptCheckpoint(f'{folder} has no {INDEX}: the save was broken off; take an earlier checkpoint')
    content = load_checkpoint_file(path)
    shards = content.get('meta', {}).get('shards') if isinstance(content, dict) else None
    if not isinstance(shards, dict) or not re.fullmatch(r'data-\d+', str(shards.get('data'))):
        raise CorruptCheckpoint(f'{path} does not say where the shards are; take an earlier checkpoint')
    for name, tensor in shards['tensors'].items():
        numel = sum(torch.Size(piece['size']).numel() for piece in tensor['pieces'])
        if numel != torch.Size(tensor['size']).numel():
            raise CorruptCheckpoint(f'{path}: the pieces of {name} are {numel} numbers, not {tensor["size"]}')
        for piece in tensor['pieces']:
            if not PIECES.fullmatch(piece['file']):
                raise CorruptCheckpoint(f'{path}: {piece["file"]!r} is no name of a shard')
    return content


def pieces(folder: str, shards: dict, of_file: str | None = None) -> Iterator[tuple[str, list[int], Tensor]]:
    """(name, start, tensor) of each piece, or of those in one file, read and held against its checksum.

    Raises:
        CorruptCheckpoint: A file is missing, too short, or not what was written.
    """
    all_pieces = [(name, piece) for name, tensor in shards['tensors'].items() for piece in tensor['pieces']]
    for name, piece in all_pieces:
        if of_file not in (None, piece['file']):
            continue
        path = osp.join(folder, shards['data'], piece['file'])
        try:
            with open(path, 'rb') as file:
                file.seek(piece['offset'])
                data = io.BytesIO(file.read(piece['length']))
            with zipfile.ZipFile(data) as archive:
                broken = archive.testzip()
            data.seek(0)
            tensor = torch.load(data, map_location='cpu', weights_only=True) if broken is None else None
        except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, NotImplementedError) as error:
            raise CorruptCheckpoint(f'{path} is damaged at {name}: {error}; take an earlier checkpoint') from error
        if tensor is None or list(tensor.shape) != list(piece['size']):
            raise CorruptCheckpoint(f'{path} is damaged: {name} is not what was written; take an earlier checkpoint')
        yield name, piece['start'], tensor


def check(folder: str, part: int = 0, parts: int = 1) -> dict:
    """The index of a checkpoint whose pieces are whole and finite; of one ``part`` of the files, of ``parts``.

    Raises:
        CorruptCheckpoint: They are not.
    """
    index = read_index(folder)
    shards = index['meta']['shards']
    files = sorted({piece['file'] for tensor in shards['tensors'].values() for piece in tensor['pieces']})
    for file in files[part::parts]:
        for name, _, tensor in pieces(folder, shards, file):
            check_finite({name: tensor}, folder)
    return index


def fingerprint(folder: str) -> str | None:
    """Equal where the same index lies beside files of the same sizes; None where there is none."""
    if not is_sharded(folder):
        return None
    with open(osp.join(folder, INDEX), 'rb') as file:
        digest = hashlib.sha256(file.read())
    data = osp.join(folder, read_index(folder)['meta']['shards']['data'])
    for name in sorted(os.listdir(data)):
        digest.update(f'{name} {osp.getsize(osp.join(data, name))}'.encode())
    return digest.hexdigest()


def fill(folder: str, index: dict, tensors: dict[str, Tensor]) -> None:
    """Fill ``tensors`` in place, whole ones or parts (DTensor), by their names; all processes must come here."""
    import torch.distributed.checkpoint as dcp

    try:
        dcp.load(tensors, storage_reader=_reader(folder, index['meta']['shards']), no_dist=not is_distributed())
    except dcp.api.CheckpointException as error:
        raise CorruptCheckpoint(f'{folder} cannot be read: {_first_line(error)}; take an earlier checkpoint') from error


def _reader(folder: str, shards: dict):
    from torch.distributed.checkpoint import FileSystemReader

    class Reader(FileSystemReader):
        def read_metadata(self, *args, **kwargs):
            return from_plain(shards['tensors'])

    return Reader(osp.join(folder, shards['data']))


def from_plain(index: dict) -> Any:
    """torch's metadata again."""
    from torch.distributed.checkpoint.filesystem import _StorageInfo
    from torch.distributed.checkpoint.metadata import (
        ChunkStorageMetadata,
        Metadata,
        MetadataIndex,
        TensorProperties,
        TensorStorageMetadata,
    )

    state, storage = {}, {}
    for name, tensor in index.items():
        chunks = []
        for number, piece in enumerate(tensor['pieces']):
            start, size = torch.Size(piece['start']), torch.Size(piece['size'])
            chunks.append(ChunkStorageMetadata(start, size))
            info = _StorageInfo(piece['file'], piece['offset'], piece['length'])
            storage[MetadataIndex(name, start, number)] = info
        properties = TensorProperties(dtype=getattr(torch, tensor['dtype']))
        state[name] = TensorStorageMetadata(properties, torch.Size(tensor['size']), chunks)
    return Metadata(state_dict_metadata=state, storage_data=storage)


def empty(index: dict, name: str) -> Tensor:
    """A whole tensor of that name, to be filled."""
    tensor = index['meta']['shards']['tensors'][name]
    return torch.empty(tensor['size'], dtype=getattr(torch, tensor['dtype']))


def put(checkpoint: dict, tensors: Mapping[str, Tensor]) -> dict:
    """``checkpoint``, an index, with the tensors in the places where an ordinary checkpoint has them."""
    for name, tensor in tensors.items():
        if name.startswith(MODEL):
            checkpoint['state_dict'][name.removeprefix(MODEL)] = tensor
        else:
            number, _, key = name.removeprefix(OPTIMIZER).partition('.')
            checkpoint['optimizer']['state'].setdefault(int(number), {})[key] = tensor
    return checkpoint


def whole(folder: str) -> dict:
    """The checkpoint as an ordinary one: whole tensors, in the memory of this process.

    Raises:
        CorruptCheckpoint: It is damaged or not finite.
    """
    index = read_index(folder)
    shards = index['meta']['shards']
    tensors = {name: empty(index, name) for name in shards['tensors']}
    for name, start, piece in pieces(folder, shards):
        check_finite({name: piece}, folder)
        place = tuple(slice(first, first + size) for first, size in zip(start, piece.shape))
        tensors[name][place] = piece
    checkpoint = put(index, tensors)
    del checkpoint['meta']['shards']
    if 'optimizer' in checkpoint:  # in the order of the parameters, as in other files
        checkpoint['optimizer']['state'] = dict(sorted(checkpoint['optimizer']['state'].items()))
    make_plain(checkpoint)
    return checkpoint


def gather(folder: str, out: str) -> None:
    """Write the checkpoint as one ordinary file, all or nothing."""
    file = io.BytesIO()
    torch.save(whole(folder), file)
    write_atomically(file.getvalue(), out, verify=verify_checkpoint)


# --------------------------------------------------------------------------------------------------------- removing


def remove_data(folder: str, keep: str | None = None) -> None:
    """Delete the files of shards below ``folder`` but those of ``keep``: by their names, so nothing else goes."""
    for name in os.listdir(folder):
        data = osp.join(folder, name)
        if name == keep or not re.fullmatch(r'data-\d+', name) or osp.islink(data):
            continue
        for file in os.listdir(data):
            if TORCH_FILES.fullmatch(file):
                os.remove(osp.join(data, file))
        with contextlib.suppress(OSError):  # someone else's file lies there
            os.rmdir(data)


def remove(folder: str) -> None:
    """Delete a checkpoint: the index first, so that what is left of a broken removal is no checkpoint."""
    with contextlib.suppress(FileNotFoundError):
        os.remove(osp.join(folder, INDEX))
    remove_data(folder)
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def remove_leftovers(out_dir: str) -> None:
    """Delete what saves have left that were broken off: pieces that no index names."""
    for name in os.listdir(out_dir):
        folder = osp.join(out_dir, name)
        if not name.endswith(ENDING) or not osp.isdir(folder) or osp.islink(folder):
            continue
        try:
            keep = read_index(folder)['meta']['shards']['data'] if is_sharded(folder) else None
        except (CorruptCheckpoint, UnsafeCheckpoint):
            continue
        remove_data(folder, keep)
        with contextlib.suppress(OSError):
            os.rmdir(folder)
