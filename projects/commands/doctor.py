"""Does this machine fit, and would a config run? `mmparts doctor [CONFIG]`."""

import argparse

from ..options import Parser, add_debug, add_settings


def parser() -> Parser:
    parser = Parser(
        description='Say what of this machine and its packages does not fit. With a config: build it, load an image, '
        'do a training step and an evaluation, and say how long they take and how much memory. Exit code 1 if '
        'something is bad.'
    )
    parser.add_argument(
        'config', nargs='?', help='a config, or `mmparts::folder/name.py`; it is Python code and is run'
    )
    add_settings(parser)
    add_debug(parser)
    return parser


def main(args: argparse.Namespace) -> int:
    import logging

    from mmengine.registry import init_default_scope

    from ..analysis.doctor import BAD, machine, trial
    from ..engine import cli

    bad = 0
    for line in machine():
        bad += show(line) == BAD
    if args.config:
        cfg = cli.load_config(args.config, args.cfg_options)
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        logging.disable(logging.WARNING)
        for line in trial(cfg, args.cfg_options):
            bad += show(line) == BAD
    print('something is bad' if bad else 'all is well')
    return 1 if bad else 0


def show(line) -> str:
    """Print a line; returns its state."""
    print(f'{line.state:5s} {line.what:14s} {line.found}', flush=True)
    return line.state
