"""Train a model: `mmparts train CONFIG`."""

import argparse

from ..options import Parser, whole
from ..options import parser as common

STOPS = True


def parser() -> Parser:
    parser = common('Train a model.')
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
    return parser


def main(args: argparse.Namespace) -> None:
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    from ..analysis.preflight import check_or_exit
    from ..engine import cli
    from ..engine.signals import stop

    stop.listen(until_exit=True)
    cfg = cli.prepare(args, check_or_exit)
    cli.refuse_outputs({'--work-dir': cfg.work_dir}, {}, cfg)
    if args.amp or args.amp_dtype:
        cli.set_amp(cfg, args.amp_dtype)
    if args.auto_scale_lr:
        cli.set_auto_scale_lr(cfg)
    if args.fsdp:
        cfg.runner_type = 'mmparts.ShardedRunner'
    if args.resume_schedule:
        cfg.merge_from_dict({'default_hooks.progress.resume_schedule': args.resume_schedule})
    if args.max_requeues is not None:
        cfg.merge_from_dict({'default_hooks.interrupt.max_requeues': args.max_requeues})
    cli.set_resume(cfg, args.resume)

    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    runner.train()
