"""Sets: points or entities as an ``.npz`` file of ``points`` (N C) and ``labels``, one for the set or one for each."""

from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.dataset import BaseDataset

from ...registry import DATASETS, TRANSFORMS
from ...structures import SetSample


def read_set(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a set; raises ValueError where it is none."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = dict(file)
    except (OSError, ValueError) as error:
        raise ValueError(f'{path} is no set (an npz of points): {error}') from error
    if 'points' not in found or found['points'].ndim != 2:
        raise ValueError(f'{path} should hold points, N C; it has { ({k: v.shape for k, v in found.items()}) }')
    return found


@DATASETS.register_module()
class SetFiles(BaseDataset):
    """The sets (``.npz``) of a folder; ``metainfo=dict(classes=...)`` names the labels.

    Takes the arguments of mmengine's ``BaseDataset``; the folder is ``data_prefix['set']`` in ``data_root``.

    Raises:
        FileNotFoundError: no set there.
    """

    suffixes = ('.npz',)

    def load_data_list(self) -> list[dict]:
        folder = Path(self.data_prefix.get('set') or self.data_root)
        paths = sorted(folder.rglob('*.npz'))
        if not paths:
            raise FileNotFoundError(f'no set (.npz) in {folder}; give data_root')
        return [dict(img_path=str(path), img_id=str(path.relative_to(folder))) for path in paths]


@TRANSFORMS.register_module()
class LoadSet(BaseTransform):
    """Points and labels of a file."""

    def transform(self, results: dict) -> dict:
        found = read_set(results['img_path'])
        results['points'] = found['points'].astype(np.float32)
        if 'labels' in found:
            results['gt_labels'] = np.atleast_1d(found['labels']).astype(np.int64)
        results['ori_shape'] = results['img_shape'] = results['points'].shape
        return results


@TRANSFORMS.register_module()
class TurnPoints(BaseTransform):
    """A random turn around the upright axis (the second of three), and a random size.

    Args:
        scale: least and greatest factor.
    """

    def __init__(self, scale: tuple[float, float] = (0.9, 1.1)):
        self.scale = scale

    @cache_randomness
    def draw(self) -> tuple[float, float]:
        return np.random.uniform(0, 2 * np.pi), np.random.uniform(*self.scale)

    def transform(self, results: dict) -> dict:
        angle, scale = self.draw()
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        turn = np.float32([[c, 0, s], [0, scale, 0], [-s, 0, c]])
        results['points'] = np.clip(results['points'][:, :3] @ turn.T, -1, 1)
        return results


@TRANSFORMS.register_module()
class PackSet(BaseTransform):
    """``inputs``: N C; a `SetSample` with its labels if they are known."""

    def transform(self, results: dict) -> dict:
        meta = {key: results[key] for key in ('img_id', 'img_path', 'ori_shape', 'img_shape') if key in results}
        sample = SetSample(metainfo=meta)
        if 'gt_labels' in results:
            sample.gt_labels = torch.from_numpy(results['gt_labels'])
        return dict(inputs=torch.from_numpy(np.ascontiguousarray(results['points'])), data_samples=sample)
