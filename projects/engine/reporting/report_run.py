"""Reports of runs that left none: validates a checkpoint, and keeps what it finds beside the run."""

import glob
import os.path as osp
import tempfile

from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from .report import RECORD, NoReport, save_record
from .report_hook import ReportHook


def validate(work_dir: str, checkpoint: str | None = None, options: dict | None = None) -> None:
    """Run the validation of a work dir's config, and keep the record of its report there.

    Args:
        checkpoint: default: the best of the work dir, else its last.
        options: entries of the config to override.

    Raises:
        NoReport: no config or no checkpoint is there.
    """
    from ..cli import load_config, require_whole_model

    configs = sorted(glob.glob(osp.join(work_dir, '*.py')), key=osp.getmtime)
    if not configs:
        raise NoReport(f'{work_dir} has no config; it should be a folder that a training wrote')
    cfg = load_config(configs[-1], options)
    cfg.load_from, cfg.resume = checkpoint or newest_best(work_dir), False
    cfg.default_hooks.pop('report', None)
    cfg.default_hooks.checkpoint = None  # mmengine's looks for the best, of a training
    require_whole_model()
    with tempfile.TemporaryDirectory() as folder:  # its logs would stand among those of the training
        cfg.work_dir = folder
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
        hook = Observer()
        runner.register_hook(hook, priority='LOWEST')
        runner.val()
        record = hook.record(runner, look_inside=True)
    save_record(work_dir, dict(record, checkpoint=cfg.load_from, when=f'of {osp.basename(cfg.load_from)}'))


class Observer(ReportHook):
    """Keeps what a validation finds, and writes no page."""

    def write(self, runner: Runner, look_inside: bool = False) -> None:
        pass


def newest_best(work_dir: str) -> str:
    """The newest of a run's best checkpoints, else of all."""
    for pattern in ('best_*.pth', '*.pth'):
        if found := glob.glob(osp.join(work_dir, pattern)):
            return max(found, key=osp.getmtime)
    raise NoReport(f'{work_dir} has no checkpoint; --checkpoint names one')


def has_record(work_dir: str) -> bool:
    return osp.isfile(osp.join(work_dir, RECORD))
