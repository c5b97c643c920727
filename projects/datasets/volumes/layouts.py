"""Which files belong to which case, in the layouts that people have.

Each function takes a folder and returns ``(metainfo, cases)``; a case is ``dict(case, patient, images, label)`` with
paths relative to the folder, images in the order of ``metainfo['modalities']``, ``label`` None where there is none.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

from ..paths import check_inside
from .files import SUFFIXES, stem
from .geometry import BadVolume

BRATS_NAMES = dict(  # of a modality, in the files of 2018 to 2021 and from 2023 on
    flair=('flair', 't2f'), t1ce=('t1ce', 't1c'), t1=('t1', 't1n'), t2=('t2', 't2w')
)
CHANNEL = re.compile(r'_(\d{4})$')  # nnU-Net's number of a modality


def index_file(root: Path, name: str = 'index.json') -> tuple[dict, list[dict]]:
    """What `tools/prepare_volumes.py` wrote."""
    content = read_json(root / name)
    if 'cases' not in content:
        raise BadVolume(f'{root / name} is no index of volumes: it has no `cases`; tools/prepare_volumes.py writes one')
    for each in content['cases']:
        for path in (*each.get('images', ()), *filter(None, [each.get('label')])):
            check_inside(path, str(root / name), 'volume')
    metainfo = dict(content.get('metainfo', {}))
    if 'modalities' in metainfo:
        metainfo['modalities'] = tuple(metainfo['modalities'])
    return metainfo, content['cases']


def dataset_json(root: Path, split: str = 'Tr') -> tuple[dict, list[dict]]:
    """nnU-Net (v1, v2) and the Medical Segmentation Decathlon: ``dataset.json``, ``imagesTr``, ``labelsTr``.

    Regions are read as nnU-Net means them: painted in the order in which they are declared; ``regions_class_order``
    gives the value that each one gets.
    """
    content = read_json(root / 'dataset.json')
    names = content.get('channel_names') or content.get('modality') or {'0': 'image'}
    modalities = tuple(names[key] for key in sorted(names, key=int))
    metainfo = dict(modalities=unique(modalities), **nnunet_labels(content, root / 'dataset.json'))
    listed = content.get('training') if split == 'Tr' else None
    _, cases = folders(root, f'images{split}', f'labels{split}', len(modalities))
    if listed:
        wanted = {stem(each['image']) for each in listed}
        missing = wanted - {each['case'] for each in cases}
        if missing:
            raise BadVolume(f'{root / "dataset.json"} lists {min(missing)!r}, of which images{split} has no image')
        cases = [each for each in cases if each['case'] in wanted]
    return metainfo, cases


def nnunet_labels(content: dict, source: Path) -> dict:
    """``labels`` (name: value), ``regions`` and ``paint`` of a dataset.json."""
    labels = content.get('labels', {})
    if labels and all(str(key).isdigit() for key in labels):  # v1 and MSD: value: name
        return dict(labels={name: int(value) for value, name in sorted(labels.items(), key=lambda item: int(item[0]))})
    ignore = labels.pop('ignore', None)
    plain = {name: value for name, value in labels.items() if isinstance(value, int)}
    regions = {name: value for name, value in labels.items() if isinstance(value, list)}
    metainfo = dict(labels=plain) | ({} if ignore is None else dict(ignore=ignore))
    if not regions and 'regions_class_order' not in content:
        return metainfo
    order = content.get('regions_class_order', [])
    declared = {name: value for name, value in labels.items() if name != 'background'}
    if len(order) != len(declared):
        raise BadVolume(
            f'{source}: regions_class_order has {len(order)} values {order}, but there are {len(declared)} regions: '
            f'{", ".join(declared)}; one value for each'
        )
    parts = {name: value if isinstance(value, list) else [value] for name, value in declared.items()}
    values = sorted({value for each in parts.values() for value in each} | set(order))
    names = {value: next((n for n, v in plain.items() if v == value), f'label_{value}') for value in values}
    return metainfo | dict(
        labels={'background': 0, **{names[value]: value for value in values}},
        regions={name: tuple(names[value] for value in each) for name, each in parts.items()},
        paint={name: names[value] for name, value in zip(declared, order)},
    )


def folders(
    root: Path, images: str = 'images', labels: str = 'labels', channels: int | None = None
) -> tuple[dict, list[dict]]:
    """A folder of images and one of labels; a label has the image's name, or that without nnU-Net's ``_0000``."""
    by_case: dict[str, list[Path]] = {}
    for path in volumes_in(root / images):
        by_case.setdefault(CHANNEL.sub('', stem(path)), []).append(path)
    found = {stem(path): path for path in (volumes_in(root / labels) if (root / labels).is_dir() else [])}
    lost = sorted(set(found) - set(by_case))
    if lost:
        raise BadVolume(f'{found[lost[0]]} has no image: {root / images} has none named {lost[0]}')
    cases = []
    for name, paths in sorted(by_case.items()):
        if channels is not None and len(paths) not in (1, channels):
            raise BadVolume(f'{paths[0]}: {len(paths)} files for {channels} modalities')
        cases.append(case(root, name, name, paths, found.get(name)))
    return {}, cases


def brats(root: Path, modalities: tuple[str, ...] = tuple(BRATS_NAMES)) -> tuple[dict, list[dict]]:
    """A folder for each case, as BraTS: ``X/X_flair.nii.gz`` (until 2021) or ``X/X-t2f.nii.gz`` (since 2023)."""
    cases = []
    for folder in sorted(path for path in root.rglob('*') if path.is_dir()):
        files = {stem(path): path for path in volumes_in(folder, required=False)}
        if not any(key.endswith(f'{sign}{name}') for key in files for sign in '_-' for name in BRATS_NAMES['t2']):
            continue
        paths = [_brats_file(folder, files, name) for name in modalities]
        label = next((path for key, path in files.items() if re.search(r'[_-]seg$', key)), None)
        patient = re.sub(r'-\d{3}$', '', folder.name)  # since 2023 the last number is the time point
        cases.append(case(root, folder.name, patient, paths, label))
    if not cases:
        raise BadVolume(f'{root} has no folder with files of BraTS, such as X/X_flair.nii.gz or X/X-t2f.nii.gz')
    recent = any(stem(each['images'][0]).endswith(BRATS_NAMES[modalities[0]][1]) for each in cases)
    labels = dict(background=0, necrosis=1, edema=2, enhancing=3 if recent else 4)
    regions = dict(WT=('necrosis', 'edema', 'enhancing'), TC=('necrosis', 'enhancing'), ET=('enhancing',))
    return dict(modalities=tuple(modalities), labels=labels, regions=regions), cases


def _brats_file(folder: Path, files: dict[str, Path], modality: str) -> Path:
    for name in BRATS_NAMES[modality]:
        for key, path in files.items():
            if re.search(rf'[_-]{name}$', key):
                return path
    raise BadVolume(f'{folder} has no file of the modality {modality!r}; it has {", ".join(sorted(files))}')


def synapse(root: Path, images: str = 'img', labels: str = 'label') -> tuple[dict, list[dict]]:
    """BTCV as Synapse hands it out: ``img/img0001.nii.gz`` and ``label/label0001.nii.gz``."""
    found = {stem(path).removeprefix('label'): path for path in volumes_in(root / labels)}
    paths = {stem(path).removeprefix('img'): path for path in volumes_in(root / images)}
    cases = [case(root, f'case{n}', f'case{n}', [path], found.get(n)) for n, path in sorted(paths.items())]
    return dict(modalities=('CT',)), cases


LAYOUTS: dict[str, Callable] = dict(
    index=index_file, dataset_json=dataset_json, folders=folders, brats=brats, synapse=synapse
)


def case(root: Path, name: str, patient: str, images: list[Path], label: Path | None) -> dict:
    """One case, its paths relative to ``root``."""
    return dict(
        case=name,
        patient=patient,
        images=[str(path.relative_to(root)) for path in images],
        label=None if label is None else str(label.relative_to(root)),
    )


def volumes_in(folder: Path, required: bool = True) -> list[Path]:
    """Volumes of a folder, sorted; hidden files (such as macOS's ``._x``) are none."""
    found = [p for p in folder.glob('*') if p.name.lower().endswith(SUFFIXES) and not p.name.startswith('.')]
    if required and not found:
        what = 'no volumes' if folder.is_dir() else 'it does not exist'
        raise FileNotFoundError(f'no volumes in {folder}: {what} ({", ".join(SUFFIXES)})')
    return sorted(found)


def unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of modalities; one that occurs again gets its number."""
    return tuple(name if names.index(name) == i else f'{name}_{i}' for i, name in enumerate(names))


def read_json(path: Path) -> dict:
    """The content; errors name the file."""
    if not path.is_file():
        raise FileNotFoundError(f'no file {path}')
    try:
        return json.loads(path.read_text(encoding='utf-8-sig'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadVolume(f'{path} is no JSON: {error}') from error
