"""Write the generated data set "shapes": boxes, masks, panoptic and semantic maps and captions. No network."""

import argparse

import mmparts  # noqa: F401  registers the parts
from mmparts.datasets import make_shapes
from mmparts.engine import cli
from mmparts.options import share, whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--out', default='data/shapes', help='folder to write')
    parser.add_argument('--images', type=whole(1), default=800, help='training images')
    parser.add_argument('--val-images', type=whole(1), default=200, help='validation images')
    parser.add_argument('--size', type=whole(16), default=128, help='longer side of the images, in pixels')
    parser.add_argument('--objects', type=whole(1), default=4, help='most objects in an image')
    parser.add_argument(
        '--unseen',
        type=lambda words: [name.strip() for name in words.split(',')],
        default=[],
        help='names like "red circle, blue star" that only the images of a third split have',
    )
    parser.add_argument(
        '--captions',
        choices=('sentences', 'names'),
        default='sentences',
        help='what the captions say: also where and beside what, or names alone',
    )
    parser.add_argument(
        '--smallest', type=share, default=0.28, help='least diameter of an object, a share of the side, up to 0.7'
    )
    parser.add_argument('--seed', type=int, default=0, help='another seed gives other images')
    parser.add_argument('--workers', type=whole(1), default=1, help='processes that draw; the result is the same')
    parser.add_argument('--overwrite', action='store_true', help='replace a set made with other parameters')
    make_shapes(**vars(parser.parse_args()))


if __name__ == '__main__':
    cli.run(main, FileExistsError, ValueError)
