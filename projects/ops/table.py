"""What `python -m mmparts.ops` prints: each op's variants here, which is chosen, how exact and how fast each is."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import zip_longest

import torch
from torch import Tensor

from .kernels.variants import Variants

# An op is in the table when its `Variants`, defined in one of these, has an example.
MODULES = (
    'deform_attn.api',
    'deform_attn.fused',
    'deform_attn.volume',
    'dcnv3.api',
    'deform_conv',
    'roi_align.api',
    'nms.api',
    'focal_loss',
)


@dataclass
class Row:
    """One variant of one op; times in milliseconds, None where it did not run."""

    op: str
    variant: str
    obstacle: str = ''  # why it does not run here
    chosen: str = ''  # why it is the one; empty: it is not
    error: float | None = None  # the largest relative one, in the 2-norm
    time: float | None = None  # the least of all rounds
    speedup: float | None = None  # over the reference
    first: float | None = None  # the first call, with compiling


def operators() -> dict[str, Variants]:
    """All ops that have an example, by name."""
    values = (value for module in MODULES for value in vars(import_module(f'.{module}', __package__)).values())
    return {value.name: value for value in values if isinstance(value, Variants) and value.example}


def measure(
    op: Variants, device: torch.device, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> Iterator[Row]:
    """One row per variant. The error is that against the reference in float64, of outputs and gradients."""
    torch.manual_seed(0)
    call, tensors = op.example()
    tensors = [tensor.detach().to(device).requires_grad_(tensor.requires_grad) for tensor in tensors]
    with op.use('reference'):
        expected = gradients_of(call, [tensor.double() if tensor.is_floating_point() else tensor for tensor in tensors])

    rows = {name: Row(op.name, name, _obstacle(op, name, device, tensors)) for name in op.variants}
    timed = partial(_timed, clock, device, call, tensors)
    for name, row in rows.items():
        if not row.obstacle:
            with op.use(name):
                row.first, results = timed()
            row.error = max((relative_error(*pair) for pair in zip_longest(results, expected)), default=0.0)

    times = {name: [] for name, row in rows.items() if not row.obstacle}
    for _ in range(rounds):
        for name in times:  # in turn, so that all meet the same noise
            with op.use(name):
                times[name].append(timed()[0])
    for name, each in times.items():
        rows[name].time = min(each)
        rows[name].speedup = statistics.median(r / t for r, t in zip(times['reference'], each))

    rows[op.chosen(device, tensors[0].dtype)].chosen = _reason(op, device)
    yield from rows.values()


def _obstacle(op: Variants, name: str, device: torch.device, tensors: list[Tensor]) -> str:
    variant = op.variants[name]
    return variant.unfit(device, tensors[0].dtype) or ('' if variant.function else variant.missing)


def _reason(op: Variants, device: torch.device) -> str:
    forced = op.forced_by()
    return f'{forced} names it' if forced else f'the best on {device.type} of those that are here'


def _timed(
    clock: Callable[[], float], device: torch.device, call: Callable, tensors: list[Tensor]
) -> tuple[float, list[Tensor]]:
    start = clock()
    results = gradients_of(call, tensors)
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    return 1e3 * (clock() - start), results


def gradients_of(call: Callable, tensors: Iterable[Tensor]) -> list[Tensor]:
    """What the example returns, then the gradients of the inputs that require one."""
    leaves = [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in tensors]
    results = call(*leaves)
    results = [results] if isinstance(results, Tensor) else list(results)
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if wanted:
        # Each output is weighted differently, or gradients might cancel.
        directions = [torch.linspace(1, 9, result.numel()).cos().to(result).view_as(result) for result in results]
        results += torch.autograd.grad(results, wanted, directions)
    return [result.detach() for result in results]


def relative_error(ours: Tensor | None, expected: Tensor | None) -> float:
    if ours is None or expected is None or ours.shape != expected.shape:
        return float('inf')
    ours, expected = ours.double(), expected.double()
    return float((ours - expected).norm() / expected.norm().clamp(min=1e-300)) if expected.numel() else 0.0
