"""Write the report of a run: `mmparts report WORK_DIR [OTHER ...]`."""

import argparse

from ..options import Parser, add_debug, add_settings


def parser() -> Parser:
    parser = Parser(
        description='Write report.html of a run, one file that needs no network: numbers, curves, classes, confusion, '
        'errors and what they cost, images, config. Training writes it after its validations.'
    )
    parser.add_argument('work_dir', help='folder of a run')
    parser.add_argument('others', nargs='*', help='folders of runs to compare with: their curves are grey')
    parser.add_argument(
        '--checkpoint',
        metavar='FILE',
        help='validate this checkpoint first; where the run left no record of a validation, its best one is taken',
    )
    parser.add_argument('--out', metavar='FILE', help='where to write (default: WORK_DIR/report.html)')
    add_settings(parser)
    add_debug(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from ..engine import cli
    from ..engine.reporting.report import write_report
    from ..engine.reporting.report_run import has_record, validate

    if args.checkpoint or not has_record(args.work_dir):
        checkpoint = cli.require_file(args.checkpoint, 'checkpoint') if args.checkpoint else None
        validate(args.work_dir, checkpoint, args.cfg_options)
    print(write_report(args.work_dir, args.others, args.out))
