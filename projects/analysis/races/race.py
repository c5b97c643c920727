"""How fast operators, matching and evaluation are against those of peers: `python tools/benchmark_ops.py`.

One process, one set of inputs, peers and ours in turn; the results are compared before anything is timed.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor

from .timing import PeakMemory

# Each of these has CASES, functions that yield the arguments of `Workload`.
MODULES = ('race_deform_attn', 'race_dcnv3', 'race_window', 'race_matching', 'race_coco')
NETS = ('race_models', 'race_clip', 'race_blip', 'race_perceiver')  # whole nets, which take minutes


@dataclass
class Workload:
    """A call to time. Each function returns the tensors by which the contenders are compared."""

    name: str
    ours: Callable[[], list[Tensor]]
    peers: dict[str, Callable[[], list[Tensor]]]
    tolerance: float  # of the relative error, in the 2-norm
    goal: float | None = None  # ratio to the first peer that we aim at


def measure(workload: Workload, rounds: int, clock: Callable[[], float] = time.perf_counter) -> list[dict]:
    """Time all contenders in turn, each twice in a row: the second time its data lie in the caches, as in a model,
    where the layer before has just written them, and not those of another contender.

    Returns:
        One row per peer: the least time of the peer and of ours in milliseconds, the ratio of the two, the quartiles of
        the ratio within a round (wide ones mean that other programs ran), for the first peer the goal, and by how many
        MiB the memory of the process rises in a call of either.

    Raises:
        RuntimeError: ours and a peer differ by more than the tolerance.
    """
    contenders = {'ours': workload.ours, **workload.peers}
    results = {name: run() for name, run in contenders.items()}
    for peer in workload.peers:
        for ours, theirs in zip(results['ours'], results[peer]):
            error = float((ours - theirs).norm() / theirs.norm())
            if not error <= workload.tolerance:
                raise RuntimeError(
                    f'{workload.name}: ours and {peer} differ by {error:.1e}, allowed are {workload.tolerance:.1e}'
                )
    del results

    times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            times[name].append(1e3 * min(_seconds(run, clock) for _ in range(2)))
    rows = []
    for peer in workload.peers:
        low, _, high = statistics.quantiles([theirs / ours for theirs, ours in zip(times[peer], times['ours'])], n=4)
        rows.append(
            dict(
                workload=workload.name,
                peer=peer,
                peer_ms=min(times[peer]),
                ours_ms=min(times['ours']),
                ratio=min(times[peer]) / min(times['ours']),
                quartiles=[low, high],
                goal=None if rows else workload.goal,
                peer_mib=_memory(workload.peers[peer]),
                ours_mib=_memory(workload.ours),
            )
        )
    return rows


def _seconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    run()
    return clock() - start


def _memory(run: Callable[[], object]) -> float:
    with PeakMemory(torch.device('cpu')) as memory:
        run()
    return memory.bytes / 2**20


def cases() -> dict[str, Callable[[], Iterator[dict]]]:
    """All that can be timed, by name; whole nets last."""
    return {name: case for module in (*MODULES, *NETS) for name, case in _cases_of(module).items()}


def _cases_of(module: str) -> dict[str, Callable[[], Iterator[dict]]]:
    return import_module(f'.{module}', __package__).CASES


def chosen(names: list[str], available: dict) -> list[str]:
    """Cases that were asked for: `models` are all whole nets; by default everything but those."""
    models = {name: case for module in NETS for name, case in _cases_of(module).items()}
    if not names:
        return [name for name in available if name not in models]
    return [each for name in names for each in (models if name == 'models' else [name])]


def rows_of(case: Callable[[], Iterator[dict]], rounds: int, clock: Callable[[], float]) -> Iterable[dict]:
    for workload in case():
        yield from measure(Workload(**workload), rounds, clock)


def show(row: dict):
    low, high = row['quartiles']
    print(
        f'{row["workload"]:60} {row["peer"]:12} {row["peer_ms"]:8.2f} {row["ours_ms"]:8.2f} {row["ratio"]:6.1f}x '
        f'{low:5.1f} -{high:5.1f}  {row["goal"] or "":<4} {row["peer_mib"]:8.0f} {row["ours_mib"]:8.0f}',
        flush=True,
    )


def main(arguments: list[str] | None = None):
    available = cases()
    parser = argparse.ArgumentParser(description='Time operators, matching and evaluation against those of peers.')
    parser.add_argument(
        'cases',
        nargs='*',
        metavar='case',
        help=f'some of: {", ".join(available)}; `models`: the whole nets; default: all but those',
    )
    parser.add_argument('--rounds', type=int, default=7, help='how often each contender runs (default 7)')
    parser.add_argument('--threads', type=int, help='default: as torch chooses')
    parser.add_argument('--cpu-time', action='store_true', help='processor time on one thread, for a busy machine')
    parser.add_argument(
        '--flush',
        action='store_true',
        help='take subnormal numbers for zero, as our other tools do; some processors are slow with them',
    )
    parser.add_argument('--json', metavar='PATH', help='also write the rows there')
    args = parser.parse_args(arguments)
    names = chosen(args.cases, available)
    if unknown := set(names) - set(available):
        parser.error(f'no case {", ".join(sorted(unknown))}; there are {", ".join(available)}')
    if args.rounds < 2:
        parser.error('--rounds must be at least 2')
    if args.threads or args.cpu_time:
        torch.set_num_threads(1 if args.cpu_time else args.threads)
    torch.set_flush_denormal(args.flush)
    clock = time.process_time if args.cpu_time else time.perf_counter

    rows, left_out = [], {}
    print(
        f'torch {torch.__version__}, {torch.get_num_threads()} threads, {clock.__name__}; ms, the least of '
        f'{args.rounds} rounds'
    )
    print(
        f'{"workload":60} {"peer":12} {"theirs":>8} {"ours":>8} {"ratio":>7}  {"quartiles":11}  goal  MiB: theirs, ours'
    )
    for name in names:
        try:
            for row in rows_of(available[name], args.rounds, clock):
                rows.append(row)
                show(row)
        except ModuleNotFoundError as error:
            left_out[name] = f'its peer {error.name} is not installed'
            print(f'{name}: left out, {left_out[name]}', flush=True)
    if args.json:
        with open(args.json, 'w', encoding='utf-8') as file:
            settings = dict(torch=torch.__version__, threads=torch.get_num_threads(), clock=clock.__name__)
            json.dump(dict(**settings, rows=rows, left_out=left_out), file, indent=1)
