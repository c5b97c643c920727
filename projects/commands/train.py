"""Train a model: `mmparts train CONFIG`, or `mmparts train FOLDER` with data that a small model is made for."""

import argparse
import os.path as osp

from ..options import Parser, near, share, whole
from ..options import parser as common
from .data_convert import add_arguments

STOPS = True


def parser() -> Parser:
    parser = common(
        'Train a model of a config; or, given a folder of images and annotations (Pascal VOC, YOLO, LabelMe, CSV, '
        'COCO) in place of a config, a small DINO that is made for them, its numbers read off the data.'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint; without a path, or with `auto`, from the newest readable one in '
        'the work dir (a fresh start where there is none)',
    )
    parser.add_argument(
        '--resume-schedule',
        choices=['extend'],
        help='with --resume: plan the schedules anew where the config has changed (more epochs, another rate or '
        'schedule), which is refused otherwise',
    )
    parser.add_argument(
        '--fsdp', action='store_true', help='share weights and optimizer states out among the processes (FSDP2)'
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument(
        '--amp-dtype', choices=['float16', 'bfloat16'], help='implies --amp; default: float16 on GPUs, bfloat16 on CPUs'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by (processes x batch size) / base_batch_size of the config',
    )
    parser.add_argument(
        '--max-requeues', type=whole(0), metavar='N', help='in a Slurm job: how often it is queued again (default 100)'
    )
    start = parser.add_argument_group('start from a checkpoint, whatever its classes')
    start.add_argument(
        '--from',
        dest='start',
        metavar='CHECKPOINT',
        help='take all of it that fits; what stands for classes is matched by their names, and what is new is listed',
    )
    start.add_argument(
        '--old-rate',
        type=share,
        default=1.0,
        metavar='SHARE',
        help='learning rate of what was taken, as a share of that of what is new (default 1)',
    )
    start.add_argument(
        '--freeze', nargs='+', default=[], metavar='PART', help='parts that are not trained, as backbone'
    )
    data = parser.add_argument_group('a folder of data')
    data.add_argument('--epochs', type=whole(1), help='default: by the number of images')
    add_arguments(data)
    return parser


def main(args: argparse.Namespace) -> str:
    """Train; returns the work dir."""
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    from ..analysis.config_checks.preflight import check_or_exit
    from ..engine import cli, outside
    from ..engine.checkpoints.checkpoint import load_checkpoint_file
    from ..engine.faults.consensus import decided
    from ..engine.faults.signals import stop
    from ..weights.torch_file import trusted

    stop.listen(until_exit=True)
    if is_data(args.config):
        from .train_data import config_for

        args.config = config_for(args)
    cfg = cli.prepare(args, check_or_exit)
    cli.refuse_outputs({'--work-dir': cfg.work_dir}, {}, cfg)
    if args.amp or args.amp_dtype:
        cli.set_amp(cfg, args.amp_dtype)
    if args.auto_scale_lr:
        cli.set_auto_scale_lr(cfg)
    if args.fsdp:
        cfg.runner_type = 'mmparts.ShardedRunner'
    if cfg.get('fsdp', {}).get('checkpoint') == 'sharded' and cfg.get('runner_type') != 'mmparts.ShardedRunner':
        raise SystemExit('error: fsdp.checkpoint=sharded needs --fsdp: a run that is not shared out has no shards')
    if args.resume_schedule:
        cfg.merge_from_dict({'default_hooks.progress.resume_schedule': args.resume_schedule})
    if args.max_requeues is not None:
        cfg.merge_from_dict({'default_hooks.interrupt.max_requeues': args.max_requeues})
    if args.start:
        from ..engine.initialisation.transfer import fine_tune

        path = cli.require_file(args.start, 'checkpoint')
        fine_tune(cfg, path, load_checkpoint_file(path, 'cpu', trusted()), args.old_rate, args.freeze)
    elif args.freeze:
        cfg.merge_from_dict({'default_hooks.frozen_parts': dict(type='mmparts.Freeze', names=args.freeze)})
    if cfg.get('visualizer'):  # a second run of this process would write its records to the folder of the first
        cfg.visualizer.name = f'visualizer of {cfg.work_dir}'
    cli.set_resume(cfg, args.resume)
    if not cfg.resume:
        decided(lambda: outside.require(cfg))  # one process fetches
        outside.require(cfg)
    if 'live_bar' in cfg.get('default_hooks', {}):
        from .train_data import estimate

        estimate(cfg)

    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    runner.train()
    return cfg.work_dir


def is_data(path: str) -> bool:
    """Whether a path is data rather than a config."""
    return osp.isdir(path) or path.lower().endswith('.csv')


def train(data: str, **options):
    """Train from Python, as `mmparts train DATA` does; Ctrl-C saves.

    Args:
        data: a folder of images and annotations, or a config.
        options: those of the command line, with underscores: ``epochs=12, work_dir='runs/a', cfg_options={...}``; of a
            checkpoint to start from, ``start='x.pth'``.

    Returns:
        The trained model (:class:`mmparts.inference.model.Model`), with its best checkpoint.

    Raises:
        TypeError: an option that there is not.
    """
    from ..engine import cli
    from ..engine.faults.signals import stop
    from ..inference.model import load

    args = parser().parse_args([str(data)])
    for name, value in options.items():
        if not hasattr(args, name):
            raise TypeError(f'train() has no option {name!r}{near(name, list(vars(args)))}')
        setattr(args, name, value)
    try:
        work_dir = main(args)
    finally:
        while cli.locks:
            cli.locks.pop().release()
        stop.until_exit = False  # this process goes on
        stop.forget()
    return load(work_dir)
