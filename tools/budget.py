"""Trains configs of any kind for one budget each, of processor seconds or of steps; prints what they reach."""

import argparse
import sys
from pathlib import Path

import torch
from mmengine.config import DictAction

import mmparts  # noqa: F401  makes mmparts configs and parts known
from mmparts.analysis.comparisons.budget import read, table, train, write
from mmparts.engine import cli
from mmparts.options import whole

EPILOG = """
The processor's seconds are those of data and steps, in this process; the start and the evaluation are not in them.
Results that are in --out already are not made again, so that a comparison that was ended goes on when started again.
For one core: OMP_NUM_THREADS=1.
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description='Train each config for so many seconds of the processor, or steps, evaluate it, print a table.',
        epilog=EPILOG,
    )
    parser.add_argument('configs', nargs='+', help='paths of configs, or `mmparts::folder/name.py`')
    parser.add_argument('--seconds', type=float, default=60.0, help='of the processor, for each (default 60)')
    parser.add_argument('--steps', type=whole(1), help='of the optimiser, for each, instead of seconds')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], help='default: 0')
    parser.add_argument('--out', type=Path, help='JSON file of the results, read and written')
    parser.add_argument('--save', type=Path, metavar='FOLDER', help='for the weights, CONFIG_seedN.pth')
    parser.add_argument(
        '--load-from', metavar='FILE', help='weights that every training starts from; {seed} stands for its seed'
    )
    parser.add_argument('--metrics', nargs='+', help='columns of the table (default: all)')
    parser.add_argument('--device', default='cpu', help='default: cpu')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='override entries of every config'
    )
    args = parser.parse_args()

    torch.set_num_threads(1)
    results = read(args.out) if args.out else []
    failed = 0
    for seed in args.seeds:
        for path in args.configs:
            cfg = cli.load_config(path, args.cfg_options)
            if any(each.config == str(cfg.filename) and each.seed == seed for each in results):
                continue
            try:
                if args.load_from:
                    cfg.load_from = args.load_from.format(seed=seed)
                results.append(train(cfg, args.seconds, seed, device=args.device, steps=args.steps, save=args.save))
            except (ValueError, RuntimeError) as error:
                failed += 1
                print(f'{path}, seed {seed}: {error}', file=sys.stderr)
                continue
            print(f'{path}, seed {seed}: {results[-1].steps} steps, {results[-1].metrics}', flush=True)
            if args.out:
                write(results, args.out)
    print(table(results, args.metrics or list(dict.fromkeys(key for each in results for key in each.metrics))))
    return int(bool(failed))


if __name__ == '__main__':
    cli.run(main)
