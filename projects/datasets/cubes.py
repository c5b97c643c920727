"""Hyperspectral cubes: images of many bands from npz, MATLAB and ENVI files.

A cube is an image H W B in ``img``, so mmseg's transforms (crops, flips, resizing, `PackSegInputs`) serve it as it is.
ENVI headers are read here: a package for it (SPy) would save some forty lines.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset

from ..registry import DATASETS, TRANSFORMS
from .bad_images import NamedImages
from .volumes.files import readable
from .volumes.geometry import BadVolume, optional

ENVI_TYPES = {1: 'u1', 2: 'i2', 3: 'i4', 4: 'f4', 5: 'f8', 12: 'u2', 13: 'u4', 14: 'i8', 15: 'u8'}
INTERLEAVES = dict(  # axes in the file, and their order as H W B
    bsq=('bands lines samples', (1, 2, 0)),
    bil=('lines bands samples', (0, 2, 1)),
    bip=('lines samples bands', (0, 1, 2)),
)
SUFFIXES = ('.mat', '.hdr', '.npz')  # of what a user names; ENVI's data lie beside their header
ENVI_DATA = ('', '.img', '.dat', '.raw', '.bsq', '.bil', '.bip')


@dataclass
class Cube:
    """A cube H W B; ``wavelengths`` (B, as the file gives them, mostly nanometres) or None."""

    array: np.ndarray
    wavelengths: np.ndarray | None = None


def read_cube(path: str | os.PathLike, name: str | None = None) -> Cube:
    """The cube of an npz, .mat (v5 to 7.3) or ENVI file (.hdr, or its data beside it).

    Args:
        name: of the array in an npz or .mat file; default: its only one of three axes.

    Raises:
        OSError: cannot be read.
        BadVolume: holds no cube, or not that one; sizes that do not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'no cube at {path}')
    with readable(str(path)):
        if path.suffix in ('.npz', '.mat'):
            arrays = read_arrays(path)
            array = arrays[pick(arrays, name, path, 3)]
            waves = arrays.get('wavelengths')
            return Cube(array, None if waves is None else np.asarray(waves, float).ravel())
        return read_envi(path)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz or MATLAB file."""
    if path.suffix == '.npz':
        with np.load(path, allow_pickle=False) as content:
            return {key: content[key] for key in content.files}
    if is_hdf5(path):  # MATLAB 7.3 and later: axes reversed
        with optional('h5py', f'reading {path}, a MATLAB file of version 7.3').File(path) as file:
            return {key: np.asarray(value).transpose() for key, value in file.items() if hasattr(value, 'shape')}
    from scipy.io import loadmat

    return {key: value for key, value in loadmat(path).items() if isinstance(value, np.ndarray)}


def is_hdf5(path: Path) -> bool:
    """Whether HDF5's signature stands at the start, or after the 512 bytes that MATLAB puts before it."""
    with open(path, 'rb') as file:
        head = file.read(520)
    return b'\x89HDF\r\n\x1a\n' in (head[:8], head[512:])


def pick(arrays: dict[str, np.ndarray], name: str | None, path: Path, axes: int) -> str:
    """The name of the array that is meant."""
    if name is not None:
        if name not in arrays:
            raise BadVolume(f'{path} has no array {name!r}; it has {", ".join(arrays)}')
        return name
    fitting = [key for key, value in arrays.items() if value.ndim == axes]
    if len(fitting) != 1:
        shapes = ', '.join(f'{key} {value.shape}' for key, value in arrays.items())
        raise BadVolume(f'{path} has {len(fitting)} arrays of {axes} axes ({shapes}); say which by its name')
    return fitting[0]


def read_envi(path: Path) -> Cube:
    """An ENVI cube, of any interleave, type and byte order."""
    header = (
        path
        if path.suffix == '.hdr'
        else next((p for p in (path.with_suffix('.hdr'), Path(f'{path}.hdr')) if p.is_file()), None)
    )
    if header is None:
        raise BadVolume(f'{path} has no header beside it: {path.with_suffix(".hdr").name} or {path.name}.hdr')
    fields = envi_header(header)
    data = path if path.suffix != '.hdr' else envi_data(header)
    kind, interleave = fields['data type'], fields['interleave'].lower()
    if int(kind) not in ENVI_TYPES or interleave not in INTERLEAVES:
        raise BadVolume(
            f'{header}: data type {kind} and interleave {interleave!r}; types {sorted(ENVI_TYPES)} and '
            f'{", ".join(INTERLEAVES)} can be read'
        )
    dtype = np.dtype(('>' if int(fields.get('byte order', 0)) else '<') + ENVI_TYPES[int(kind)])
    names, order = INTERLEAVES[interleave]
    shape = tuple(int(fields[key]) for key in names.split())
    offset, wanted = int(fields.get('header offset', 0)), int(np.prod(shape)) * dtype.itemsize
    if data.stat().st_size - offset < wanted:
        raise BadVolume(
            f'{data} has {data.stat().st_size} bytes, but {header.name} says {names} = {shape} of {dtype.itemsize} '
            f'bytes each after {offset}: {offset + wanted}'
        )
    array = np.fromfile(data, dtype, int(np.prod(shape)), offset=offset).reshape(shape).transpose(order)
    waves = fields.get('wavelength')
    return Cube(array.astype(dtype.newbyteorder('=')), None if waves is None else np.array(waves.split(','), float))


