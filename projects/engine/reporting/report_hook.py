"""Writes the report of a run after its validations."""

import contextlib
import logging
import time
from collections.abc import Sequence

import numpy as np
from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner, ValLoop

from ...datasets.members import classes_of
from ...registry import HOOKS
from ...tasks import Task, task_of
from .data_summary import doubles, summarize
from .report import config_diff, plain_config, save_record, write_report


class Evidence(BaseMetric):
    """A "metric" that keeps truth and prediction of each image for the report, of all processes.

    Attributes:
        kept: of the last validation.
    """

    def __init__(self, task: Task, dataset):
        super().__init__(collect_device='cpu', prefix='report')
        self.task, self.dataset = task, dataset
        self.kept: list[dict] = []
        self.broken = False
        self.places: dict[str, int] | None = None

    def names(self) -> list[str]:
        return []

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Never ends a validation: of samples that the task does not understand there is nothing to show."""
        for sample in data_samples:
            found = None
            if not self.broken:
                try:
                    found = self.task.evidence(sample, self.info(sample))
                except Exception as error:
                    self.broken = True
                    reason = f'{type(error).__name__}: {error}'
                    print_log(f'The report will show no predictions: {reason}', 'current', logging.WARNING)
            self.results.append(found)

    def info(self, sample: dict) -> dict:
        """What the data set knows of the image of a sample; nothing where it does not say."""
        if not hasattr(self.dataset, 'get_data_info'):
            return {}
        if self.places is None:
            found = (self.dataset.get_data_info(index).get('img_path') for index in range(len(self.dataset)))
            self.places = {path: index for index, path in enumerate(found)}
        place = self.places.get(sample.get('img_path'))
        return {} if place is None else self.dataset.get_data_info(place)

    def compute_metrics(self, results: list) -> dict:
        self.kept = self.task.settled([one for one in results if one is not None])
        return {}


@HOOKS.register_module()
class ReportHook(Hook):
    """Refreshes ``report.html`` in the work dir after a validation, and at the end with a look inside the model.

    A failure is logged and does not stop training.

    Args:
        share: of the time of training that reports may take; between them validations pass without. The last one
            writes always.
        images: that the look inside the model takes.
    """

    priority = 'LOWEST'  # after the checkpoint of the best validation, and what is logged

    def __init__(self, share: float = 0.05, images: int = 50):
        self.share, self.images = share, images
        self.evidence: Evidence | None = None
        self.data: dict | None = None
        self.metrics: dict = {}
        self.took = self.last = 0.0
        self.fresh = False

    def before_train(self, runner: Runner) -> None:
        self.last = time.monotonic()

    def before_val(self, runner: Runner) -> None:
        loop = runner._val_loop
        if self.evidence is None and isinstance(loop, ValLoop):
            task = None
            with contextlib.suppress(KeyError):
                task = task_of(runner.model)
            self.evidence = Evidence(task or Task(), loop.dataloader.dataset)
            self.evidence.dataset_meta = getattr(loop.dataloader.dataset, 'metainfo', None)
            loop.evaluator.metrics.append(self.evidence)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        self.metrics, self.fresh = dict(metrics or {}), True
        if time.monotonic() - self.last >= self.took / self.share:
            self.write(runner)

    def after_train(self, runner: Runner) -> None:
        if self.evidence is not None and is_main_process():
            self.write(runner, look_inside=True)

    def write(self, runner: Runner, look_inside: bool = False) -> None:
        """Keep the record and make the page."""
        if not is_main_process() or self.evidence is None:
            return
        start = time.monotonic()
        try:
            save_record(runner.work_dir, self.record(runner, look_inside))
            path = write_report(runner.work_dir)
            if look_inside:
                runner.logger.info(f'Report: {path}')
        except Exception as error:
            runner.logger.warning(f'The report of {runner.work_dir} was not written: {type(error).__name__}: {error}')
        self.last, self.fresh = time.monotonic(), False
        self.took = self.last - start

    def record(self, runner: Runner, look_inside: bool) -> dict:
        """All that the page is made of, as plain data."""
        task, dataset = self.evidence.task, self.evidence.dataset
        if self.data is None:
            self.data = data_of(runner, task)
        classes = classes_of(dataset)
        named = type(task) is not Task
        return dict(
            task=task.name if named else None,
            model=type(unwrapped(runner)).__name__,
            config=runner.cfg.filename or 'config.py',
            when=f'after epoch {runner.epoch}' if runner._train_loop is not None else 'of a checkpoint',
            classes=list(classes) if classes else None,
            metrics={name: value for name, value in self.metrics.items() if isinstance(value, (int, float))},
            checkpoint=best_checkpoint(runner),
            data=self.data,
            config_diff=config_diff(runner.cfg),
            whole_config=plain_config(runner.cfg),
            inspection=look(runner, task, dataset, classes, self.images) if look_inside else {},
            evidence=self.evidence.kept,
        )


def unwrapped(runner: Runner):
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def best_checkpoint(runner: Runner) -> str | None:
    """The best of the run so far, else the last, else what was loaded."""
    known = runner.message_hub.runtime_info
    return known.get('best_ckpt') or known.get('last_ckpt') or runner._load_from


def data_of(runner: Runner, task: Task) -> dict:
    """Summaries of the training and the validation set, of those that can be read; each says which of its images are
    there twice."""
    found, sets = {}, {}
    loops = dict(training=runner._train_loop, validation=runner._val_loop)
    for name, loop in loops.items():
        dataset = getattr(getattr(loop, 'dataloader', None), 'dataset', None)
        with contextlib.suppress(Exception):  # sets that say nothing of their annotations
            sets[name] = getattr(dataset, 'dataset', dataset)
            found[name] = summarize(sets[name], task)
    with contextlib.suppress(Exception):  # sets of other things than files
        twice = doubles({name: sets[name] for name in found})
        for name in found:
            found[name]['doubles'] = [places for places in twice if places[0][0] == name]
    return found


def look(runner: Runner, task: Task, dataset, classes, images: int) -> dict:
    """What the task finds inside the model, in evenly spread images; nothing of models that are shared out."""
    model = unwrapped(runner)
    if any(hasattr(value, 'to_local') for value in model.parameters()):
        return {}
    collate = runner._val_loop.dataloader.collate_fn
    batches = []
    for index in np.unique(np.linspace(0, len(dataset) - 1, images).round().astype(int)).tolist():
        batches.append(dict(collate([dataset[index]]), info=dataset.get_data_info(index)))
    model.eval()
    return task.inspect(model, batches, classes)
