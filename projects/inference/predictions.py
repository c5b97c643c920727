"""Predictions as files: JSON that other programs can read, or a pickle of everything."""

import json
import os
import os.path as osp
from collections.abc import Sequence
from typing import TextIO

from mmdet.evaluation import DumpDetResults
from mmengine.dist import get_rank
from mmengine.evaluator import BaseMetric

from ..engine.checkpoints.checkpoint import write_atomically
from ..tasks import Task

FORMATS = ('.json', '.pkl', '.pickle')


class Records:
    """A JSON file of records that are on disk as soon as they are made: line by line in ``PATH.lines`` first, which
    becomes the file at the end. What stopped before leaves the lines.

    Args:
        path: the file to write.
        head: what stands before the records.
    """

    def __init__(self, path: str, head: dict | None = None):
        self.path, self.head, self.lines = path, dict(head or {}), f'{path}.lines'

    def __enter__(self):
        os.makedirs(osp.dirname(osp.abspath(self.path)), exist_ok=True)
        self.file = open(self.lines, 'w', encoding='utf-8')
        return self

    def add(self, record: dict) -> None:
        self.file.write(json.dumps(record) + '\n')
        self.file.flush()

    def __exit__(self, kind, error, traceback) -> None:
        self.file.close()
        if kind is not None:
            return
        with open(self.lines, encoding='utf-8') as file:
            records = [json.loads(line) for line in file]
        write_atomically(json.dumps(dict(self.head, predictions=records), indent=1).encode(), self.path)
        os.remove(self.lines)


class DumpJson(BaseMetric):
    """A "metric" that collects the predictions of all processes and writes them to a JSON file; until then those of
    each process are in ``PATH.lines`` with its number.

    Args:
        task: of the model; it knows what a record holds.
    """

    def __init__(self, path: str, task: Task):
        super().__init__(collect_device='cpu')
        self.path, self.task = path, task

        self.lines = f'{path}.lines{get_rank() or ""}'
        self.file: TextIO | None = None

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        if self.file is None:
            os.makedirs(osp.dirname(osp.abspath(self.path)), exist_ok=True)
            self.file = open(self.lines, 'w', encoding='utf-8')  # noqa: SIM115  closed by evaluate
        classes = (self.dataset_meta or {}).get('classes')
        made = [self.task.record(sample, classes) for sample in data_samples]
        self.file.writelines(json.dumps(record) + '\n' for record in made)
        self.file.flush()
        self.results.extend(made)

    def evaluate(self, size: int) -> dict:
        """Gather, write the file, and take the lines away."""
        told = super().evaluate(size)
        if self.file is not None:
            self.file.close()
            self.file = None
            os.remove(self.lines)
        return told

    def compute_metrics(self, results: list) -> dict:
        write_atomically(json.dumps(dict(predictions=results)).encode(), self.path)
        return {}


def dump_metric(path: str, task: Task) -> BaseMetric:
    """What writes the predictions of a test to ``path``, by its ending."""
    if not path.endswith(FORMATS):
        raise SystemExit(f'--out {path}: the name must end with {", ".join(FORMATS)}')
    return DumpJson(path, task) if path.endswith('.json') else DumpDetResults(out_file_path=path)
