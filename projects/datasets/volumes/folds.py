"""Which cases train and which validate: every n-th, or folds from a file, never a patient in both."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from .geometry import BadVolume
from .layouts import read_json

PARTS = ('train', 'val')


def every_nth(cases: Sequence[dict], part: str, every: int = 5) -> list[dict]:
    """Of the sorted names every n-th, the first included, validates."""
    ordered = sorted(cases, key=lambda each: each['case'])
    return [each for i, each in enumerate(ordered) if (i % every == 0) == (part == 'val')]


def make_folds(cases: Sequence[dict], folds: int = 5, seed: int = 0) -> list[dict[str, list[str]]]:
    """nnU-Net's ``splits_final.json``: a list of ``dict(train=[names], val=[names])``; patients are not divided."""
    patients = sorted({each.get('patient', each['case']) for each in cases})
    if len(patients) < folds:
        raise BadVolume(f'{folds} folds of {len(patients)} patients; there must be a patient for each fold')
    order = np.random.default_rng(seed).permutation(len(patients))
    fold_of = {patients[i]: place % folds for place, i in enumerate(order)}
    number = {each['case']: fold_of[each.get('patient', each['case'])] for each in cases}
    return [
        dict(train=sorted(c for c, n in number.items() if n != k), val=sorted(c for c, n in number.items() if n == k))
        for k in range(folds)
    ]


def read_fold(path: str | os.PathLike, fold: int, cases: Sequence[dict], part: str) -> list[dict]:
    """The cases of a part of a fold.

    Raises:
        BadVolume: an unknown case, a case or patient in both parts, no such fold.
    """
    content = read_json(Path(path))
    if not isinstance(content, list) or not 0 <= fold < len(content):
        count = len(content) if isinstance(content, list) else 'no'
        raise BadVolume(f'{path} has {count} folds; there is no fold {fold}')
    by_name = {each['case']: each for each in cases}
    for name in PARTS:
        unknown = [each for each in content[fold][name] if each not in by_name]
        if unknown:
            raise BadVolume(f'{path}, fold {fold}, {name}: {len(unknown)} unknown cases, the first {unknown[0]!r}')
    chosen = {name: [by_name[each] for each in content[fold][name]] for name in PARTS}
    check_leak(chosen['train'], chosen['val'], f'{path}, fold {fold}')
    return chosen[part]


def check_leak(train: Iterable[dict], val: Iterable[dict], source: str):
    """Raise `BadVolume` if a patient trains and validates."""
    trained = {each.get('patient', each['case']): each['case'] for each in train}
    for each in val:
        patient = each.get('patient', each['case'])
        if patient in trained:
            raise BadVolume(
                f'{source}: the patient {patient!r} trains (case {trained[patient]!r}) and validates (case '
                f'{each["case"]!r}); all cases of a patient belong to one part'
            )


def write_folds(path: str | os.PathLike, folds: list[dict]):
    """Write them as nnU-Net does."""
    Path(path).write_text(json.dumps(folds, indent=1) + '\n', encoding='utf-8')
