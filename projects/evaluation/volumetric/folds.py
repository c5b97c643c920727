"""The folds of a cross-validation together: mean and deviation of what `VolumeMetric` wrote of each case."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .measures import COUNTS

OTHER = ('case', 'region', *COUNTS, 'seconds', 'seconds_metric')


def fold_table(paths: Sequence[str | os.PathLike]) -> str:
    """Mean of each fold, and mean and deviation over folds, of every measure and region.

    Args:
        paths: a CSV file of `VolumeMetric` for each fold.

    Raises:
        ValueError: a file has other columns or regions than the first, no rows, or a case that another fold has, too.
    """
    folds = [read(path) for path in paths]
    seen: dict[str, str] = {}
    for path, (measures, rows) in zip(paths, folds):
        for case in dict.fromkeys(row['case'] for row in rows):
            if case in seen:
                raise ValueError(f'the case {case!r} is in {seen[case]} and in {path}; folds share none')
            seen[case] = str(path)
        if measures != folds[0][0] or regions(rows) != regions(folds[0][1]):
            raise ValueError(f'{path} has {measures} of {regions(rows)}, otherwise than {paths[0]}')
    measures, names = folds[0][0], regions(folds[0][1])
    lines = [f'{len(folds)} folds, {len(seen)} cases; mean over cases, then mean +- deviation over folds']
    for measure in measures:
        means = np.array([[mean(rows, region, measure) for region in names] for _, rows in folds])
        for region, column in [*zip(names, means.T), ('mean', means.mean(1))]:
            each = ' '.join(f'{value:.4f}' for value in column)
            lines.append(f'{measure} {region}: {column.mean():.4f} +- {column.std(ddof=len(folds) > 1):.4f}  ({each})')
    return '\n'.join(lines)


def read(path: str | os.PathLike) -> tuple[list[str], list[dict]]:
    """Measures and rows of a file."""
    with Path(path).open(newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    if not rows or 'case' not in rows[0] or 'region' not in rows[0]:
        raise ValueError(f'{path} is no table of cases: VolumeMetric(csv_file=...) writes one')
    return [name for name in reader.fieldnames if name not in OTHER], rows


def regions(rows: Sequence[dict]) -> list[str]:
    """Names, in their order."""
    return list(dict.fromkeys(row['region'] for row in rows))


def mean(rows: Sequence[dict], region: str, measure: str) -> float:
    """Over the cases that have a number."""
    return float(np.nanmean([float(row[measure]) for row in rows if row['region'] == region]))
