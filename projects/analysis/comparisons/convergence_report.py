"""What a comparison of :mod:`.convergence` found: a table, a picture and JSON."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ...visualization import draw_comparison
from ..config_checks.config_files import between
from .convergence import Budget, Run

MARKS = ('<!-- table: made by tools/convergence.py -->', '<!-- /table -->')


def write_report(runs: list[Run], budget: Budget, out: str, levels: Sequence[float] = ()) -> None:
    """Write ``out``.md, ``out``.png and ``out``.json from the runs that are finished.

    What a Markdown file that is there already says around the table stays. For ``levels`` see :func:`table`.

    Raises:
        ValueError: it has no place for the table.
    """
    page = Path(out + '.md')
    os.makedirs(page.parent, exist_ok=True)
    text = page.read_text(encoding='utf-8') if page.exists() else '\n'.join(MARKS) + '\n'
    if not all(mark in text for mark in MARKS):
        raise ValueError(
            f'{page} is there and has no place for the table; put the lines {MARKS[0]} and {MARKS[1]} '
            'where it should stand, or choose another --out'
        )
    page.write_text(between(MARKS, text, table(runs, budget, levels)), encoding='utf-8')

    records = [{key: value for key, value in asdict(run).items() if key != 'folder'} for run in runs]
    Path(out + '.json').write_text(json.dumps(dict(budget=asdict(budget), runs=records), indent=1), encoding='utf-8')

    curves = {name: curves_of(done) for name, done in finished(runs).items()}
    seeds = sorted({run.seed for run in runs if run.status == 'finished'})
    told = (
        f'seeds {", ".join(map(str, seeds))}; bands: least to greatest seed'
        if len(seeds) > 1
        else f'one seed ({seeds[0]})'
        if seeds
        else 'nothing finished yet'
    )
    draw_comparison(curves, f'{budget}, {told}', out + '.png', ('iteration', 'box AP'))


def finished(runs: list[Run]) -> dict[str, list[Run]]:
    """The finished runs of every model that has one, in the order of the comparison."""
    models = {}
    for run in runs:
        if run.status == 'finished':
            models.setdefault(run.name, []).append(run)
    return models


def curves_of(runs: list[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Iterations (T) and AP (seeds T) of the runs of one model; they were evaluated at the same iterations."""
    return np.array([step for step, _ in runs[0].curve]), np.array([[ap for _, ap in run.curve] for run in runs])


def reached(steps: np.ndarray, mean: np.ndarray, level: float) -> int | None:
    """First evaluated iteration with an AP of ``level`` or more; None if there is none."""
    above = np.flatnonzero(mean >= level)
    return int(steps[above[0]]) if len(above) else None


def table(runs: list[Run], budget: Budget, levels: Sequence[float] = ()) -> str:
    """Markdown, a row for each model with a finished run, by final AP; means over seeds, and their range at the end.

    AP within the run is that of the last evaluation up to a quarter, half and three quarters of the budget; for each of
    ``levels`` there is the first evaluated iteration with that AP. Times are of the median iteration on the clock, and
    of all that the processor did (start, training, evaluations).
    """
    quarters = [budget.iterations * quarter // 4 for quarter in (1, 2, 3)]
    head = [
        'model',
        'seeds',
        *(f'AP at {at}' for at in quarters),
        f'AP at {budget.iterations}',
        'range',
        *(f'iterations to {level}' for level in levels),
        's / iteration',
        'processor, min',
    ]
    rows = []
    for name, done in finished(runs).items():
        steps, values = curves_of(done)
        mean = values.mean(axis=0)
        at = [np.flatnonzero(steps <= quarter) for quarter in quarters]
        rows.append(
            (
                mean[-1],
                [
                    name,
                    str(len(done)),
                    *(f'{mean[index[-1]]:.3f}' if len(index) else '-' for index in at),
                    f'**{mean[-1]:.3f}**',
                    f'{values[:, -1].min():.3f} - {values[:, -1].max():.3f}',
                    *(str(reached(steps, mean, level) or '-') for level in levels),
                    _mean([run.seconds_per_iteration for run in done], 1, 2),
                    _mean([run.processor_seconds for run in done], 60, 1),
                ],
            )
        )
    rows = [row for _, row in sorted(rows, key=lambda row: -row[0])]
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _mean(seconds: list[float | None], unit: float, digits: int) -> str:
    known = [value for value in seconds if value is not None]
    return f'{np.mean(known) / unit:.{digits}f}' if known else '-'
