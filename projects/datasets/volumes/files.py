"""Volumes from and to files: NIfTI by nibabel, MetaImage and NRRD by SimpleITK, npz. Read as D H W, the reverse of the
files' x, y, z; a file of several channels (MSD's BraTS) as C D H W.
"""

import os
import zlib
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .geometry import BadVolume, check_affine, optional

NIFTI, ITK = ('.nii', '.nii.gz'), ('.mha', '.mhd', '.nrrd', '.nhdr')
SUFFIXES = (*NIFTI, *ITK, '.npz')
FLIP_XY = np.diag([-1.0, -1.0, 1.0, 1.0])  # between ITK's left and posterior positive and right and anterior positive


@dataclass
class Volume:
    """A volume and where it lies.

    Attributes:
        path: of its file.
        shape: D, H, W.
        affine: (d, h, w, 1) to RAS+ millimetres.
        channels: of a file with several, else 1.
        dtype: in the file.
        load: reads the array, D H W or C D H W.
    """

    path: str
    shape: tuple[int, int, int]
    affine: np.ndarray
    channels: int
    dtype: str
    load: Callable[[], np.ndarray]


reads = 0  # volumes whose voxels were read by this process; tests of the cache look at it


def open_volume(path: str | os.PathLike) -> Volume:
    """A volume whose header has been read.

    Raises:
        OSError: missing, truncated, or not what its suffix says.
        BadVolume: no volume, or an affine that places no voxels.
    """
    path = str(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'no volume at {path}')
    kind = suffix_of(path)
    reader = _open_nifti if kind in NIFTI else _open_itk if kind in ITK else _open_npz
    with readable(path):
        volume = reader(path)
    if len(volume.shape) != 3 or 0 in volume.shape:
        raise BadVolume(f'{path}: shape {tuple(volume.shape)} is no volume; D H W or C D H W would be')
    check_affine(volume.affine, path)
    inner = volume.load

    def load() -> np.ndarray:
        global reads
        reads += 1
        with readable(path):
            return inner()

    volume.load = load
    return volume


def suffix_of(path: str | os.PathLike) -> str:
    """One of `SUFFIXES`."""
    name = str(path).lower()
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix):
            return suffix
    raise BadVolume(f'{path}: no format of volumes is known for this name; {", ".join(SUFFIXES)} are')


def stem(path: str | os.PathLike) -> str:
    """The file's name without folder and suffix."""
    return Path(path).name[: -len(suffix_of(path))]


@contextmanager
def readable(path: str):
    """Errors of the libraries name the file."""
    try:
        yield
    except (BadVolume, ImportError, FileNotFoundError, MemoryError):
        raise
    except (Exception, EOFError, zlib.error) as error:
        text = ' '.join(str(error).split()) or type(error).__name__
        raise OSError(f'cannot read the volume {path} (truncated, or not what its name says): {text}') from error


def _open_nifti(path: str) -> Volume:
    image = optional('nibabel', f'reading {path}').load(path)
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    channels = int(shape[3]) if len(shape) == 4 else 1
    if len(shape) > 4:
        raise BadVolume(f'{path}: shape {image.shape} is no volume; (x, y, z) or (x, y, z, channel) would be')

    def load() -> np.ndarray:
        # dataobj applies slope and intercept, in float64 where the file has them
        return np.asanyarray(image.dataobj).reshape(shape).transpose()

    affine = np.asarray(image.affine, np.float64)[:, [2, 1, 0, 3]]
    return Volume(path, tuple(reversed(shape[:3])), affine, channels, str(image.get_data_dtype()), load)


def _open_itk(path: str) -> Volume:
    itk = optional('SimpleITK', f'reading {path}')
    reader = itk.ImageFileReader()
    reader.SetFileName(path)
    reader.ReadImageInformation()
    size, channels = reader.GetSize(), reader.GetNumberOfComponents()
    affine = np.eye(4)
    if len(size) == 3:
        affine[:3, :3] = np.array(reader.GetDirection()).reshape(3, 3) * np.array(reader.GetSpacing())
        affine[:3, 3] = reader.GetOrigin()

    def load() -> np.ndarray:
        array = itk.GetArrayFromImage(itk.ReadImage(path))
        return np.moveaxis(array, -1, 0) if channels > 1 else array

    affine = (FLIP_XY @ affine)[:, [2, 1, 0, 3]]
    dtype = itk.GetPixelIDValueAsString(reader.GetPixelID())
    return Volume(path, tuple(reversed(size)), affine, channels, dtype, load)


def _open_npz(path: str) -> Volume:
    """``array`` (D H W or C D H W) and, if not the identity, ``affine``."""
    with np.load(path, allow_pickle=False) as content:
        if 'array' not in content:
            raise BadVolume(f'{path} holds {", ".join(content.files)}; a volume is in `array`, with `affine` beside it')
        array = content['array']
        affine = content['affine'] if 'affine' in content else np.eye(4)
    channels = array.shape[0] if array.ndim == 4 else 1
    return Volume(path, array.shape[-3:], affine, channels, str(array.dtype), lambda: array)


def write_volume(path: str | os.PathLike, array: np.ndarray, affine: np.ndarray, like: str | None = None) -> None:
    """Write D H W; whole under its name, or not at all.

    Args:
        path: what is to be written; its suffix decides the format.
        affine: (d, h, w, 1) to RAS+ millimetres.
        like: a NIfTI file whose header (units, codes of its affines, description) is kept.

    Raises:
        OSError: cannot be written, as of a full disk; with the path.
    """
    path = Path(path)
    kind = suffix_of(path)
    partial = path.with_name(f'.{stem(path)}.{os.getpid()}.partial{kind}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind in NIFTI:
            _write_nifti(partial, array, affine, like)
        elif kind in ITK:
            _write_itk(partial, array, affine)
        else:
            np.savez_compressed(partial, array=array, affine=affine)
        os.replace(partial, path)
    except Exception as error:
        if isinstance(error, (ImportError, BadVolume)):
            raise
        raise OSError(f'cannot write {path}: {error}') from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _write_nifti(path: Path, array: np.ndarray, affine: np.ndarray, like: str | None):
    nibabel = optional('nibabel', f'writing {path}')
    header = None
    if like is not None and suffix_of(like) in NIFTI:
        header = nibabel.load(like).header.copy()
        header.set_slope_inter(1, 0)
        header.set_data_dtype(array.dtype)
    image = nibabel.Nifti1Image(array.transpose(), np.asarray(affine)[:, [2, 1, 0, 3]], header)
    if header is None:
        image.header.set_xyzt_units('mm')
    nibabel.save(image, str(path))


def _write_itk(path: Path, array: np.ndarray, affine: np.ndarray):
    itk = optional('SimpleITK', f'writing {path}')
    image = itk.GetImageFromArray(array)
    matrix = FLIP_XY @ np.asarray(affine)[:, [2, 1, 0, 3]]
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    itk.WriteImage(image, str(path))
