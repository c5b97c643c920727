"""Curves of a training run: loss, its terms and the validation metrics, as a picture and as a table.

They are read from the ``scalars.json`` files that mmengine's ``LocalVisBackend`` leaves in a work dir.
"""

import glob
import json
import os
import os.path as osp
import re
from collections import defaultdict

import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook

from ..registry import HOOKS

PICTURE, TABLE = 'curves.png', 'curves.md'
# Logged beside the metrics of a validation.
TIMES = ('time', 'data_time', 'step', 'memory', 'epoch', 'iter')


def read_scalars(work_dir: str) -> tuple[list[dict], list[dict]]:
    """Training and validation records of all runs in ``work_dir``, by step; a resumed run replaces what it repeats."""
    train, val = {}, {}
    for path in sorted(glob.glob(osp.join(work_dir, '*', 'vis_data', 'scalars.json'))):
        with open(path, encoding='utf-8') as file:
            records = [json.loads(line) for line in file if line.strip()]
        for record in records:
            target = train if 'loss' in record else val
            if target is train or metrics_of(record):
                target[record['step']] = record
    return [train[step] for step in sorted(train)], [val[step] for step in sorted(val)]


def unit_of(train: list[dict], val: list[dict]) -> str:
    """What the steps of validations count: epochs, or iterations."""
    epochs = max((record['epoch'] for record in train if 'epoch' in record), default=0)
    return 'epoch' if val and val[-1]['step'] <= epochs else 'iteration'


def metrics_of(record: dict) -> dict[str, float]:
    """The metrics of a validation record; -1 is COCO's word for "no such object"."""
    return {
        name: value
        for name, value in record.items()
        if name not in TIMES and isinstance(value, (int, float)) and value != -1
    }


def loss_terms(records: list[dict], most: int = 8) -> dict[str, np.ndarray]:
    """Terms of the loss over the records, summed over decoder layers (``d0.loss_cls``, ``d1.loss_cls`` ...).

    Returns:
        The ``most`` largest by mean, each an array of len(records); missing values are NaN.
    """
    terms = defaultdict(lambda: np.full(len(records), np.nan))
    for index, record in enumerate(records):
        for name, value in record.items():
            if 'loss' in name and name != 'loss' and isinstance(value, (int, float)):
                term = terms[re.sub(r'(^|[._])d?\d+[._]', r'\1', name)]
                term[index] = value if np.isnan(term[index]) else term[index] + value
    ordered = sorted(terms, key=lambda name: -_mean(np.abs(terms[name])))
    return {name: terms[name] for name in ordered[:most]}


def _mean(values: np.ndarray) -> float:
    """Of those that are numbers; 0 where none is."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0


def smooth(values: np.ndarray) -> np.ndarray:
    """A centred running mean over a twentieth of the run, shorter at the ends."""
    half = len(values) // 40
    return np.array([np.mean(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])


def draw_curves(work_dir: str) -> str | None:
    """Write ``curves.png`` and ``curves.md`` into ``work_dir``; the picture's path, or None if there is nothing."""
    train, val = read_scalars(work_dir)
    if not train and not val:
        return None
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A figure of its own, without pyplot: the user's backend and open figures stay as they are.
    with matplotlib.rc_context({'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False}):
        figure = Figure(figsize=(12, 4.5), dpi=110, layout='constrained')
        canvas = FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        _draw_losses(left, train)
        _draw_metrics(right, val, unit_of(train, val))
        figure.suptitle(osp.basename(osp.abspath(work_dir)), fontsize=10)
        path = osp.join(work_dir, PICTURE)
        # Whoever has the picture open never sees half of it.
        canvas.print_figure(path + '.tmp', format='png')
        os.replace(path + '.tmp', path)
    with open(osp.join(work_dir, TABLE), 'w', encoding='utf-8') as file:
        file.write(table(train, val))
    return path


def _draw_losses(axis, train: list[dict]) -> None:
    steps = [record['step'] for record in train]
    total = np.array([record['loss'] for record in train], dtype=float)
    axis.plot(steps, total, color='0.8', linewidth=1)
    axis.plot(steps, smooth(total), color='black', linewidth=2, label='loss')
    for name, values in loss_terms(train).items():
        axis.plot(steps, smooth(values), linewidth=1.2, label=name)
    axis.set(title='training loss (terms summed over layers)', xlabel='iteration', yscale=_scale(total))
    axis.grid(alpha=0.3)
    if steps:
        axis.legend(fontsize=7, ncols=2)


def _scale(values: np.ndarray) -> str:
    finite = values[np.isfinite(values)]
    return 'log' if len(finite) and finite.min() > 0 and finite.max() > 10 * finite.min() else 'linear'


def _names(val: list[dict], most: int) -> list[str]:
    """The first metrics, without COCO's by object size."""
    names = dict.fromkeys(name for record in val for name in metrics_of(record))
    return [name for name in names if not name.endswith(('_s', '_m', '_l'))][:most]


def _draw_metrics(axis, val: list[dict], unit: str) -> None:
    names = _names(val, 6)
    for name in names:
        points = [(record['step'], metrics_of(record)[name]) for record in val if name in metrics_of(record)]
        axis.plot(*zip(*points), marker='.', linewidth=2 if name == names[0] else 1.2, label=name)
    axis.set(title='validation', xlabel=unit)
    axis.grid(alpha=0.3)
    if names:
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=7)
        axis.xaxis.get_major_locator().set_params(integer=True)
        best = max((record for record in val if names[0] in record), key=lambda record: record[names[0]])
        axis.annotate(
            f'best {best[names[0]]:.3f}',
            (best['step'], best[names[0]]),
            xytext=(0, 6),
            ha='right',
            textcoords='offset points',
        )
    else:
        axis.text(0.5, 0.5, 'no validation yet', ha='center', transform=axis.transAxes, color='0.5')


def table(train: list[dict], val: list[dict], rows: int = 20) -> str:
    """A Markdown table: the loss before each validation and its metrics, at most ``rows`` of them."""
    names, unit = _names(val, 6), unit_of(train, val)
    lines = [
        f'| {unit} | loss | ' + ' | '.join(names) + ' |' if names else f'| {unit} | loss |',
        '|---' * (2 + len(names)) + '|',
    ]
    if not val:
        lines += [f'| {record["step"]} | {record["loss"]:.4f} |' for record in train[-1:]]
    picked = sorted({round(i) for i in np.linspace(0, len(val) - 1, min(rows, len(val)))}) if val else []
    for index in picked:
        before = [record for record in train if record.get('epoch', record['step']) <= val[index]['step']]
        loss = f'{before[-1]["loss"]:.4f}' if before else '-'
        cells = [f'{val[index][name]:.4f}' if name in val[index] else '-' for name in names]
        lines.append(f'| {val[index]["step"]} | {loss} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


@HOOKS.register_module()
class CurveHook(Hook):
    """Refreshes ``curves.png`` and ``curves.md`` in the work dir after each validation and at the end.

    A failure to draw is logged and does not stop training.
    """

    # After LoggerHook, which writes the numbers.
    priority = 'LOWEST'

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        self._draw(runner)

    def after_train(self, runner) -> None:
        self._draw(runner)

    @master_only
    def _draw(self, runner) -> None:
        try:
            draw_curves(runner.work_dir)
        except Exception as error:
            runner.logger.warning(f'The curves of {runner.work_dir} were not drawn: {type(error).__name__}: {error}')
