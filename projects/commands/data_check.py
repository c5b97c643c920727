"""Hold the data of a config against its model: `mmparts data check CONFIG`."""

import argparse

from ..options import Parser, add_debug, add_settings

ERRORS = (ValueError,)


def parser() -> Parser:
    parser = Parser(
        description='Look through the training and validation data of a config before it is trained: classes, boxes '
        'and their sides against strides, crowding against queries and the limit of the metric, files that cannot be '
        'read, images that are there twice. Exit code 1 if images cannot be used.'
    )
    parser.add_argument('config', help='a config, or `mmparts::folder/name.py`; it is Python code and is run')
    parser.add_argument('--fast', action='store_true', help='read the annotations alone, no image')
    parser.add_argument('--out', metavar='DIR', default='work_dirs/data_check', help='for pictures (%(default)s)')
    add_settings(parser)
    add_debug(parser)
    return parser


def main(args: argparse.Namespace) -> int:
    from mmengine.registry import init_default_scope
    from rich.console import Console

    from ..analysis.data_check import check, draw, tables
    from ..engine import cli

    cfg = cli.load_config(args.config, args.cfg_options)
    cli.refuse_outputs({'--out': args.out}, {'config': args.config}, cfg)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    report = check(cfg, read=not args.fast)
    console = Console()
    for table in tables(report):
        console.print(table)
    for line in report.findings or ['nothing that looks wrong']:
        console.print(f'* {line}', highlight=False, markup=False)
    for path, reason in list(report.unreadable.items())[:20]:
        console.print(f'  {path}: {reason}', highlight=False, markup=False)
    if not args.fast:
        for path in draw(cfg, report, args.out):
            print(path)
    return 1 if report.unreadable else 0
