"""How a map of any number of axes is cut into windows, shifted or not (Swin Transformer).

The official code rolls a shifted map and gives every window a mask of its own. But only the last window along a shifted
axis holds tokens from both ends of the map, so along each such axis there are two kinds of windows, and 2^axes kinds
in all: here windows of a kind lie together, and each kind has one mask, whatever the size of the map. Which token goes
where is found once for a grid; then cutting is one gathering of rows, and so is its gradient: that of `reverse`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Added to the logits of pairs from different regions. Not -inf: the published weights know it, and fp16 holds it.
MASKED = -100.0


@dataclass(frozen=True)
class WindowGrid:
    """Sizes along every axis of the map, in tokens; D axes, nW windows of N tokens."""

    size: tuple[int, ...]
    window: tuple[int, ...]
    shift: tuple[int, ...]

    @classmethod
    def of(cls, size: Sequence[int], window: int | Sequence[int], shifted: bool) -> 'WindowGrid':
        """Along an axis that is not longer than the window, the window shrinks to the axis and nothing is shifted."""
        window = (window,) * len(size) if isinstance(window, int) else window
        return cls(
            size=tuple(size),
            window=tuple(map(min, window, size)),
            shift=tuple(w // 2 if shifted and length > w else 0 for length, w in zip(size, window)),
        )

    @property
    def padded(self) -> tuple[int, ...]:
        return tuple(-(-length // window) * window for length, window in zip(self.size, self.window))

    @property
    def kinds(self) -> list[tuple[int, ...]]:
        """The size of the part of the map that each kind of windows covers."""
        return list(
            product(
                *(
                    (length - window, window) if shift else (length,)
                    for length, window, shift in zip(self.padded, self.window, self.shift)
                )
            )
        )

    @property
    def counts(self) -> list[int]:
        """How many windows of each kind an image has; their sum is nW."""
        return [math.prod(size) // math.prod(self.window) for size in self.kinds]

    def partition(self, x: Tensor) -> Tensor:
        """B *size C -> nW*B N C, zero-padded to whole windows: the first kind of all images, then the second ..."""
        if torch.compiler.is_compiling():
            return self._cut_up(x)  # which the compiler makes one kernel of, too
        return _Partition.apply(x, self) if x.requires_grad and torch.is_grad_enabled() else _partition(x, self)

    def reverse(self, windows: Tensor) -> Tensor:
        """nW*B N C -> B *size C: undo `partition`."""
        if torch.compiler.is_compiling():
            return self._put_together(windows)
        learns = windows.requires_grad and torch.is_grad_enabled()
        return _Reverse.apply(windows, self) if learns else _reverse(windows, self)

    def mask(self, device: torch.device) -> Tensor | None:
        """kinds N N: `MASKED` for tokens of a window that are far apart in the map; None when nothing is shifted."""
        if not any(self.shift):
            return None
        far_side = torch.zeros((1,) * len(self.window), dtype=torch.long, device=device)  # one bit per shifted axis
        for axis in self._shifted:
            shape = [-1 if each == axis else 1 for each in range(len(self.window))]
            index = torch.arange(self.window[axis], device=device)
            far_side = 2 * far_side + (index >= self.window[axis] - self.shift[axis]).view(shape)
        far_side = far_side.expand(self.window).flatten()

        differ = far_side[:, None] ^ far_side
        last = torch.arange(2 ** len(self._shifted), device=device)  # the kinds, one bit per axis again
        return ((differ & last[:, None, None]) != 0) * MASKED

    @property
    def _shifted(self) -> list[int]:
        return [axis for axis, shift in enumerate(self.shift) if shift]

    def _cut_up(self, x: Tensor) -> Tensor:
        """`partition`, axis by axis."""
        padding = [each for length, padded in zip(self.size, self.padded) for each in (padded - length, 0)]
        parts = [F.pad(x, (0, 0, *padding[::-1]))]
        for axis in self._shifted:
            parts = [half for part in parts for half in self._cut(part, axis)]
        return _cat([self._to_windows(part) for part in parts], dim=0)

    def _put_together(self, windows: Tensor) -> Tensor:
        """`reverse`, axis by axis."""
        counts = self.counts
        batch = len(windows) // sum(counts)
        parts = [
            self._to_map(part, size)
            for part, size in zip(windows.split([batch * count for count in counts]), self.kinds)
        ]
        for axis in reversed(self._shifted):
            parts = [self._join(body, last, axis) for body, last in zip(parts[::2], parts[1::2])]
        return parts[0][(slice(None), *map(slice, self.size))]

    def _cut(self, part: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """What is left of the last window along an axis of the shifted map, and that window with both its ends."""
        window, shift, dim = self.window[axis], self.shift[axis], axis + 1
        start, body, end = part.split([shift, part.size(dim) - window, window - shift], dim)
        return body, torch.cat([end, start], dim)

    def _join(self, body: Tensor, last: Tensor, axis: int) -> Tensor:
        window, shift, dim = self.window[axis], self.shift[axis], axis + 1
        end, start = last.split([window - shift, shift], dim)
        return torch.cat([start, body, end], dim)

    def _to_windows(self, part: Tensor) -> Tensor:
        """B *size C -> B*nW N C, size being a multiple of the window."""
        axes = len(self.window)
        for axis in reversed(range(axes)):
            part = part.unflatten(axis + 1, (-1, self.window[axis]))
        part = part.permute(0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2), 2 * axes + 1)
        return part.reshape(-1, math.prod(self.window), part.size(-1))

    def _to_map(self, windows: Tensor, size: tuple[int, ...]) -> Tensor:
        axes = len(self.window)
        counts = [length // window for length, window in zip(size, self.window)]
        windows = windows.reshape(-1, *counts, *self.window, windows.size(-1))
        order = [each for axis in range(axes) for each in (1 + axis, 1 + axes + axis)]
        return windows.permute(0, *order, 2 * axes + 1).reshape(-1, *size, windows.size(-1))


@lru_cache(maxsize=64)
def _places(grid: WindowGrid, batch: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
    """For each token of the windows its token of the maps, for each token of the maps its token of the windows, and
    which tokens of the windows are padding, if any."""
    with torch.inference_mode(False):
        count = batch * math.prod(grid.size)
        numbers = torch.arange(1, count + 1, dtype=torch.int32).view(batch, *grid.size, 1)
        sources = grid._cut_up(numbers).flatten()  # 0: padding
        targets = torch.empty(count + 1, dtype=torch.int32)
        targets[sources.long()] = torch.arange(len(sources), dtype=torch.int32)
        padding = (sources == 0).nonzero()[:, 0] if len(sources) > count else None
        found = (sources.sub_(1).clamp_(min=0), targets[1:].contiguous(), padding)
        return tuple(each if each is None else each.to(device) for each in found)


def _partition(x: Tensor, grid: WindowGrid) -> Tensor:
    sources, _, padding = _places(grid, len(x), x.device)
    rows = x.reshape(-1, x.size(-1)).index_select(0, sources)
    if padding is not None:
        rows.index_fill_(0, padding, 0)
    return rows.view(-1, math.prod(grid.window), x.size(-1))


def _reverse(windows: Tensor, grid: WindowGrid) -> Tensor:
    batch = len(windows) // sum(grid.counts)
    _, targets, _ = _places(grid, batch, windows.device)
    return windows.reshape(-1, windows.size(-1)).index_select(0, targets).view(batch, *grid.size, -1)


class _Partition(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, grid: WindowGrid) -> Tensor:
        ctx.grid = grid
        return _partition(x, grid)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return _reverse(grad, ctx.grid), None


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, windows: Tensor, grid: WindowGrid) -> Tensor:
        ctx.grid = grid
        return _reverse(windows, grid)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return _partition(grad, ctx.grid), None


def _cat(tensors: list[Tensor], dim: int) -> Tensor:
    """`torch.cat`, which would copy a single tensor too."""
    return torch.cat(tensors, dim) if len(tensors) > 1 else tensors[0]
