"""Check a folder of volumes and write an index of it: every image and label is read once; bad ones are named.

Exit code 1, and no index, if a case is bad.
"""

import argparse
import json
from pathlib import Path

import mmparts  # noqa: F401  registers the parts
from mmparts.datasets.volumes import BadVolume
from mmparts.datasets.volumes.layouts import LAYOUTS
from mmparts.datasets.volumes.prepare import examine, refuse_files, table, write_fold_file, write_index
from mmparts.engine import cli


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('root', help='folder of the volumes')
    layouts = [name for name in LAYOUTS if name != 'index']
    parser.add_argument('--layout', choices=layouts, default='dataset_json', help='how they lie there')
    parser.add_argument('--options', type=json.loads, default={}, help='of the layout, as \'{"images": "scans"}\'')
    parser.add_argument('--modalities', nargs='+', help='names of the channels, in their order')
    parser.add_argument('--labels', type=json.loads, help='values by name, as \'{"background": 0, "liver": 1}\'')
    parser.add_argument('--patient', help="pattern whose (group) in a case's name is its patient")
    parser.add_argument('--tolerance', type=float, default=0.01, help='between corners of image and label, in voxels')
    parser.add_argument('--folds', type=int, default=0, help='also write so many folds, patients not divided')
    parser.add_argument('--seed', type=int, default=0, help='of the folds')
    parser.add_argument('--out', help='index to write; default: ROOT/index.json, and ROOT/splits_final.json')
    args = parser.parse_args()

    given = {key: value for key, value in (('modalities', args.modalities), ('labels', args.labels)) if value}
    report = examine(args.root, args.layout, given, args.patient, args.tolerance, **args.options)
    print(table(report))
    out = Path(args.out or Path(args.root, 'index.json'))
    splits = out.with_name('splits_final.json') if args.folds else None
    refuse_files(out, splits, args.root, report)
    write_index(out, report)
    print(f'wrote {out}')
    if args.folds:
        write_fold_file(splits, report, args.folds, args.seed)
        print(f'wrote {splits}')
    return 0


if __name__ == '__main__':
    cli.run(main, BadVolume, OSError, ValueError, TypeError, ImportError)
