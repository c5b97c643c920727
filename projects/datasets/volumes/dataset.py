"""A data set of volumes in any of the known layouts."""

import os.path as osp
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset

from ...registry import DATASETS
from ...structures import LabelTable
from ..bad_images import NamedImages
from .cache import VolumeCache
from .folds import every_nth, read_fold
from .geometry import BadVolume
from .layouts import LAYOUTS

HANDED_ON = ('modalities', 'labels', 'regions', 'paint', 'ignore', 'classes', 'targets')


@DATASETS.register_module()
class VolumeDataset(NamedImages, BaseDataset):
    """Cases of one or several modalities and a label.

    What modalities, labels and regions are called comes from the layout; what ``metainfo`` says wins. All of it goes
    into the checkpoint with the data set's other metainfo, and `mmparts.CheckVolumesHook` compares it.

    Args:
        data_root: folder of the cases.
        layout: a function of `layouts.py` by name: 'index' (of tools/prepare_volumes.py), 'dataset_json' (nnU-Net,
            MSD), 'folders', 'brats', 'synapse'; or a dict of that ``type`` and its options.
        metainfo: ``modalities``, ``labels``, ``regions``, ``paint``, ``ignore``: see `mmparts.structures.LabelTable`.
        targets: 'regions' where the model predicts those, 'labels' where it predicts labels; default: regions if there
            are any.
        part: 'train', 'val', or None for all cases.
        every: of the sorted cases every n-th validates, where there is no ``folds``.
        folds: file of folds as nnU-Net's, below ``data_root`` or absolute.
        fold: which of them.
        cases: only cases of these names, as of a published split.
        cache_dir: where results of the first, deterministic transforms are kept; None: nowhere.
        seed: of the random transforms, with the case and the number of its visit (`mmparts.DrawSampler`).
        on_bad_image, max_bad_images: 'error', or 'skip' up to a number of cases, see `NamedImages`.

    Raises:
        BadVolume: the names do not fit, or no case is left.
    """

    METAINFO: dict = dict()

    def __init__(
        self,
        data_root: str,
        layout: str | dict = 'index',
        metainfo: dict | None = None,
        targets: str | None = None,
        part: str | None = None,
        every: int = 5,
        folds: str | None = None,
        fold: int = 0,
        cases: Sequence[str] | None = None,
        cache_dir: str | None = None,
        seed: int = 0,
        pipeline: Sequence = (),
        **kwargs,
    ):
        if part not in (None, 'train', 'val'):
            raise ValueError(f"part={part!r}; 'train', 'val' or None for all cases")
        self.layout = dict(type=layout) if isinstance(layout, str) else dict(layout)
        if self.layout.get('type') not in LAYOUTS:
            raise ValueError(f'layout={self.layout.get("type")!r}; there are {", ".join(LAYOUTS)}')
        self.part, self.every, self.folds, self.fold, self.cases = part, every, folds, fold, cases
        self.targets, self.seed, self.given = targets, seed, dict(metainfo or {})
        super().__init__(data_root=data_root, metainfo=metainfo, pipeline=list(pipeline), **kwargs)
        mirrored = [axis for each in self.pipeline.transforms for axis in getattr(each, 'mirror_axes', ())]
        self._metainfo['mirror_axes'] = tuple(sorted(set(mirrored)))
        self.cache = self._make_cache(cache_dir, list(pipeline))

    def load_data_list(self) -> list[dict]:
        """The cases of this part."""
        options = {key: value for key, value in self.layout.items() if key != 'type'}
        found, cases = LAYOUTS[self.layout['type']](Path(self.data_root), **options)
        self._metainfo.update({**found, **self.given})
        self._name_classes(cases)
        cases = self._of_part(cases)
        if not cases:
            raise BadVolume(f'{self.data_root}: no case is left of the part {self.part!r}')
        shared = {key: self._metainfo[key] for key in HANDED_ON if self._metainfo.get(key) is not None}
        return [{**shared, **self._as_results(each)} for each in cases]

    def sample(self, idx: int):
        """That of a visit: ``idx`` = case + visit * len(self)."""
        case, visit = idx % len(self), idx // len(self)
        results = self.get_data_info(case)
        if self.cache is not None:
            results = self.cache(results)
        # without DrawSampler the visits have no number: from numpy's state, which mmengine seeds in each worker
        seed = (self.seed, case, visit) if visit else (int(np.random.randint(1 << 31)), case)
        results['rng'] = np.random.default_rng(seed)
        return self.pipeline(results)

    def _make_cache(self, folder: str | None, configs: list) -> VolumeCache | None:
        if folder is None:
            return None
        transforms = self.pipeline.transforms
        count = next((i for i, t in enumerate(transforms) if not getattr(t, 'deterministic', False)), len(transforms))
        self.pipeline.transforms = transforms[count:]
        return VolumeCache(folder, transforms[:count], configs[:count]) if count else None

    def _name_classes(self, cases: list[dict]):
        """``labels`` and ``classes`` of the metainfo."""
        meta = self._metainfo
        if not meta.get('labels') and not meta.get('classes'):
            raise BadVolume(f'{self.data_root}: what are its labels? metainfo=dict(labels=dict(background=0, liver=1))')
        table = LabelTable.of(meta)
        meta.setdefault('labels', table.labels)
        meta['targets'] = self.targets or ('regions' if table.regions else 'labels')
        if meta['targets'] == 'regions' and not table.regions:
            raise BadVolume(f"{self.data_root}: targets='regions', but the metainfo has no regions")
        meta['classes'] = table.classes if meta['targets'] == 'regions' else table.names
        if not meta.get('modalities'):
            meta['modalities'] = tuple(f'channel_{i}' for i in range(len(cases[0]['images']))) if cases else ()

    def _of_part(self, cases: list[dict]) -> list[dict]:
        if self.cases is not None:
            unknown = sorted(set(self.cases) - {each['case'] for each in cases})
            if unknown:
                raise BadVolume(f'{self.data_root} has no case {unknown[0]!r}, one of {len(unknown)} asked for')
            cases = [each for each in cases if each['case'] in set(self.cases)]
        if self.part is None:
            return sorted(cases, key=lambda each: each['case'])
        if self.folds is not None:
            return read_fold(osp.join(self.data_root, self.folds), self.fold, cases, self.part)
        return every_nth(cases, self.part, self.every)

    def _as_results(self, case: dict) -> dict:
        label = case.get('label')
        return dict(
            case=case['case'],
            patient=case.get('patient', case['case']),
            img_paths=[osp.join(self.data_root, path) for path in case['images']],
            seg_map_path=None if label is None else osp.join(self.data_root, label),
        )
