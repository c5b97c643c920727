"""Predictions as files: JSON that other programs can read, or a pickle of everything."""

import json
from collections.abc import Sequence

from mmdet.evaluation import DumpDetResults
from mmengine.evaluator import BaseMetric

from ..engine.checkpoint import write_atomically
from ..tasks import Task

FORMATS = ('.json', '.pkl', '.pickle')


class DumpJson(BaseMetric):
    """A "metric" that collects the predictions of all processes and writes them to a JSON file.

    Args:
        task: of the model; it knows what a record holds.
    """

    def __init__(self, path: str, task: Task):
        super().__init__(collect_device='cpu')
        self.path, self.task = path, task

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        classes = (self.dataset_meta or {}).get('classes')
        self.results.extend(self.task.record(sample, classes) for sample in data_samples)

    def compute_metrics(self, results: list) -> dict:
        write_atomically(json.dumps(dict(predictions=results)).encode(), self.path)
        return {}


def dump_metric(path: str, task: Task) -> BaseMetric:
    """What writes the predictions of a test to ``path``, by its ending."""
    if not path.endswith(FORMATS):
        raise SystemExit(f'--out {path}: the name must end with {", ".join(FORMATS)}')
    return DumpJson(path, task) if path.endswith('.json') else DumpDetResults(out_file_path=path)
