"""Everything that only an accelerator can show, as one prepared run: `python tools/device_checks.py`.

Sections, each a function that yields rows (dicts with `check`): what fails is a row with `error`, and the run goes on.
On a CPU the same code runs at small sizes, so that it works the first time an accelerator is at hand.
"""

import argparse
import json
import math
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path

import torch
from mmengine.config import Config
from torch import Tensor

from ..layers.window_attention import CosineWindowAttention, WindowAttention
from ..layers.window_grid import WindowGrid
from ..ops.dcnv3.api import dcnv3
from ..ops.deform_attn.api import ms_deform_attn, ms_deform_attn_reference
from ..ops.nms.api import nms, nms_reference
from ..ops.table import gradients_of, operators, relative_error
from ..tasks import task_of
from .races.benchmark import build_untrained, environment, measure_training
from .races.timing import measure

# Of outputs and gradients, relative, in the 2-norm, against float64 of the same (rounded) inputs.
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 2e-2}

# Goals on an H200, in milliseconds, estimated from its ceilings (docs/performance.md); forward, forward + backward.
GOALS = {'ms_deform_attn encoder float32': (0.40, 2.4), 'ms_deform_attn encoder bfloat16': (0.25, 2.25)}


@dataclass(frozen=True)
class Bench:
    """Where and how large.

    Args:
        full: the papers' sizes; else small ones, for CPUs.
        seconds: budget of each measurement.
        configs: the folder of configs.
    """

    device: torch.device
    full: bool
    seconds: float
    configs: Path

    def best(self, call: Callable[[], object]) -> float:
        """Milliseconds of the fastest of some calls."""
        return 1e3 * measure(call, self.device, rounds=20, budget=self.seconds)[0].best

    def random(self, *size: int, dtype=torch.float32) -> Tensor:
        return torch.randn(*size, device=self.device).to(dtype)


def parity(bench: Bench) -> Iterator[dict]:
    """Every variant of every operator against its reference in float64, forward and backward."""
    for op in operators().values():
        torch.manual_seed(0)
        call, tensors = op.example()
        for dtype, tolerance in TOLERANCES.items():
            inputs = [_as(tensor, dtype, bench.device) for tensor in tensors]
            with op.use('reference'):
                expected = gradients_of(call, [_as(tensor, torch.float64, bench.device) for tensor in inputs])
            for name, variant in op.variants.items():
                if variant.unfit(bench.device, torch.float32) or not variant.function or name == 'reference':
                    continue
                with op.use(name):
                    found = gradients_of(call, inputs)
                error = max((relative_error(*pair) for pair in zip_longest(found, expected)), default=0.0)
                yield dict(
                    check=f'{op.name} {name} {_short(dtype)}',
                    error_2norm=error,
                    allowed=tolerance,
                    ok=error <= tolerance,
                )


def ceilings(bench: Bench) -> Iterator[dict]:
    """What the device can do at most: copies, gathers of rows, atomic additions (billions of bytes a second)."""
    rows, reads = (2**21, 2**22) if bench.full else (2**12, 2**13)
    table = bench.random(rows, 32)
    where = torch.randint(rows, (reads,), device=bench.device)
    few = where % 1024
    values = bench.random(reads, 32)
    out = torch.empty_like(table)
    moved = table.numel() * 4
    for name, call, volume in (
        ('copy', lambda: out.copy_(table), 2 * moved),
        ('gather of 128-byte rows', lambda: table.index_select(0, where), 2 * values.numel() * 4),
        ('atomics, spread', lambda: out.index_add_(0, where, values), values.numel() * 4),
        ('atomics on 1,024 rows', lambda: out.index_add_(0, few, values), values.numel() * 4),
    ):
        ms = bench.best(call)
        yield dict(check=name, ms=ms, gigabytes_per_second=volume / ms / 1e6)


def operator_times(bench: Bench) -> Iterator[dict]:
    """Operators at the papers' sizes, against plain torch, forward and forward + backward."""
    for dtype in TOLERANCES:
        for name, ours, plain, inputs in _workloads(bench, dtype):
            goals = GOALS.get(f'{name} {_short(dtype)}', (None, None))
            for what, goal in zip(('forward', 'forward + backward'), goals):
                row = dict(check=f'{name} {_short(dtype)}, {what}', goal_ms=goal)
                for side, op in (('ours', ours), ('plain', plain)):
                    run = partial(op, *inputs) if what == 'forward' else partial(_step, op, inputs)
                    with torch.no_grad() if what == 'forward' else nullcontext():
                        row[f'{side}_ms'] = bench.best(run)
                yield dict(row, ratio=row['plain_ms'] / row['ours_ms'])


