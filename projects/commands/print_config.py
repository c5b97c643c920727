"""Print a config as a run reads it, and who says what: `mmparts print_config CONFIG [KEY]`."""

import argparse

from ..options import Parser, add_debug, add_settings


def parser() -> Parser:
    parser = Parser(description='Print a config with its bases joined; --origin names the file that sets each entry.')
    parser.add_argument('config', help='path of a config, or `mmparts::folder/name.py`; it is Python code and is run')
    parser.add_argument('key', nargs='?', help='one entry, as model.num_queries or optim_wrapper')
    parser.add_argument('--origin', action='store_true', help='each entry with the file that sets it')
    add_settings(parser)
    add_debug(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from ..analysis.config_checks.config_origin import lines_of, part
    from ..engine import cli

    cfg = cli.load_config(args.config, args.cfg_options)
    if args.origin:
        print('\n'.join(lines_of(cfg, args.key, set(args.cfg_options or ()))))
    elif args.key:
        print(part(cfg, args.key))
    else:
        print(cfg.pretty_text)
