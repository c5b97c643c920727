"""How fast the special operators are against the forms that other packages run: `python tools/benchmark_ops.py`.

One process, one set of inputs, peers and ours in turn; the results are compared before anything is timed.
"""
import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .deform_attn import VARIANTS, ms_deform_attn, ms_deform_attn_reference


@dataclass
class Workload:
    """A call to time. Each function returns the tensors by which the contenders are compared."""

    name: str
    ours: Callable[[], list[Tensor]]
    peers: dict[str, Callable[[], list[Tensor]]]
    tolerance: float                                                         # of the relative error, in the 2-norm
    goal: float | None = None                                                # ratio to the first peer that we aim at


def measure(workload: Workload, rounds: int, clock: Callable[[], float] = time.perf_counter) -> list[dict]:
    """Time all contenders in turn.

    Returns:
        One row per peer: the least time of the peer and of ours in milliseconds, the ratio of the two, the quartiles of
        the ratio within a round (wide ones mean that other programs ran), and for the first peer the goal.

    Raises:
        RuntimeError: ours and a peer differ by more than the tolerance.
    """
    contenders = {'ours': workload.ours, **workload.peers}
    results = {name: run() for name, run in contenders.items()}
    for peer in workload.peers:
        for ours, theirs in zip(results['ours'], results[peer]):
            error = float((ours - theirs).norm() / theirs.norm())
            if not error <= workload.tolerance:
                raise RuntimeError(f'{workload.name}: ours and {peer} differ by {error:.1e}, allowed are '
                                   f'{workload.tolerance:.1e}')
    del results

    times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = clock()
            run()
            times[name].append(1e3 * (clock() - start))
    rows = []
    for peer in workload.peers:
        low, _, high = statistics.quantiles([theirs / ours for theirs, ours in zip(times[peer], times['ours'])], n=4)
        rows.append(dict(workload=workload.name, peer=peer, peer_ms=min(times[peer]), ours_ms=min(times['ours']),
                         ratio=min(times[peer]) / min(times['ours']), quartiles=[low, high],
                         goal=None if rows else workload.goal))
    return rows


# ---- multi-scale deformable attention

IMAGE = ((100, 167), (50, 84), (25, 42), (13, 21))                           # of 800 x 1333 pixels
SMALL = ((16, 16), (8, 8), (4, 4), (2, 2))                                   # of 128 x 128 pixels


def ms_deform_attn_case(name: str, shapes: tuple, batch: int, heads: int, dim: int, queries: int | None, goals: tuple,
                        points: int = 4) -> Iterator[Workload]:
    """Forward, then forward and backward. Without ``queries`` they are the tokens and look around themselves."""
    size = torch.tensor([[width, height] for height, width in shapes]).unsqueeze(1)
    if queries is None:
        centers = torch.cat([_centers(*shape) for shape in shapes])
    else:
        centers = torch.rand(queries, 2)
    offsets = 4 * torch.randn(batch, len(centers), heads, len(shapes), points, 2) / size
    locations = (centers.view(-1, 1, 1, 1, 2) + offsets).requires_grad_()
    value = torch.randn(batch, int(size.prod(-1).sum()), heads, dim, requires_grad=True)
    weights = torch.randn(*locations.shape[:3], len(shapes) * points).softmax(-1).view(locations.shape[:-1])
    weights.requires_grad_()
    direction = torch.randn(batch, len(centers), heads * dim)

    def contender(op):
        @torch.no_grad()
        def forward() -> list[Tensor]:
            return [op(value, shapes, locations, weights)]

        def both() -> list[Tensor]:
            output = op(value, shapes, locations, weights)
            # That of the locations jumps at cell borders, where rounding decides; it is compared in the tests.
            grad_value, _, grad_weights = torch.autograd.grad(output, (value, locations, weights), direction)
            return [output.detach(), grad_value, grad_weights]
        return forward, both

    ours = contender(ms_deform_attn)
    peers = {peer: contender(op) for peer, op in _ms_deform_attn_peers().items()}
    for turn, what in enumerate(('forward', 'forward + backward')):
        yield Workload(f'ms_deform_attn, {name}, {what}', ours[turn],
                       {peer: functions[turn] for peer, functions in peers.items()}, tolerance=1e-5, goal=goals[turn])


