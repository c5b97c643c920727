"""The deterministic part of a pipeline, done once and kept on disk; read as memory maps, which all ranks and workers of
a machine share."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

VERSION = 1  # raise it whenever a deterministic transform computes something else
LARGE = 64  # arrays of more values have a file of their own


class VolumeCache:
    """Results of transforms, by what went in: the transforms' configs, the state of the files, and ``extra``.

    Args:
        folder: where it lies; made when needed.
        transforms: the deterministic ones, at the start of the pipeline.
        configs: of them; whatever changes there is a new entry.
    """

    def __init__(self, folder: str | os.PathLike, transforms: Sequence[Callable], configs: Sequence):
        self.folder, self.transforms = Path(folder), list(transforms)
        self.config = json.dumps([plain(each) for each in configs], sort_keys=True)

    def __call__(self, results: dict) -> dict:
        """The results, from the cache if they are there. Large arrays are read-only maps of files."""
        entry = self.folder / self.key(results)
        if not entry.is_dir():
            self._make(entry, dict(results))
        return {**results, **read_entry(entry)}

    def key(self, results: dict) -> str:
        """Hexadecimal name of the entry."""
        files = [*results['img_paths'], results.get('seg_map_path')]
        states = [file_state(path) for path in files if path is not None]
        given = {key: value for key, value in results.items() if key not in ('sample_idx', 'rng')}
        content = json.dumps([VERSION, self.config, states, plain(given)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    def _make(self, entry: Path, results: dict):
        for transform in self.transforms:
            results = transform(results)
        partial = entry.with_name(f'.{entry.name}.{os.getpid()}.partial')
        try:
            write_entry(partial, results)
            try:
                partial.rename(entry)
            except OSError:  # another process was faster, or the disk is full
                if not entry.is_dir():
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def file_state(path: str) -> list:
    """What changes when a file does."""
    state = os.stat(path)
    return [os.path.abspath(path), state.st_size, state.st_mtime_ns]


def write_entry(folder: Path, results: dict):
    """``content.json``, and a file for each large array."""
    folder.mkdir(parents=True, exist_ok=True)
    small = {}
    for key, value in results.items():
        if isinstance(value, np.ndarray) and value.size > LARGE:
            np.save(folder / f'{key}.npy', np.ascontiguousarray(value))
        else:
            small[key] = plain(value)
    (folder / 'content.json').write_text(json.dumps(small), encoding='utf-8')


def read_entry(folder: Path) -> dict:
    """What `write_entry` wrote."""
    content = json.loads((folder / 'content.json').read_text(encoding='utf-8'), object_hook=restored)
    for path in folder.glob('*.npy'):
        content[path.stem] = np.load(path, mmap_mode='r', allow_pickle=False)
    return content


def plain(value):
    """A value of which JSON can be made, and from it the value again; others by their representation."""
    if isinstance(value, np.ndarray):
        return {'__array__': value.tolist(), 'dtype': str(value.dtype)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return {'__tuple__': [plain(each) for each in value]}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)


def restored(value: dict):
    """The inverse of `plain`."""
    if '__array__' in value:
        return np.array(value['__array__'], value['dtype'])
    return tuple(value['__tuple__']) if '__tuple__' in value else value
