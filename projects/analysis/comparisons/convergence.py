"""Who learns faster: several configs, one budget, the same seeds; each run a process of its own.

A run is the config with its loop, schedule, batch size and seed replaced; parts, losses and optimiser stay. It lies in
``work_dir/NAME/seed_S``, where a finished one is found again; one that was killed starts anew.
"""

import os.path as osp
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from mmengine.config import Config

from ...engine.cli import load_config
from ...visualization import read_scalars

METRIC = 'coco/bbox_mAP'
LOG, COST = 'output.txt', 'processor_seconds.txt'


@dataclass(frozen=True)
class Budget:
    """What all models get: ``iterations`` of ``batch_size`` images, evaluated every ``val_interval`` iterations."""

    iterations: int
    val_interval: int
    batch_size: int = 8
    warmup: int = 50

    def __post_init__(self):
        for name, value in asdict(self).items():
            if value < (name != 'warmup'):
                raise ValueError(f'{name} is {value}; it must be at least {int(name != "warmup")}')
        if self.val_interval > self.iterations:
            raise ValueError(
                f'val_interval={self.val_interval} is more than all {self.iterations} iterations; there '
                'would be a single point'
            )

    def __str__(self) -> str:
        return f'{self.iterations} iterations of {self.batch_size} images'


@dataclass
class Run:
    """One model with one seed. ``curve``: (iteration, AP in 0..1); times in seconds, the processor's for all of it."""

    name: str
    seed: int
    folder: str
    status: str = 'waiting'  # then 'finished' or 'failed'
    curve: list[tuple[int, float]] = field(default_factory=list)
    seconds_per_iteration: float | None = None
    processor_seconds: float | None = None

    @property
    def config(self) -> str:
        """Path of what is trained; beside the folder, as mmengine leaves a config of the same name inside."""
        return self.folder + '.py'


def name_of(config: str) -> str:
    """The algorithm in the name of a config: ``dino-4scale`` of ``dino/dino-4scale_small_1xb8-9e_shapes.py``."""
    return osp.splitext(osp.basename(config.partition('::')[2] or config))[0].split('_')[0]


def load_configs(paths: list[str], options: dict) -> dict[str, Config]:
    """The configs by name, with ``options`` applied to each.

    Raises:
        FileNotFoundError: a config or its annotations do not exist.
        ValueError: two share a name, or one is not trained on the images of the first, or is not evaluated.
    """
    configs = {}
    for path in paths:
        name = name_of(path)
        if name in configs:
            raise ValueError(
                f'two configs are named {name!r}: {configs[name].filename} and {path}; give one of them a '
                'file name that starts differently'
            )
        configs[name] = load_config(path, options)
    first, reference = next(iter(configs.items()))
    for name, cfg in configs.items():
        for what in ('train_dataloader', 'val_dataloader', 'val_evaluator'):
            if not cfg.get(what):
                raise ValueError(f'{name}: the config has no {what}; only what is trained and evaluated compares')
            ours, theirs = (one[what].get('dataset', one[what]) for one in (cfg, reference))
            if ours != theirs:
                raise ValueError(
                    f'{name} has another {what} than {first}: {ours} instead of {theirs}; models are '
                    'compared on the same images of the same size'
                )
    for loader in (reference.train_dataloader, reference.val_dataloader):
        path = osp.join(loader.dataset.get('data_root', ''), loader.dataset.ann_file)
        if not osp.isfile(path):
            raise FileNotFoundError(
                f'no annotations at {path}; python tools/make_shapes.py --out FOLDER makes the '
                'generated set, --data-root FOLDER says where it is'
            )
    return configs


def budgeted(cfg: Config, budget: Budget, seed: int) -> Config:
    """``cfg`` under the budget: warm-up and a cosine over its iterations, nothing drawn and no checkpoints kept."""
    cfg = Config(cfg.to_dict())
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=budget.iterations, val_interval=budget.val_interval)
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=budget.warmup),
        dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=budget.iterations, eta_min_ratio=0.01),
    ][budget.warmup == 0 :]
    cfg.train_dataloader.update(
        batch_size=budget.batch_size,
        num_workers=0,
        persistent_workers=False,
        sampler=dict(type='InfiniteSampler', shuffle=True),
    )
    cfg.val_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None

    hooks = cfg.default_hooks
    hooks.logger = dict(type='LoggerHook', interval=min(50, budget.val_interval), log_metric_by_epoch=False)
    hooks.checkpoint = None
    for drawing in ('visualization', 'pictures', 'curves'):
        hooks.pop(drawing, None)
    cfg.log_processor = dict(type='LogProcessor', window_size=min(50, budget.val_interval), by_epoch=False)
    cfg.randomness = dict(seed=seed)
    return cfg


def compare(
    configs: dict[str, Config],
    budget: Budget,
    seeds: list[int],
    work_dir: str,
    train: list[str],
    say: Callable[[str], None] = print,
) -> Iterator[list[Run]]:
    """Train what is not there yet, seed by seed; yield all runs at the start and whenever one more has ended.

    Args:
        train: command that trains the config whose path follows it, and takes ``--work-dir``.

    Raises:
        ValueError: ``work_dir`` has a run of another config or budget.
    """
    runs = [Run(name, seed, osp.join(work_dir, name, f'seed_{seed}')) for seed in seeds for name in configs]
    for run in runs:
        _claim(run, budgeted(configs[run.name], budget, run.seed).pretty_text)
    found = [run for run in runs if _read(run, budget)]
    say(f'{len(runs)} runs of {budget}, {len(found)} of them found in {work_dir}')
    yield runs

    for index, run in enumerate(runs, start=1):
        if run not in found:
            told = f'[{index}/{len(runs)}] {run.name}, seed {run.seed}: '
            start = time.time()
            code = _train(run, train)
            if code == 0 and _read(run, budget):
                say(told + f'AP {run.curve[-1][1]:.3f}, {(time.time() - start) / 60:.1f} min')
            else:
                run.status = 'failed'
                say(told + f'failed with exit code {code}: {_last_line(run)} See {osp.join(run.folder, LOG)}')
            yield runs


def _claim(run: Run, text: str) -> None:
    """Make the run's folder and config; a config that is there already must be the same."""
    path = Path(run.config)
    if path.exists() and path.read_text(encoding='utf-8') != text:
        raise ValueError(
            f'{run.folder} has a run of another config, budget or data set; choose another --work-dir, or '
            'remove the folder and the .py beside it'
        )
    Path(run.folder).mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')


def _train(run: Run, train: list[str]) -> int:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(osp.join(run.folder, LOG), 'w', encoding='utf-8') as log:
        command = [*train, run.config, '--work-dir', run.folder]
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    Path(run.folder, COST).write_text(f'{spent:.1f}\n')
    return code


def _read(run: Run, budget: Budget) -> bool:
    """Fill ``run`` from its folder; whether it went to the end of the budget."""
    train, val = read_scalars(run.folder)
    run.curve = [(record['step'], record[METRIC]) for record in val if METRIC in record]
    if not run.curve or run.curve[-1][0] != budget.iterations:
        return False
    run.status = 'finished'
    run.seconds_per_iteration = float(np.median([record['time'] for record in train]))
    if osp.isfile(osp.join(run.folder, COST)):
        run.processor_seconds = float(Path(run.folder, COST).read_text())
    return True


def _last_line(run: Run) -> str:
    """What a failed run said last."""
    lines = Path(run.folder, LOG).read_text(encoding='utf-8').splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), 'it said nothing.')
