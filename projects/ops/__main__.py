"""`python -m mmparts.ops`: which implementation of each special operator runs here, how exact and how fast it is."""

import argparse
import json
import math
import os
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict

CLOCKS = {'wall': time.perf_counter, 'cpu': time.process_time}


def main(arguments: list[str] | None = None):
    args = _parser().parse_args(arguments)
    with _empty_caches(args.fresh):  # before anything imports a compiler
        import torch

        from . import table

        operators = table.operators()
        if unknown := set(args.ops) - set(operators):
            raise SystemExit(f'no op {", ".join(sorted(unknown))}; there are {", ".join(operators)}')
        if args.threads or args.clock == 'cpu':
            torch.set_num_threads(args.threads or 1)

        device = torch.device(args.device or ('cuda' if torch.cuda.is_available() else 'cpu'))
        rows = [
            row
            for name in args.ops or operators
            for row in table.measure(operators[name], device, args.rounds, CLOCKS[args.clock])
        ]
        settings = dict(
            torch=torch.__version__,
            device=str(device),
            threads=torch.get_num_threads(),
            clock=args.clock,
            rounds=args.rounds,
            fresh=args.fresh,
        )
    if args.json:
        print(json.dumps(dict(**settings, rows=[asdict(row) for row in rows]), indent=1))
    else:
        _print(rows, settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m mmparts.ops', description=__doc__.split(': ', 1)[1])
    parser.add_argument('ops', nargs='*', metavar='op', help='only these; default: all')
    parser.add_argument('--device', help='default: cuda if there is one, else cpu')
    parser.add_argument('--rounds', type=int, default=5, help='how often each variant runs; the least time counts')
    parser.add_argument('--threads', type=int, help='default: as torch chooses; one with --clock cpu')
    parser.add_argument('--clock', choices=CLOCKS, default='wall', help='cpu: processor time, for a busy machine')
    parser.add_argument(
        '--fresh',
        action='store_true',
        help='compile all kernels anew, to see what the very first call of an installation costs',
    )
    parser.add_argument('--json', action='store_true', help='print JSON instead of a table')
    return parser


@contextmanager
def _empty_caches(wanted: bool):
    if not wanted:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(NUMBA_CACHE_DIR=folder, TRITON_CACHE_DIR=folder)
        yield


def _print(rows: list, settings: dict):
    print(', '.join(f'{key} {value}' for key, value in settings.items()))
    print(f'{"op":20} {"variant":11} {"error":>7} {"ms":>9} {"speed":>7} {"first, ms":>9}  why')
    for row in rows:
        numbers = (
            f'{_short(row.error):>7} {row.time:9.2f} {row.speedup:6.1f}x {row.first:9.0f}'
            if not row.obstacle
            else ' ' * 35
        )
        why = f'no: {row.obstacle}' if row.obstacle else f'runs: {row.chosen}' if row.chosen else ''
        print(f'{row.op:20} {row.variant:11} {numbers}  {why}'.rstrip())
    print(
        'error: the largest relative one of outputs and gradients, in the 2-norm, against the reference in float64\n'
        'speed: over the reference here. first: the first call, which compiles'
        + ('' if settings['fresh'] else ' or loads compiled code from disk (--fresh: compiles)')
    )


def _short(error: float) -> str:
    return '0' if error == 0 else f'{error:.0e}' if math.isfinite(error) else 'differs'


if __name__ == '__main__':
    main()
