"""Regions that a detector finds in a folder of images: `mmparts data regions CONFIG CHECKPOINT FOLDER --out DIR`."""

import argparse

from ..options import Parser, add_common, add_device, device_of, whole

ERRORS = (ValueError, TypeError, FileNotFoundError)


def parser() -> Parser:
    parser = Parser(
        description='Write the regions that a detector finds in the images of a folder: one npz an image with features '
        '(states of its queries), boxes and scores, which `mmparts.LoadRegions` reads for VisualBERT. What is there '
        'already stays. Exit code 1 if an image could not be read.'
    )
    parser.add_argument('config', help='of a detector, as DINO; it is Python code and is run')
    parser.add_argument('checkpoint', help='its weights (.pth)')
    parser.add_argument('folder', help='the images, also in folders below it')
    parser.add_argument('--out', metavar='DIR', required=True, help='where the files go')
    parser.add_argument('--regions', type=whole(1), default=36, help='of an image, the best (default 36)')
    parser.add_argument('--batch-size', type=whole(1), default=1, help='images at a time (default 1)')
    add_device(parser)
    add_common(parser)
    return parser


def main(args: argparse.Namespace) -> int:
    from ..engine import cli
    from ..inference.regions import RegionDetector, write_regions
    from .search import name_of

    cfg = cli.prepare(args)
    # Its files may lie beside the images, which is where configs look for them: they have names of their own.
    cli.refuse_outputs({'--out': args.out}, {'config': args.config, 'checkpoint': args.checkpoint})
    cli.require_whole_model()
    detector = RegionDetector(cfg, cli.require_file(args.checkpoint, 'checkpoint'), device_of(args))
    detector.most = args.regions
    model = f'{name_of(args.checkpoint, cfg)[:64]} {args.regions}'
    done = failed = 0
    for name, reason in write_regions(detector, args.folder, args.out, model, args.batch_size):
        done += reason is None
        failed += reason is not None
        if reason is not None:
            print(f'{name}: failed, {reason}')
    print(f'regions of {done} images in {args.out}' + (f', {failed} failed' if failed else ''))
    return 1 if failed else 0
