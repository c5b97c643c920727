"""Write a generated data set of the kinds that a Perceiver reads: `python tools/make_arrays.py KIND --out FOLDER`."""

import argparse

import mmparts  # noqa: F401  registers the parts
from mmparts.datasets.arrays import KINDS
from mmparts.engine import cli
from mmparts.options import whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        'kind', choices=list(KINDS), help='; '.join(f'{name}: {kind[1]}' for name, kind in KINDS.items())
    )
    parser.add_argument('--out', help='folder to write (default: data/KIND)')
    parser.add_argument('--images', type=whole(1), help='training samples (of each class, of glyphs)')
    parser.add_argument('--val-images', type=whole(1), help='validation samples')
    parser.add_argument('--size', type=whole(16), help='sides of images, in pixels; points or units of a set')
    parser.add_argument('--seed', type=int, default=0, help='another seed gives other data')
    args = vars(parser.parse_args())
    kind = args.pop('kind')
    args['out'] = args['out'] or f'data/{kind}'
    KINDS[kind][0](**{name: value for name, value in args.items() if value is not None})


if __name__ == '__main__':
    cli.run(main, FileExistsError, ValueError)
