"""Do a training step that was not finite once more: `python tools/replay.py work_dirs/RUN/not_finite_iter_7.pth`."""

import argparse

import mmparts  # noqa: F401  registers the parts
from mmparts.analysis.replay import replay
from mmparts.engine import cli
from mmparts.options import device


def main() -> int:
    parser = argparse.ArgumentParser(
        description='Do a training step once more from the bundle that training left when a loss or gradient was not '
        'finite, and name the first module, loss and gradient that go bad. Exit code 1 if all is finite this time.'
    )
    parser.add_argument('bundle', help='the file that the message named; plain data, nothing in it is run')
    parser.add_argument('--device', type=device, default='cpu', help='cpu, cuda:0 ... (default %(default)s)')
    parser.add_argument(
        '--precision', choices=['float32', 'bfloat16', 'float16'], help='of the forward (default: as in the training)'
    )
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error, not its message alone')
    args = parser.parse_args()

    found, place = replay(cli.require_file(args.bundle, 'bundle'), args.device, args.precision)
    print(f'epoch {place["epoch"] + 1}, iter {place["iter"] + 1}, seed {place["seed"]}, rank {place["rank"]}:')
    print('\n'.join(found.lines(most=10)) or '  losses and gradients are finite here; another device may differ')
    return 0 if found else 1


if __name__ == '__main__':
    cli.run(main)
