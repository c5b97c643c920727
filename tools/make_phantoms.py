"""Write phantoms: volumes with nested ellipsoids or vessel trees, and hyperspectral cubes. No network."""

import argparse

import mmparts  # noqa: F401  registers the parts
from mmparts.datasets.phantoms import KINDS, make_phantoms
from mmparts.engine import cli


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--out', default='data/phantoms', help='folder to write')
    parser.add_argument('--kinds', nargs='+', choices=KINDS, default=list(KINDS), help='what to draw')
    parser.add_argument('--cases', type=int, default=20, help='of each kind; every fifth validates')
    parser.add_argument('--size', type=int, default=40, help='longest side in voxels')
    parser.add_argument('--seed', type=int, default=0, help='another seed gives other phantoms')
    parser.add_argument('--overwrite', action='store_true', help='replace phantoms made with other parameters')
    make_phantoms(**vars(parser.parse_args()))


if __name__ == '__main__':
    cli.run(main, FileExistsError, ValueError, ImportError)