def _workloads(bench: Bench, dtype: torch.dtype) -> Iterator[tuple]:
    """(name, ours, plain torch, inputs that want a gradient)."""
    size = (800, 1333) if bench.full else (64, 96)
    shapes = tuple((math.ceil(size[0] / stride), math.ceil(size[1] / stride)) for stride in (8, 16, 32, 64))
    tokens = sum(h * w for h, w in shapes)
    for name, queries in (('encoder', tokens), ('decoder', 1100 if bench.full else 30)):
        value = bench.random(2, tokens, 8, 32, dtype=dtype).requires_grad_()
        places = torch.rand(2, queries, 8, 4, 4, 2, device=bench.device).requires_grad_()
        weights = bench.random(2, queries, 8, 16).softmax(-1).view(2, queries, 8, 4, 4).requires_grad_()
        yield (
            f'ms_deform_attn {name}',
            lambda value, *rest: ms_deform_attn(value, shapes, *rest),
            lambda value, *rest: ms_deform_attn_reference(value, shapes, *rest),
            (value, places, weights),
        )

    side, channels = (56, 64) if bench.full else (14, 16)
    x = bench.random(4, side, side, channels, dtype=dtype).requires_grad_()
    offset = bench.random(4, side, side, channels // 16, 9, 2, dtype=dtype).requires_grad_()
    mask = bench.random(4, side, side, channels // 16, 9, dtype=dtype).softmax(-1).detach().requires_grad_()
    yield ('dcnv3', dcnv3, _plain('dcnv3', dcnv3), (x, offset, mask))

    for name, kind, window in (('window 7x7', WindowAttention, 7), ('window 16x16 cosine', CosineWindowAttention, 16)):
        part = kind(96, 3, (window, window)).to(bench.device, dtype)
        grid = WindowGrid.of((64, 64) if bench.full else (16, 16), (window, window), shifted=True)
        windows = grid.partition(bench.random(4, *grid.size, 96, dtype=dtype)).requires_grad_()
        yield (name, lambda x, part=part, grid=grid: part(x, grid), _plain_window(part, grid), (windows,))


def _plain(name: str, op: Callable) -> Callable:
    def run(*args):
        with operators()[name].use('reference'):
            return op(*args)

    return run


def _plain_window(part: torch.nn.Module, grid: WindowGrid) -> Callable:
    """Scores, bias, softmax and sum, each written to memory, as the official code does."""

    def run(windows: Tensor) -> Tensor:
        q, k, v = part.heads(windows)
        sizes = [len(windows) // sum(grid.counts) * count for count in grid.counts]
        scale = q.shape[-1] ** -0.5 if part.scale is None else part.scale
        parts = zip(q.split(sizes), k.split(sizes), v.split(sizes), part.bias(grid, q.dtype))
        out = [((q * scale @ k.transpose(-1, -2) + bias).softmax(-1) @ v).transpose(1, 2) for q, k, v, bias in parts]
        return part.proj(torch.cat(out).flatten(2))

    return run


def suppression(bench: Bench) -> Iterator[dict]:
    """Greedy suppression: the same boxes as the reference keeps, and its time."""
    for count in (1000, 10000) if bench.full else (200,):
        corners = torch.rand(count, 2, device=bench.device) * 1000
        boxes = torch.cat([corners, corners + torch.rand(count, 2, device=bench.device) * 200], dim=1)
        scores = torch.rand(count, device=bench.device)
        same = torch.equal(nms(boxes, scores, 0.5), nms_reference(boxes, scores, 0.5))
        ms, plain = (bench.best(partial(op, boxes, scores, 0.5)) for op in (nms, nms_reference))
        yield dict(check=f'nms of {count} boxes', ok=same, ours_ms=ms, plain_ms=plain)


def training(bench: Bench) -> Iterator[dict]:
    """A training step of DINO and of Mask DINO in float32, bfloat16 and float16: images a second and memory."""
    names = (
        ('dino/dino-4scale_r50_8xb2-12e_coco.py', 'mask_dino/mask-dino_r50_8xb2-50e_coco-instance.py')
        if bench.full
        else ('dino/dino-4scale_small_1xb8-9e_shapes.py', 'mask_dino/mask-dino_small_1xb8-9e_shapes-instance.py')
    )
    shape = (800, 1344) if bench.full else (64, 64)
    halves = ('bfloat16', 'float16') if bench.device.type == 'cuda' else ('bfloat16',)
    for name in names:
        for dtype in (None, *halves):
            cfg = Config.fromfile(bench.configs / name)
            found = measure_training(cfg, 2, shape, bench.device, dtype, rounds=8, budget=bench.seconds * 3)
            yield dict(check=f'training step, {name}, {dtype or "float32"}', **found)


def compiled(bench: Bench) -> Iterator[dict]:
    """`torch.compile` of a backbone in eval mode: no graph break, the same numbers, its time."""
    name = 'dino/dino-4scale_swin-l-p4-w12-384_8xb2-12e_coco.py'
    cfg = Config.fromfile(bench.configs / name)
    if not bench.full:
        cfg.model = task_of(cfg).tiny(cfg)
    model = build_untrained(cfg, bench.device).eval().backbone
    images = bench.random(1, 3, *((384, 384) if bench.full else (64, 64)))
    with torch.no_grad():
        eager = model(images)
        start = time.perf_counter()
        fast = torch.compile(model, fullgraph=True, backend='inductor' if bench.full else 'eager')
        found = fast(images)
        seconds = time.perf_counter() - start
        error = max(relative_error(a, b) for a, b in zip(found, eager))
        yield dict(
            check='torch.compile of Swin, no graph break',
            error_2norm=error,
            ok=error <= 1e-4,
            compile_seconds=seconds,
            eager_ms=bench.best(lambda: model(images)),
            compiled_ms=bench.best(lambda: fast(images)),
        )


SECTIONS = {
    'parity': parity,
    'ceilings': ceilings,
    'operators': operator_times,
    'nms': suppression,
    'training': training,
    'compile': compiled,
}


def run(bench: Bench, sections: list[str], deadline: float = math.inf) -> Iterator[dict]:
    """The rows of some sections, each with its `section`; a failure is a row with `error` and `traceback`.

    Args:
        deadline: seconds after which no further section is begun.
    """
    start = time.perf_counter()
    for name in sections:
        if time.perf_counter() - start > deadline:
            yield dict(section=name, check='not begun', error=f'the time limit of {deadline:.0f} s was over')
            continue
        try:
            for row in SECTIONS[name](bench):
                yield dict(section=name, **row)
        except Exception as error:
            lines = traceback.format_exc().strip().splitlines()[-6:]
            yield dict(section=name, check='failed', error=f'{type(error).__name__}: {error}', traceback=lines)


def main(configs: Path, arguments: list[str] | None = None) -> int:
    """The command line; 1 where something failed or is not exact enough."""
    parser = argparse.ArgumentParser(
        description='What only an accelerator can show, in one run of under eight minutes; prints JSON.'
    )
    parser.add_argument('sections', nargs='*', help=f'some of: {", ".join(SECTIONS)}; default: all')
    parser.add_argument('--device', help='default: cuda where there is one, else cpu')
    parser.add_argument('--small', action='store_true', help='small sizes, as on CPUs')
    parser.add_argument('--seconds', type=float, default=2.0, help='budget of each measurement (default 2)')
    parser.add_argument('--limit', type=float, default=420.0, help='begin no section after so many seconds')
    parser.add_argument('--json', metavar='PATH', help='also write the rows there, after each')
    args = parser.parse_args(arguments)
    if unknown := set(args.sections) - set(SECTIONS):
        parser.error(f'no section {", ".join(sorted(unknown))}; there are {", ".join(SECTIONS)}')

    device = torch.device(args.device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    bench = Bench(device, device.type != 'cpu' and not args.small, args.seconds, configs)
    rows, about = [], environment(device)
    print(json.dumps(about), flush=True)
    for row in run(bench, args.sections or list(SECTIONS), args.limit):
        rows.append(row)
        print(json.dumps(row), flush=True)
        if args.json:
            Path(args.json).write_text(json.dumps(dict(about, rows=rows), indent=1), encoding='utf-8')
    bad = [row for row in rows if 'error' in row or not row.get('ok', True)]
    print(json.dumps(dict(checks=len(rows), failed=len(bad))), flush=True)
    return 1 if bad else 0


def _as(tensor: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A leaf that wants a gradient where the tensor does. Those that do not are indices, which stay integers, or
    positions, which are float32 at least, as the operators ask."""
    moved = tensor.detach().to(device)
    if moved.is_floating_point():
        moved = moved.to(dtype if tensor.requires_grad else torch.promote_types(dtype, torch.float32))
    return moved.requires_grad_(tensor.requires_grad)


def _step(op: Callable, inputs: tuple[Tensor, ...]) -> None:
    out = op(*inputs)
    torch.autograd.grad(out, inputs, torch.ones_like(out))


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix('torch.')
