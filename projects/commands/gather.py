"""Make a checkpoint in shards one file: `mmparts gather FOLDER OUT`."""

import argparse

from ..options import Parser, add_debug


def parser() -> Parser:
    parser = Parser(
        description='Put together what the processes of a run with fsdp = dict(checkpoint="sharded") wrote each for '
        'itself: an ordinary checkpoint, for test, predict, publish and for --resume of any run.'
    )
    parser.add_argument('folder', help='a checkpoint in shards (NAME.dcp)')
    parser.add_argument('out', help='the file to write (.pth)')
    add_debug(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from ..engine import cli
    from ..engine.checkpoints import shards

    if not shards.is_sharded(args.folder):
        raise FileNotFoundError(f'{args.folder} is no checkpoint in shards: it has no {shards.INDEX}')
    cli.refuse_outputs({'OUT': args.out}, {'FOLDER': args.folder})
    shards.gather(args.folder, args.out)
    print(args.out)
