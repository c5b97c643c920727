"""Draws predictions beside the ground truth while validating and testing."""

import contextlib
import os.path as osp

from mmengine.config import Config
from mmengine.dist import get_rank, is_main_process
from mmengine.hooks import Hook

from ...registry import HOOKS
from ...tasks import Task, task_of
from ...visualization.pictures import file_name, save, sheet


@HOOKS.register_module()
class PictureHook(Hook):
    """After each validation: ``val_predictions.png`` in the work dir, a sheet of the first images. In a test with
    ``test_dir``: one picture of every image, and the sheet.

    The ground truth is drawn when the data samples carry it in pixels of the original image, i.e. when
    ``LoadAnnotations`` comes after ``Resize`` in the pipeline, as in mmdet's test pipelines. Samples without a
    prediction that the model's task draws, and models without a task, are passed over while validating.

    Args:
        score_thr: Predictions from this score on are drawn.
        sheet_size: Pictures on the sheet; 0 draws nothing while validating.
        test_dir: Folder for the pictures of a test; None draws nothing.
    """

    def __init__(self, score_thr: float = 0.3, sheet_size: int = 8, test_dir: str | None = None):
        self.score_thr = score_thr
        self.sheet_size = sheet_size
        self.test_dir = test_dir
        self.pages, self.used = [], set()
        self.task: Task | None = None

    def before_val_epoch(self, runner) -> None:
        self.pages, self.task = [], None
        with contextlib.suppress(KeyError):
            self.task = task_of(runner.model)

    def before_test_epoch(self, runner) -> None:
        self.pages, self.used = [], set()
        self.task = task_of(runner.model) if self.test_dir else None

    def after_val_iter(self, runner, batch_idx: int, data_batch: dict | None = None, outputs=None) -> None:
        if self.task is not None and is_main_process():
            samples = [sample for sample in outputs if self.task.drawn(sample)]
            for sample in samples[: max(0, self.sheet_size - len(self.pages))]:
                self.pages.append(self._draw(sample, runner.visualizer.dataset_meta))

    def after_test_iter(self, runner, batch_idx: int, data_batch: dict | None = None, outputs=None) -> None:
        for sample in outputs if self.test_dir else ():
            page = self._draw(sample, runner.visualizer.dataset_meta)
            save(page, osp.join(self._folder(), file_name(sample.img_path, self.used)))
            if len(self.pages) < self.sheet_size:
                self.pages.append(page)

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        if self.pages and is_main_process():
            save(sheet(self.pages), osp.join(runner.work_dir, 'val_predictions.png'))
        self.pages = []

    def after_test_epoch(self, runner, metrics: dict | None = None) -> None:
        if self.pages and is_main_process():
            save(sheet(self.pages), osp.join(self._folder(), 'sheet.png'))
            runner.logger.info(f'Pictures: {self.test_dir}')
        self.pages = []

    def _folder(self) -> str:
        # Two ranks may meet the same file name in two folders; each writes into its own.
        return self.test_dir if get_rank() == 0 else osp.join(self.test_dir, f'rank{get_rank()}')

    def _draw(self, sample, dataset_meta: dict | None):
        return self.task.draw_file(sample, (dataset_meta or {}).get('classes'), self.score_thr)


def draw_test_images(cfg: Config, folder: str, score_thr: float = 0.3) -> None:
    """Let a test of ``cfg`` write its pictures to ``folder``."""
    hook = dict(type='mmparts.PictureHook', test_dir=folder, score_thr=score_thr)
    cfg.setdefault('default_hooks', {})['pictures'] = hook
