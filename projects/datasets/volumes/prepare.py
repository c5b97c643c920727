"""A checked index of a folder of volumes: every file is read once, before anything is trained."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...structures import LabelTable
from ..files import refuse_inputs
from .files import open_volume
from .folds import make_folds, write_folds
from .geometry import BadVolume, orientation_of, spacing_of
from .layouts import LAYOUTS
from .loading import LoadVolume, LoadVolumeLabel

PERCENTILES = (0.5, 50, 99.5)


@dataclass
class Report:
    """What `prepare` found.

    Attributes:
        metainfo: modalities, labels, regions.
        cases: of the index, with shape, spacing, orientation, voxels of each label and intensities.
        faults: a message for each bad case.
    """

    metainfo: dict
    cases: list[dict]
    faults: list[str]


def examine(
    root: str | os.PathLike,
    layout: str,
    metainfo: dict | None = None,
    patient: str | None = None,
    tolerance: float = 0.01,
    **options,
) -> Report:
    """Read and check all cases.

    Args:
        layout: see `mmparts.VolumeDataset`; ``options`` are its own.
        metainfo: ``modalities``, ``labels``, ``regions``, which win over the layout's.
        patient: a regular expression; its first group in the name of a case is the patient.
        tolerance: of the geometry of image and label, in voxels.
    """
    found, cases = LAYOUTS[layout](Path(root), **options)
    found = {**found, **(metainfo or {})}
    faults, labels = [], found.get('labels')
    if patient:
        for each in cases:
            match = re.search(patient, each['case'])
            if match is None or not match.groups():
                raise BadVolume(f'the case {each["case"]!r} has no patient by the pattern {patient!r}, with a (group)')
            each['patient'] = match.group(1)
    checked = []
    for each in cases:
        try:
            checked.append({**each, **examine_case(Path(root), each, found, labels, tolerance)})
        except (OSError, ValueError, MemoryError) as error:
            faults.append(f'{each["case"]}: {error}')
    return Report(found, checked, faults)


def examine_case(root: Path, case: dict, metainfo: dict, labels: dict | None, tolerance: float) -> dict:
    """Shape, spacing, orientation, dtypes, voxels of each value and intensities of a case."""
    results = dict(
        img_paths=[str(root / path) for path in case['images']],
        seg_map_path=None if case['label'] is None else str(root / case['label']),
        modalities=metainfo.get('modalities'),
    )
    results = LoadVolume(tolerance)(results)
    affine = results['affine']
    row = dict(
        shape=list(results['img_shape']),
        spacing=[round(each, 4) for each in spacing_of(affine)],
        orientation=orientation_of(affine),
        dtype=open_volume(results['img_paths'][0]).dtype,
        intensities=[intensities(channel) for channel in results['img']],
    )
    if case['label'] is None:
        return row
    values = labels or {str(v): int(v) for v in np.unique(open_volume(results['seg_map_path']).load())}
    table = {**metainfo, 'labels': values}
    classes = LoadVolumeLabel(tolerance)({**results, **table})['gt_seg_map']
    counts = np.bincount(classes.ravel(), minlength=len(values))
    return {**row, 'voxels': dict(zip(LabelTable.of(table).names, counts.tolist()))}


def intensities(channel: np.ndarray) -> dict[str, float]:
    """Mean, deviation and percentiles of a channel."""
    values = dict(mean=channel.mean(dtype=np.float64), std=channel.std(dtype=np.float64))
    values |= {f'p{q:g}': v for q, v in zip(PERCENTILES, np.percentile(channel, PERCENTILES))}
    return {name: float(f'{value:.6g}') for name, value in values.items()}


def refuse_files(out: Path, splits: Path | None, root: str | os.PathLike, report: Report) -> None:
    """Refuse to write over a file of a case or ``dataset.json``, or over folds that were made elsewhere.

    Raises:
        FileExistsError: naming the file.
    """
    inputs = {'dataset.json': Path(root, 'dataset.json')}
    for case in report.cases:
        for number, path in enumerate((*case['images'], case['label'])):
            if path is not None:
                inputs[f'file {number} of case {case["case"]}'] = Path(root, path)
    for target in (out, splits):
        if target is not None:
            refuse_inputs(target, inputs)
    if splits is not None and splits.exists():
        raise FileExistsError(f'{splits} exists: a split is not made twice; move it away, or write --out elsewhere')


def write_index(path: str | os.PathLike, report: Report):
    """Write the index, whole or not at all; refuses if a case is bad."""
    if report.faults:
        raise BadVolume(f'{len(report.faults)} bad cases, the first: {report.faults[0]}')
    path = Path(path)
    partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        content = dict(metainfo=report.metainfo, cases=report.cases)
        partial.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_fold_file(path: str | os.PathLike, report: Report, folds: int, seed: int):
    """Write folds of the cases that have a label, grouped by patient."""
    write_folds(path, make_folds([each for each in report.cases if each['label'] is not None], folds, seed))


def table(report: Report) -> str:
    """A line for each case, and a summary."""
    names = report.metainfo.get('modalities') or ()
    heads = [
        'case',
        'patient',
        'shape D H W',
        'spacing (mm)',
        'axes',
        'dtype',
        'voxels of labels',
        'intensity p0.5..p99.5',
    ]
    rows = [
        [
            each['case'],
            each['patient'],
            'x'.join(map(str, each['shape'])),
            ' '.join(f'{value:g}' for value in each['spacing']),
            each['orientation'],
            each['dtype'],
            ' '.join(f'{name}:{count}' for name, count in each.get('voxels', {}).items()) or '-',
            ' '.join(f'{i["p0.5"]:g}..{i["p99.5"]:g}' for i in each['intensities']),
        ]
        for each in report.cases
    ]
    lines = [columns([heads, *rows])] if rows else []
    return '\n'.join([*lines, *summary(report, names), *(f'BAD  {fault}' for fault in report.faults)])


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text, aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return '\n'.join('  '.join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows)


def summary(report: Report, names: Sequence[str]) -> list[str]:
    """Medians and ranges over all cases, and what deserves a look."""
    if not report.cases:
        return ['no case']
    shapes, spacings = (np.array([each[key] for each in report.cases]) for key in ('shape', 'spacing'))
    patients = {each['patient'] for each in report.cases}
    lines = [
        f'{len(report.cases)} cases of {len(patients)} patients, {sum(each["label"] is None for each in report.cases)} '
        f'without a label; modalities: {", ".join(names) or "not named"}',
        f'shape: median {np.median(shapes, 0).astype(int).tolist()}, from {shapes.min(0).tolist()} to '
        f'{shapes.max(0).tolist()}; spacing: median {np.median(spacings, 0).round(3).tolist()}, from '
        f'{spacings.min(0).tolist()} to {spacings.max(0).tolist()}',
    ]
    empty = [each['case'] for each in report.cases if 'voxels' in each and not sum(list(each['voxels'].values())[1:])]
    if empty:
        lines.append(f'{len(empty)} cases without foreground, the first: {empty[0]}')
    means = np.array([[i['mean'] for i in each['intensities']] for each in report.cases])
    for i, column in enumerate(np.abs(means).T):
        if column.max() > 10 * max(column.min(), 1e-6):
            name = names[i] if i < len(names) else f'channel {i}'
            lines.append(
                f'means of {name} range from {column.min():g} to {column.max():g}: normalise each case (ZScore)'
            )
    return lines
