"""Cut the images of a COCO data set with masks into square tiles, for training and for validation."""

import argparse

import mmparts  # noqa: F401  registers the parts
from mmparts.datasets import cut_tiles
from mmparts.engine import cli


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('ann_file', help='COCO annotation file')
    parser.add_argument('images', help='folder of its images')
    parser.add_argument('out', help='folder to write: images, instances_train.json, instances_val.json')
    parser.add_argument('--across', type=int, default=3, help="tiles along an image's shorter side")
    parser.add_argument('--overlap', type=float, default=0.5, help='of tiles for training, in shares of their side')
    parser.add_argument(
        '--min-share',
        type=float,
        default=0.2,
        help='of an object that a tile has to hold; what shows less is marked as a crowd',
    )
    parser.add_argument('--val-every', type=int, default=5, help='the first of every so many images validates')
    parser.add_argument('--overwrite', action='store_true', help='replace tiles that were written before')
    cut_tiles(**vars(parser.parse_args()))


if __name__ == '__main__':
    cli.run(main, OSError, ValueError)
