"""The data sets inside wrappers (concatenated, repeated, balanced, mixed), in configs and built: what a tool or a hook
asks of a data set is asked of these."""

import os.path as osp
from collections.abc import Iterator

from torch.utils.data import Dataset

from ..registry import DATASETS, resolve


def members(dataset: dict | Dataset) -> Iterator[dict | Dataset]:
    """The data sets that are no wrappers, in their order, of a config or of a built data set."""
    inside = inner(dataset)
    if not inside:
        yield dataset
    for each in inside:
        yield from members(each)


def inner(dataset: dict | Dataset) -> list:
    found = []
    for name in ('datasets', 'dataset'):
        value = dataset.get(name) if isinstance(dataset, dict) else getattr(dataset, name, None)
        if isinstance(value, (list, tuple)):
            found += value
        elif isinstance(value, (dict, Dataset)):
            found.append(value)
    return found


def data_folders(cfg: dict) -> dict[str, str]:
    """Folders and annotation files that the data sets of a config read, by what a message calls them.

    A ``data_root`` that holds the current folder says nothing and is left out; what lies in it is not.
    """
    here, found = osp.realpath('.'), {}
    for key in cfg:
        if not key.endswith('_dataloader') or not (cfg[key] or {}).get('dataset'):
            continue
        for dataset in members(cfg[key]['dataset']):
            root = dataset.get('data_root') or ''
            prefixes = dataset.get('data_prefix') or {}
            places = [root, *(osp.join(root, value) for value in prefixes.values() if isinstance(value, str))]
            places += [osp.join(root, dataset['ann_file'])] if dataset.get('ann_file') else []
            for place in places:
                real = osp.realpath(place)
                if place and osp.commonpath([real, here]) != real:
                    found[f'data of the {key.removesuffix("_dataloader")} set ({place})'] = place
    return found


def pipeline_of(dataset: dict) -> list[dict]:
    """What makes an image ready for a model, of a data set's config: the pipeline of the first member.

    Raises:
        ValueError: it has none.
    """
    first = next(members(dataset))
    if not first.get('pipeline'):
        raise ValueError(f'the data set {first.get("type")} has no pipeline; its config should list one')
    return first['pipeline']


def classes_of(dataset: dict | Dataset) -> tuple[str, ...] | None:
    """Class names of a data set or of its config, those of the first member that knows them.

    Raises:
        ValueError: members with different classes, whose labels would mean different things.
    """
    found = [names for names in map(own_classes, members(dataset)) if names]
    for names in found[1:]:
        if names != found[0]:
            raise ValueError(
                'the data sets that are put together have different classes, so one label would have several meanings: '
                f'{found[0]} and {names}. Give each the same metainfo=dict(classes=(...)); a file that lacks some of '
                'them takes allow_missing=(...)'
            )
    return found[0] if found else None


def own_classes(dataset: dict | Dataset) -> tuple[str, ...] | None:
    if isinstance(dataset, dict):
        names = (dataset.get('metainfo') or {}).get('classes')
        if names is None and dataset.get('type'):
            names = getattr(resolve(dataset, DATASETS), 'METAINFO', {}).get('classes')
    else:
        meta = getattr(dataset, 'metainfo', None) or {}
        names = (meta if isinstance(meta, dict) else meta[0]).get('classes')
    return tuple(names) if names and not isinstance(names, str) else None
