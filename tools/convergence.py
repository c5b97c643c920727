"""Trains several models under one budget and draws their AP against iterations."""

import argparse
import os.path as osp
import sys

from mmengine.config import DictAction

import mmparts  # noqa: F401  makes mmparts configs and parts known
from mmparts.analysis.comparisons.convergence import Budget, compare, load_configs
from mmparts.analysis.comparisons.convergence_report import write_report
from mmparts.engine import cli
from mmparts.options import whole

TRAIN = osp.join(osp.dirname(osp.abspath(__file__)), 'train.py')
# One of each paper of the family that detects, in the order of their years.
DEFAULT = [
    f'mmparts::{name}_small_1xb8-9e_shapes.py'
    for name in (
        'detr/detr',
        'deformable_detr/deformable-detr',
        'deformable_detr/deformable-detr-refine-twostage',
        'smca_detr/smca-detr',
        'dab_detr/dab-detr',
        'dn_detr/dn-detr',
        'dino/dino-4scale',
        'h_detr/h-deformable-detr',
        'co_detr/co-deformable-detr',
        'co_detr/co-dino-4scale',
    )
]

EPILOG = """
Finished runs are found again in --work-dir, so a comparison that was killed goes on when started again, and seeds or
configs can be added later. A run that fails does not stop the others. The report is written anew after each run; what
OUT.md says around its table stays. To use two cores: OMP_NUM_THREADS=1, two comparisons side by side with different
seeds and one --work-dir, then once more with all seeds for the joint report.
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train models under one budget and with the same seeds, and draw AP against iterations.',
        epilog=EPILOG,
    )
    parser.add_argument(
        'configs',
        nargs='*',
        default=DEFAULT,
        metavar='CONFIG',
        help='path of a config, or `mmparts::folder/name.py`; default: the small DETRs',
    )
    parser.add_argument('--iterations', type=whole(1), default=1000, help='of training (default %(default)s)')
    parser.add_argument(
        '--val-interval', type=whole(1), default=100, help='iterations between evaluations (default %(default)s)'
    )
    parser.add_argument('--batch-size', type=whole(1), default=8, help='images a step (default %(default)s)')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1], help='default: 0 1')
    parser.add_argument('--data-root', default='data/shapes', help='made by tools/make_shapes.py (default %(default)s)')
    parser.add_argument('--work-dir', default='work_dirs/convergence', help='default: %(default)s')
    parser.add_argument('--out', help='writes OUT.md, OUT.png and OUT.json; default: WORK_DIR/convergence')
    parser.add_argument(
        '--levels',
        type=float,
        nargs='+',
        default=[0.1, 0.2, 0.3],
        metavar='AP',
        help='tell when each AP was reached (default: 0.1 0.2 0.3)',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='override entries of every config'
    )
    args = parser.parse_args()
    for name in ('configs', 'seeds'):
        if len(set(getattr(args, name))) < len(getattr(args, name)):
            parser.error(f'the same is given twice in {name}: {" ".join(map(str, getattr(args, name)))}')
    return args


def main() -> int:
    args = arguments()
    cli.refuse_outputs({'--out': args.out, '--work-dir': args.work_dir}, {'data': args.data_root})
    try:
        budget = Budget(args.iterations, args.val_interval, args.batch_size, min(50, args.iterations // 10))
        configs = load_configs(args.configs, {'data_root': args.data_root, **(args.cfg_options or {})})
        for runs in compare(configs, budget, args.seeds, args.work_dir, [sys.executable, TRAIN]):
            write_report(runs, budget, args.out or osp.join(args.work_dir, 'convergence'), args.levels)
    except ValueError as error:
        raise SystemExit(f'error: {error}') from None
    failed = [f'{run.name}, seed {run.seed}' for run in runs if run.status == 'failed']
    if failed:
        print(f'{len(failed)} of {len(runs)} runs failed: {"; ".join(failed)}', file=sys.stderr)
    return int(bool(failed))


if __name__ == '__main__':
    cli.run(main)
