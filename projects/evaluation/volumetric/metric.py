"""The metric of volumes: measured case by case, then averaged by a rule that the table names."""

import csv
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from ...registry import METRICS
from ...structures import LabelTable
from ...structures.labels import IGNORE
from .measures import COUNTS, OVERLAPS, Rules, measure, overlaps
from .table import summary_table

AVERAGES = ('case_region', 'pooled', 'median')


@METRICS.register_module()
class VolumeMetric(BaseMetric):
    """Dice, IoU, HD95, ASSD, NSD, sensitivity, precision, volumes and centrelines of each case and region.

    Truth and prediction are ``gt_sem_seg`` and ``pred_sem_seg``: class numbers (1 *S) or regions (R *S), on one grid.
    What they are called comes from the data set; regions are made of predicted classes where it has some. Works for
    images, too (spacing 1).

    Reports ``<measure>`` (the mean over regions) and ``<measure>_<region>``; beside them ``one_sided_empty``: how many
    (case, region) pairs had a truth or a prediction alone, to which the rule for empty sets gave a number.

    Args:
        measures: of `measures.MEASURES`.
        hd_rule: 'medpy' or 'monai', of HD95.
        empty_rule: 'brats', 'vtunet', 'transunet', 'monai' or 'diagonal'.
        average: 'case_region' (mean over cases, then over regions), 'pooled' (overlaps from the voxels of all cases) or
            'median' (over cases, then the mean over regions).
        tolerance: of NSD, in millimetres.
        spacing_aware: False for distances in voxels.
        csv_file: where the measures of each case are written.

    Example:
        >>> VolumeMetric(measures=('Dice', 'HD95'), hd_rule='monai').rules.hd
        'monai'
    """

    default_prefix = 'volume'

    def __init__(
        self,
        measures: Sequence[str] = ('Dice', 'HD95'),
        hd_rule: str = 'medpy',
        empty_rule: str = 'diagonal',
        average: str = 'case_region',
        tolerance: float = 1.0,
        spacing_aware: bool = True,
        csv_file: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ):
        super().__init__(collect_device, prefix)
        if average not in AVERAGES:
            raise ValueError(f'average={average!r}; there are {", ".join(AVERAGES)}')
        pooled = [name for name in measures if name not in OVERLAPS]
        if average == 'pooled' and pooled:
            raise ValueError(f'average=pooled is of counted voxels, {", ".join(OVERLAPS)}; not of {pooled[0]}')
        self.rules = Rules(tuple(measures), hd_rule, empty_rule, tolerance, spacing_aware)
        self.average, self.csv_file = average, csv_file

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Measure the cases of a batch."""
        table = LabelTable.of(self.dataset_meta)
        for sample in data_samples:
            started = time.perf_counter()
            name = str(sample.get('case') or Path(sample.get('img_path') or 'case').name)
            self._check(sample, name)
            truth, found = (table.scored_masks(array_of(sample[key])) for key in ('gt_sem_seg', 'pred_sem_seg'))
            if truth.shape != found.shape:
                raise ValueError(f'{name}: truth of shape {truth.shape}, prediction of {found.shape}')
            spacing = spacing_of_sample(sample, truth.ndim - 1)
            rows = {
                region: measure(t == 1, (f == 1) & (t != IGNORE), spacing, self.rules)
                for region, t, f in zip(table.scored, truth, found)
            }
            seconds = sample.get('seconds', float('nan'))
            self.results.append(dict(case=name, rows=rows, seconds=seconds, metric=time.perf_counter() - started))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Averages over all cases; writes the table and the CSV."""
        results = sorted(results, key=lambda each: each['case'])
        regions = list(results[0]['rows'])
        values = {region: self._average([each['rows'][region] for each in results]) for region in regions}
        metrics = {}
        for name in self.rules.measures:
            metrics[name] = nan_mean([values[region][name] for region in regions])
            metrics |= {f'{name}_{region}': values[region][name] for region in regions}
        rows = [row for each in results for row in each['rows'].values()]
        metrics['one_sided_empty'] = float(sum((row['true'] > 0) != (row['found'] > 0) for row in rows))
        MMLogger.get_current_instance().info(summary_table(values, self.rules, self.average, results))
        if self.csv_file:
            write_csv(self.csv_file, results, self.rules)
        return metrics

    def _average(self, rows: list[dict]) -> dict[str, float]:
        if self.average == 'pooled':
            return overlaps(*(sum(row[name] for row in rows) for name in COUNTS))
        over = nan_mean if self.average == 'case_region' else nan_median
        return {name: over([row[name] for row in rows]) for name in self.rules.measures}

    def _check(self, sample: dict, name: str):
        """Truth is there, and model and data set call their channels the same."""
        for key in ('gt_sem_seg', 'pred_sem_seg'):
            if key not in sample:
                what = 'the data set has no label of it' if key == 'gt_sem_seg' else 'the model predicted none'
                raise KeyError(f'{name} has no {key}: {what}')
        predicted = sample.get('pred_classes')
        if predicted is not None and tuple(predicted) != tuple(self.dataset_meta['classes']):
            raise ValueError(
                f'{name}: the model predicts {tuple(predicted)}, the data set has {tuple(self.dataset_meta["classes"])}'
            )


def array_of(field: dict) -> np.ndarray:
    """The map of a sample as an array."""
    data = field['data']
    return data.cpu().numpy() if hasattr(data, 'cpu') else np.asarray(data)


def spacing_of_sample(sample: dict, axes: int) -> tuple[float, ...]:
    """Of the grid of the file; 1 for images."""
    affine = sample.get('source_affine')
    if affine is None:
        return (1.0,) * axes
    return tuple(np.linalg.norm(np.asarray(affine)[:3, :3], axis=0).tolist())


def nan_mean(values: Sequence[float]) -> float:
    """Mean of those that are numbers; NaN if none is."""
    kept = [value for value in values if not np.isnan(value)]
    return float(np.mean(kept)) if kept else float('nan')


def nan_median(values: Sequence[float]) -> float:
    """Median of those that are numbers."""
    kept = [value for value in values if not np.isnan(value)]
    return float(np.median(kept)) if kept else float('nan')


def write_csv(path: str | os.PathLike, results: list[dict], rules: Rules):
    """A row for each case and region; whole, or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        with partial.open('w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(['case', 'region', *COUNTS, *rules.measures, 'seconds', 'seconds_metric'])
            for each in results:
                for region, row in each['rows'].items():
                    writer.writerow([each['case'], region, *row.values(), each['seconds'], f'{each["metric"]:.3f}'])
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
