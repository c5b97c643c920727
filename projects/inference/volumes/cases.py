"""Which files to predict: what a user gives, as cases of the config's data set."""

import os
from pathlib import Path

from mmengine.config import Config

from ...datasets.members import members
from ...datasets.volumes import BadVolume, VolumeDataset
from ...datasets.volumes.files import stem
from ...datasets.volumes.layouts import CHANNEL, volumes_in
from ...registry import DATASETS, resolve

GIVEN = ('modalities', 'labels', 'regions', 'paint', 'ignore')


def takes_volumes(cfg: Config) -> bool:
    """Whether the config's test set is one of volumes."""
    dataset = next(members(cfg.test_dataloader.dataset))
    return 'type' in dataset and issubclass(resolve(dataset, DATASETS), VolumeDataset)


def find_cases(path: str | os.PathLike, cfg: Config, meta: dict) -> VolumeDataset:
    """The cases at a path: a volume, a folder of volumes (`X_0000.nii.gz`, `X_0001.nii.gz` are two modalities of X), or
    a folder in the layout of the config's test set, whose labels are then known, too.

    Args:
        meta: modalities, labels and regions of the model.

    Raises:
        FileNotFoundError: nothing is there.
        BadVolume: another number of files than modalities.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'no volume or folder at {path}')
    folder = path if path.is_dir() else path.parent
    plain = bool(volumes_in(folder, required=False))
    layout = dict(type='folders', images='.', labels='no_labels') if plain else test_layout(cfg)
    given = {key: meta[key] for key in GIVEN if meta.get(key) is not None}
    chosen = None if path.is_dir() else [CHANNEL.sub('', stem(path))]
    cases = VolumeDataset(str(folder), layout, given, meta.get('targets'), cases=chosen, test_mode=True)
    for i in range(len(cases)):
        info = cases.get_data_info(i)
        files, names = info['img_paths'], meta.get('modalities') or ()
        if len(files) not in (1, len(names) or 1):
            raise BadVolume(f'{info["case"]}: {len(files)} files, {files}, for the modalities {tuple(names)}')
    return cases


def test_layout(cfg: Config) -> dict:
    """The layout of the config's test set."""
    layout = next(members(cfg.test_dataloader.dataset)).get('layout', 'index')
    return dict(type=layout) if isinstance(layout, str) else dict(layout)
