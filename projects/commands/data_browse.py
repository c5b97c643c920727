"""Draw what a config trains on: `mmparts data browse CONFIG`."""

import argparse

from ..options import Parser, add_debug, add_settings, whole

ERRORS = (ValueError,)


def parser() -> Parser:
    parser = Parser(
        description='Draw what a config trains on: samples after the pipeline with their annotations, and a summary. '
        'Needs no display.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        'config',
        help='a config with dataloaders, or `mmparts::folder/name.py`; one of _base_/datasets will do. It is Python '
        'code and is run',
    )
    parser.add_argument('--split', choices=('train', 'val', 'test'), default='train', help='which dataloader')
    parser.add_argument('--out', default='work_dirs/browse', help='folder for the pictures')
    parser.add_argument('--num', type=whole(1), default=12, help='pictures to draw')
    add_settings(parser)
    add_debug(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from mmengine.registry import init_default_scope
    from rich.console import Console

    from ..analysis.browse import build_dataset, draw_samples, summary, task_of_data
    from ..engine import cli

    cfg = cli.load_config(args.config, args.cfg_options)
    cli.refuse_outputs({'--out': args.out}, {'config': args.config}, cfg)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    dataset = build_dataset(cfg, args.split)
    task = task_of_data(cfg, dataset)
    paths = draw_samples(dataset, args.out, args.num, task)
    console = Console()
    for table in summary(dataset, task):
        console.print(table)
    print(f'{len(paths)} pictures in {args.out}; begin with {paths[-1]}')