def _centers(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing='ij')
    return torch.stack([x, y], -1).flatten(0, 1)


def _ms_deform_attn_peers() -> dict[str, Callable]:
    """grid_sample per level, as mmcv and transformers run it without a compiled op, and our plain torch."""
    def plain_torch(value: Tensor, shapes: tuple, locations: Tensor, weights: Tensor) -> Tensor:
        with VARIANTS.use('torch'):
            return ms_deform_attn(value, shapes, locations, weights)

    try:
        from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch
    except ImportError:
        return {'grid_sample': ms_deform_attn_reference, 'plain torch': plain_torch}

    def mmcv(value: Tensor, shapes: tuple, locations: Tensor, weights: Tensor) -> Tensor:
        return multi_scale_deformable_attn_pytorch(value, torch.tensor(shapes), locations, weights)
    return {'mmcv': mmcv, 'plain torch': plain_torch}


def _case(*arguments, goals: tuple = (None, None)) -> Callable[[], Iterator[Workload]]:
    return lambda: ms_deform_attn_case(*arguments, goals=goals)


CASES = {
    'encoder': _case('encoder 800x1333', IMAGE, 1, 8, 32, None, goals=(12, 10)),
    'decoder': _case('decoder 1,100 queries', IMAGE, 1, 8, 32, 1100, goals=(10, 6)),
    'small-encoder': _case('small encoder, batch 16', SMALL, 16, 4, 16, None),
    'small-decoder': _case('small decoder, batch 16', SMALL, 16, 4, 16, 230),
}


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(description='Time the special operators against the forms that peers run.')
    parser.add_argument('cases', nargs='*', metavar='case', help=f'some of: {", ".join(CASES)}; default: all')
    parser.add_argument('--rounds', type=int, default=7, help='how often each contender runs (default 7)')
    parser.add_argument('--threads', type=int, help='default: as torch chooses')
    parser.add_argument('--cpu-time', action='store_true', help='processor time on one thread, for a busy machine')
    parser.add_argument('--json', metavar='PATH', help='also write the rows there')
    args = parser.parse_args(arguments)
    if unknown := set(args.cases) - set(CASES):
        parser.error(f'no case {", ".join(sorted(unknown))}; there are {", ".join(CASES)}')
    if args.rounds < 2:
        parser.error('--rounds must be at least 2')
    if args.threads or args.cpu_time:
        torch.set_num_threads(1 if args.cpu_time else args.threads)
    clock = time.process_time if args.cpu_time else time.perf_counter

    rows = []
    print(f'torch {torch.__version__}, {torch.get_num_threads()} threads, {clock.__name__}; ms, the least of '
          f'{args.rounds} rounds')
    print(f'{"workload":60} {"peer":12} {"theirs":>8} {"ours":>8} {"ratio":>7}  {"quartiles":11}  goal')
    for case in args.cases or CASES:
        for workload in CASES[case]():
            for row in measure(workload, args.rounds, clock):
                rows.append(row)
                low, high = row['quartiles']
                print(f'{row["workload"]:60} {row["peer"]:12} {row["peer_ms"]:8.2f} {row["ours_ms"]:8.2f} '
                      f'{row["ratio"]:6.1f}x {low:5.1f} -{high:5.1f}  {row["goal"] or ""}', flush=True)
    if args.json:
        with open(args.json, 'w', encoding='utf-8') as file:
            settings = dict(torch=torch.__version__, threads=torch.get_num_threads(), clock=clock.__name__)
            json.dump(dict(**settings, rows=rows), file, indent=1)
