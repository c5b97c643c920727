"""Loading of images and labels, with all the checks of what is in the files."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from ...registry import TRANSFORMS
from ...structures import LabelTable
from .files import Volume, open_volume
from .geometry import BadVolume, geometry_fault, orientation_of, spacing_of


@TRANSFORMS.register_module()
class LoadVolume(BaseTransform):
    """The modalities of a case, stacked in the order that the data set declares: ``img``, C D H W, float32.

    Also sets ``affine``, ``spacing``, ``orientation`` of it, and ``source_affine``, ``source_shape``, which later
    transforms leave alone: the grid on which predictions are written.

    Args:
        tolerance: How far the corners of two modalities may lie apart, in voxels.
        on_mismatch: Of their geometry: 'error', or 'warn' and take that of the first. Other shapes are always an error.
        on_nan: 'error', or 'zero' to replace NaN and infinity.

    Raises:
        BadVolume: modalities do not lie on one grid, NaN, another number of channels than modalities.
        OSError: a file cannot be read.
    """

    deterministic = True

    def __init__(self, tolerance: float = 0.01, on_mismatch: str = 'error', on_nan: str = 'error'):
        self.tolerance, self.on_mismatch, self.on_nan = tolerance, on_mismatch, on_nan

    def transform(self, results: dict) -> dict:
        volumes = [open_volume(path) for path in results['img_paths']]
        for other in volumes[1:]:
            check_geometry(volumes[0], other, self.tolerance, self.on_mismatch)
        channels = [finite(channel, volume.path, self.on_nan) for volume in volumes for channel in channels_of(volume)]
        names = results.get('modalities')
        if names and len(names) != len(channels):
            raise BadVolume(
                f'{", ".join(results["img_paths"])}: {len(channels)} channels, but the modalities are {tuple(names)}'
            )
        results['img'] = np.stack(channels)
        results['img_path'] = volumes[0].path
        results['source_affine'], results['source_shape'] = volumes[0].affine, volumes[0].shape
        return set_grid(results, volumes[0].affine)


@TRANSFORMS.register_module()
class LoadVolumeLabel(BaseTransform):
    """The label of a case as class numbers: ``gt_seg_map``, D H W, uint8; a case without one is left as it is.

    In a pipeline for training it stands behind `LoadVolume`, so that later transforms move both; in one for testing
    behind the transforms of the grid, so that the metric compares on the grid of the file.

    Args:
        tolerance, on_mismatch: of the geometry of image and label, see `LoadVolume`.

    Raises:
        BadVolume: not on the image's grid, a value that is no label, or no whole number.
        OSError: the file cannot be read.
    """

    deterministic = True

    def __init__(self, tolerance: float = 0.01, on_mismatch: str = 'error'):
        self.tolerance, self.on_mismatch = tolerance, on_mismatch

    def transform(self, results: dict) -> dict:
        path = results.get('seg_map_path')
        if path is None:
            return results
        volume = open_volume(path)
        image = Volume(results['img_path'], results['source_shape'], results['source_affine'], 1, '', None)
        check_geometry(image, volume, self.tolerance, self.on_mismatch)
        results['gt_seg_map'] = read_label(volume, LabelTable.of(results))
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results


def check_geometry(first: Volume, second: Volume, tolerance: float, on_mismatch: str):
    """Raise `BadVolume`, or warn, if two volumes do not lie on one grid."""
    fault = geometry_fault(first, second, tolerance)
    if fault is None:
        return
    if on_mismatch != 'warn' or fault.startswith('shape'):
        raise BadVolume(f'{fault}. Resample one on the grid of the other, or correct its header')
    print_log(f'{fault}; taking the first', 'current', 30)


def channels_of(volume: Volume) -> list[np.ndarray]:
    """D H W, float32, of each channel of a file."""
    array = volume.load().astype(np.float32)
    return list(array) if array.ndim == 4 else [array]


def finite(channel: np.ndarray, path: str, on_nan: str = 'error') -> np.ndarray:
    """The channel without NaN and infinity; `BadVolume` if it has some and ``on_nan`` is 'error'."""
    bad = ~np.isfinite(channel)
    if not bad.any():
        return channel
    if on_nan != 'zero':
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise BadVolume(
            f'{path}: {int(bad.sum())} of {channel.size} voxels are NaN or infinite, the first at (d, h, w) = {first}; '
            "LoadVolume(on_nan='zero') makes them 0"
        )
    return np.where(bad, np.float32(0), channel)


def read_label(volume: Volume, table: LabelTable) -> np.ndarray:
    """Class numbers D H W, uint8, of a label file."""
    values = volume.load()
    if values.ndim == 4:
        raise BadVolume(f'{volume.path}: a label of {len(values)} channels; one with a value for each label would do')
    if values.dtype.kind == 'f':
        if not np.isfinite(values).all() or (values != np.round(values)).any():
            odd = values[(values != np.round(values)) | ~np.isfinite(values)].ravel()[0]
            raise BadVolume(f'{volume.path}: the label has the value {odd}; labels are whole numbers')
        values = values.astype(np.int64)
    try:
        return table.to_classes(values, volume.path)
    except ValueError as error:
        raise BadVolume(str(error)) from error


def set_grid(results: dict, affine: np.ndarray) -> dict:
    """Note where the voxels of ``img`` lie now."""
    results['affine'] = affine
    results['spacing'] = spacing_of(affine)
    results['orientation'] = orientation_of(affine)
    results['img_shape'] = results['img'].shape[1:]
    return results
