"""Make a checkpoint small to give it away: `mmparts publish CHECKPOINT OUT`."""

import argparse

from ..options import Parser, add_debug


def parser() -> Parser:
    parser = Parser(
        description='Keep of a checkpoint what a model needs: its weights (the averaged ones, where the run kept an '
        'average), class names and config; optimizer, schedules and logs go. The first 8 digits of its SHA-256 go into '
        'the name, as torch.hub wants it.'
    )
    parser.add_argument('checkpoint', help='path of a checkpoint (.pth)')
    parser.add_argument('out', help='the file to write: OUT.pth becomes OUT-XXXXXXXX.pth')
    parser.add_argument('--half', action='store_true', help='weights in half precision: half the size')
    add_debug(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from ..engine import cli
    from ..engine.checkpoints.publish import publish

    path = cli.require_file(args.checkpoint, 'checkpoint')
    cli.refuse_outputs({'OUT': args.out}, {'checkpoint': path})
    print(publish(path, args.out, args.half))
