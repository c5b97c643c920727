"""Patches of volumes, in which the rare foreground is not missed."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from ...registry import TRANSFORMS
from ...structures.labels import IGNORE
from .grid import crop, pad

warned: set[str] = set()  # files whose empty label was reported by this process


def generator(results: dict) -> np.random.Generator:
    """Random numbers of this visit of the case, see `mmparts.VolumeDataset`."""
    return results.setdefault('rng', np.random.default_rng(np.random.randint(1 << 31)))


@TRANSFORMS.register_module()
class FindForeground(BaseTransform):
    """Note where each class lies: ``class_places``, rows of (class, d, h, w), for `RandomPatch`; saves it the search.

    Stands behind all other transforms of the grid and is cached with them.

    Args:
        limit: places of a class, drawn at random from all.
    """

    deterministic = True

    def __init__(self, limit: int = 10000):
        self.limit = limit

    def transform(self, results: dict) -> dict:
        results['class_places'] = class_places(results['gt_seg_map'], self.limit)
        return results


def class_places(classes: np.ndarray, limit: int | None = None) -> np.ndarray:
    """Rows of (class, d, h, w) of all voxels of the foreground, or of so many of each class."""
    places = np.argwhere((classes != 0) & (classes != IGNORE))
    rows = np.column_stack([classes[tuple(places.T)], places]).astype(np.int32)
    if limit is None or len(rows) <= limit:
        return rows
    rng = np.random.default_rng(len(rows))
    parts = [rows[rows[:, 0] == value] for value in np.unique(rows[:, 0])]
    return np.concatenate([rng.permutation(part)[:limit] for part in parts])


@TRANSFORMS.register_module()
class RandomPatch(BaseTransform):
    """A patch of fixed size; some of them are sure to hold foreground. A smaller volume is filled up.

    Args:
        size: voxels along D, H and W.
        foreground: chance that the patch holds a voxel of the foreground, near its middle as far as the border lets it:
            1/3 as nnU-Net; pos / (pos + neg) in MONAI's words. A case without any: a patch from anywhere, and one
            warning.
        balance: 'class': the voxel is one of a class, the classes of the case being drawn alike; 'voxel': all voxels of
            the foreground alike (MONAI).
        pad_value, pad_label: see `PadVolume`.
    """

    def __init__(
        self,
        size: Sequence[int],
        foreground: float = 1 / 3,
        balance: str = 'class',
        pad_value: float | str = 0.0,
        pad_label: int = 0,
    ):
        if balance not in ('class', 'voxel'):
            raise ValueError(f"balance={balance!r}; 'class' or 'voxel'")
        if not 0 <= foreground <= 1:
            raise ValueError(f'foreground={foreground}; a chance from 0 to 1')
        self.size, self.foreground, self.balance = tuple(size), foreground, balance
        self.pad_value, self.pad_label = pad_value, pad_label

    def transform(self, results: dict) -> dict:
        rng = generator(results)
        shape = np.array(results['img'].shape[1:])
        room = np.maximum(shape - self.size, 0)
        start = rng.integers(0, room + 1)
        if rng.random() < self.foreground:
            place = self._place(results, rng)
            if place is not None:
                start = np.clip(place - np.array(self.size) // 2, 0, room)
        box = tuple(slice(int(s), int(min(s + n, whole))) for s, n, whole in zip(start, self.size, shape))
        results = crop(results, box)
        results.pop('class_places', None)  # of the whole volume
        return pad(results, self.size, self.pad_value, self.pad_label)

    def _place(self, results: dict, rng: np.random.Generator) -> np.ndarray | None:
        """A voxel of the foreground, None if there is none."""
        places = results.get('class_places')
        if places is None:
            if 'gt_seg_map' not in results:
                raise KeyError(f'{results.get("case")} has no label to draw foreground from; set foreground=0')
            places = class_places(results['gt_seg_map'])
        if not len(places):
            warn_empty(results)
            return None
        if self.balance == 'class':
            found = np.unique(places[:, 0])
            places = places[places[:, 0] == rng.choice(found)]
        return np.array(places[rng.integers(len(places))][1:])


def warn_empty(results: dict):
    """Once for each file."""
    path = str(results.get('seg_map_path'))
    if path not in warned:
        warned.add(path)
        print_log(f'{path} has no foreground; patches of this case come from anywhere', 'current', 30)