def envi_header(path: Path) -> dict[str, str]:
    """Fields of an ENVI header, names in lower case; values in braces without them."""
    text = path.read_text(encoding='utf-8', errors='replace')
    if not text.lstrip().startswith('ENVI'):
        raise BadVolume(f'{path} is no ENVI header: its first word is not ENVI')
    fields, rest = {}, text.split('\n')[1:]
    while rest:
        name, found, value = rest.pop(0).partition('=')
        if not found:
            continue
        while '{' in value and '}' not in value and rest:
            value += ' ' + rest.pop(0)
        fields[name.strip().lower()] = value.strip().strip('{}').strip()
    missing = [key for key in ('samples', 'lines', 'bands', 'data type', 'interleave') if key not in fields]
    if missing:
        raise BadVolume(f'{path} has no field {missing[0]!r}')
    return fields


def envi_data(header: Path) -> Path:
    """The data beside a header."""
    stem = header.with_suffix('')
    for suffix in ENVI_DATA:
        if Path(f'{stem}{suffix}').is_file():
            return Path(f'{stem}{suffix}')
    raise FileNotFoundError(
        f'{header} has no data beside it: {stem.name} with one of {", ".join(ENVI_DATA[1:])} or none'
    )


@TRANSFORMS.register_module()
class LoadCube(BaseTransform):
    """A cube and its map of classes: ``img`` (H W B, float32) and ``gt_seg_map`` (H W), for mmseg's transforms.

    The last scene is kept, since one is often visited many times in a row.

    Args:
        array, label: their names in an npz or .mat file; a label in a file of its own is ``seg_map_path``.
        scaling: of each band: 'zscore', 'range' (0 to 1), or None.

    Raises:
        BadVolume: a label of another size than the cube; NaN.
    """

    def __init__(self, array: str | None = None, label: str | None = 'label', scaling: str | None = 'zscore'):
        if scaling not in ('zscore', 'range', None):
            raise ValueError(f"scaling={scaling!r}; 'zscore', 'range' or None")
        self.array, self.label, self.scaling = array, label, scaling
        self.kept = None  # state of the files, and what was read

    def transform(self, results: dict) -> dict:
        state = [file_state(results.get(key)) for key in ('img_path', 'seg_map_path')]
        if self.kept is None or self.kept[0] != state:
            self.kept = state, self._read(results)
        image, wavelengths, label = self.kept[1]
        results.update(cube_name=self.array, img=image.copy(), wavelengths=wavelengths)  # transforms may write
        results['ori_shape'] = results['img_shape'] = image.shape[:2]
        if label is not None:
            results['gt_seg_map'] = label.copy()
            results.setdefault('seg_fields', []).append('gt_seg_map')
        return self._rows(results)

    def _read(self, results: dict) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Scaled cube, wavelengths, label."""
        path = Path(results['img_path'])
        cube = read_cube(path, self.array)
        image = cube.array.astype(np.float32)
        if not np.isfinite(image).all():
            bands = np.unique(np.argwhere(~np.isfinite(image))[:, 2]).tolist()
            raise BadVolume(f'{path}: NaN or infinite in the bands {bands[:5]}')
        if cube.wavelengths is not None and len(cube.wavelengths) != image.shape[2]:
            raise BadVolume(f'{path}: {len(cube.wavelengths)} wavelengths for {image.shape[2]} bands')
        label = self._label(results, path)
        if label is not None and label.shape != image.shape[:2]:
            raise BadVolume(f'{path}: the label is {label.shape}, the cube {image.shape[:2]}')
        return scale_bands(image, self.scaling), cube.wavelengths, label

    def _label(self, results: dict, path: Path) -> np.ndarray | None:
        source = results.get('seg_map_path')
        if source is not None:
            arrays = read_arrays(Path(source))
            return np.asarray(arrays[pick(arrays, self.label, Path(source), 2)])
        if path.suffix not in ('.npz', '.mat') or self.label is None:
            return None
        arrays = read_arrays(path)
        return np.asarray(arrays[self.label]) if self.label in arrays else None

    @staticmethod
    def _rows(results: dict) -> dict:
        """Only the rows of this part; scaled over all of them before."""
        rows = results.get('rows')
        if rows is not None:
            for key in ('img', *results.get('seg_fields', ())):
                results[key] = results[key][slice(*rows)]
            results['ori_shape'] = results['img_shape'] = results['img'].shape[:2]
        return results


def file_state(path: str | os.PathLike | None) -> tuple | None:
    """What tells whether a file is still the one that was read; None for none."""
    return (str(path), os.stat(path).st_mtime_ns) if path is not None and os.path.exists(path) else None


def scale_bands(image: np.ndarray, scaling: str | None) -> np.ndarray:
    """Each band H W B by itself."""
    if scaling == 'zscore':
        deviation = image.std((0, 1))
        return (image - image.mean((0, 1))) / np.where(deviation > 0, deviation, 1)
    if scaling == 'range':
        low, high = image.min((0, 1)), image.max((0, 1))
        return (image - low) / np.where(high > low, high - low, 1)
    return image


@DATASETS.register_module()
class CubeDataset(NamedImages, BaseDataset):
    """Cubes by path; one scene may train with some rows and validate with others.

    Args:
        files: paths below ``data_root``; a dict gives ``img_path``, ``seg_map_path`` and ``rows`` (first, end).
        repeats: visits of each file in an epoch.
        on_bad_image, max_bad_images: 'error', or 'skip' up to a number, see `NamedImages`.
    """

    suffixes = SUFFIXES

    def __init__(self, files: list[str | dict], data_root: str = '', repeats: int = 1, **kwargs):
        self.files = [dict(img_path=each) if isinstance(each, str) else dict(each) for each in files]
        self.repeats = repeats
        super().__init__(data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """The files."""
        root = Path(self.data_root)
        shared = dict(reduce_zero_label=False, label_map=None)
        found = []
        for each in self.files:
            paths = {key: str(root / each[key]) for key in ('img_path', 'seg_map_path') if each.get(key)}
            found.append({**shared, **each, **paths, 'seg_fields': []})
        return found * self.repeats
