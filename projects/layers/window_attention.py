"""Attention inside windows of any number of axes, with a bias by relative position (Swin Transformer, v1 and v2).

Papers: https://arxiv.org/abs/2103.14030, https://arxiv.org/abs/2111.09883. Parameter names are those of
microsoft/Swin-Transformer. What differs: bias and shift mask are merged, once per shape where no gradient is asked, and
handed to fused attention; in a shrunken window the middle of the bias table is used (v1) or its coordinates span the
shrunken window (v2), as in the classification code; v2's coordinates are finite in a window of one token.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..ops.biased_attention import biased_attention, grouped_attention
from .relative_bias import table_index
from .window_grid import WindowGrid


class _WindowAttention(nn.Module):
    """What both forms share. A form gives the heads, the bias table and the scale of the logits.

    Args:
        window_size: sides of the largest window, one per axis of the map.
    """

    scale: float | None = None  # that of the paper: 1 / sqrt(d)

    def __init__(self, embed_dims: int, num_heads: int, window_size: Sequence[int], qkv_bias: bool):
        super().__init__()
        self.num_heads = num_heads
        self.window_size = tuple(window_size)
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=qkv_bias)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.register_buffer('table_index', table_index(self.window_size), persistent=False)
        self._kept = None, None

    def heads(self, windows: Tensor) -> Tensor:
        """nW*B N C -> queries, keys and values, 3 nW*B h N d."""
        raise NotImplementedError

    def table(self, window: tuple[int, ...]) -> Tensor:
        """prod(2 * window_size - 1) h: the bias of each relative position, for a window of this size."""
        raise NotImplementedError

    def table_weights(self) -> list[nn.Parameter]:
        """What the table is made of."""
        raise NotImplementedError

    def train(self, mode: bool = True) -> '_WindowAttention':
        self._kept = None, None
        return super().train(mode)

    def forward(self, windows: Tensor, grid: WindowGrid, at_once: int = 0) -> Tensor:
        """Attend within windows: nW*B N C, as `grid.partition` makes them; so many at a time, 0: all."""
        if at_once:
            return self._sequential(windows, grid, at_once)
        return self._attend(self.heads(windows), grid)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, grid: WindowGrid) -> Tensor:
        """The same of queries, keys and values, each nW*B h N d, which may come from several maps."""
        return self._attend((q, k, v), grid)

    def _attend(self, heads: Sequence[Tensor], grid: WindowGrid) -> Tensor:
        images = len(heads[0]) // sum(grid.counts)
        biases = self.bias(grid, heads[0].dtype)
        out = grouped_attention(heads, biases, [images * count for count in grid.counts], self.scale)
        return self.proj(out.transpose(1, 2).flatten(2))

    def _sequential(self, windows: Tensor, grid: WindowGrid, at_once: int) -> Tensor:
        """The same, with projections of a few windows in memory."""
        images, out, biases = len(windows) // sum(grid.counts), [], None
        for kind, part in enumerate(windows.split([images * count for count in grid.counts])):
            for some in part.split(at_once):
                q, k, v = self.heads(some)
                biases = self.bias(grid, q.dtype) if biases is None else biases
                attended = biased_attention(q, k, v, biases[kind], self.scale).transpose(1, 2).flatten(2)
                out.append(self.proj(attended))
        return torch.cat(out)

    def bias(self, grid: WindowGrid, dtype: torch.dtype) -> Tensor:
        """kinds h N N; that of the last grid is remembered where no gradient is asked."""
        weights = self.table_weights()
        if (
            torch.compiler.is_compiling()
            or self.training
            or torch.is_grad_enabled()
            and any(each.requires_grad for each in weights)
        ):
            return self._merge(grid, dtype)

        # A weight's version and address tell that it changed; tensors of inference mode must not leave it.
        key = (
            grid,
            dtype,
            torch.is_inference_mode_enabled(),
            *((each.device, each._version, each.data_ptr()) for each in weights),
        )
        if self._kept[0] != key:
            self._kept = key, self._merge(grid, dtype)
        return self._kept[1]

    def rows(self, window: tuple[int, ...]) -> Tensor:
        """The table's row for each query and key of a window of this size."""
        return self.table_index[tuple(map(slice, window)) * 2]

    def _merge(self, grid: WindowGrid, dtype: torch.dtype) -> Tensor:
        index = self.rows(grid.window).flatten()
        tokens = math.prod(grid.window)
        bias = self.table(grid.window).t().index_select(1, index).view(1, -1, tokens, tokens)
        mask = grid.mask(index.device)
        return (bias if mask is None else bias + mask[:, None]).to(dtype)


class WindowAttention(_WindowAttention):
    """Swin v1: scaled dot products and a learned table of biases."""

    def __init__(self, embed_dims: int, num_heads: int, window_size: Sequence[int]):
        super().__init__(embed_dims, num_heads, window_size, qkv_bias=True)
        rows = math.prod(2 * side - 1 for side in window_size)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, num_heads))

    def heads(self, windows):
        return self.qkv(windows).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)

    def table(self, window):
        return self.relative_position_bias_table

    def table_weights(self):
        return [self.relative_position_bias_table]


class CornerWindowAttention(WindowAttention):
    """Swin v1 as Video Swin, MONAI and VT-UNet have it: a shrunken window takes the rows of the first tokens of a full
    one, whatever their offsets are. For their published weights."""

    def rows(self, window):
        tokens, full = math.prod(window), math.prod(self.window_size)
        return self.table_index.view(full, full)[:tokens, :tokens]


class CosineWindowAttention(_WindowAttention):
    """Swin v2: cosines times a learned scale, and a bias that an MLP draws from log-spaced relative positions.

    Args:
        pretrained_window_size: sides of the windows that the MLP was trained on, where those were others.
    """

    scale = 1.0
    max_scale = 100.0

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: Sequence[int],
        pretrained_window_size: Sequence[int] | None = None,
    ):
        super().__init__(embed_dims, num_heads, window_size, qkv_bias=False)
        self.pretrained_window_size = pretrained_window_size and tuple(pretrained_window_size)
        self.q_bias = nn.Parameter(torch.zeros(embed_dims))
        self.v_bias = nn.Parameter(torch.zeros(embed_dims))
        self.logit_scale = nn.Parameter(torch.full((num_heads, 1, 1), math.log(10)))
        self.cpb_mlp = nn.Sequential(nn.Linear(len(window_size), 512), nn.ReLU(), nn.Linear(512, num_heads, bias=False))

    def heads(self, windows):
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(windows, self.qkv.weight, bias).unflatten(-1, (3, self.num_heads, -1))
        scale = self.logit_scale.clamp(max=math.log(self.max_scale)).exp()
        return _unit_queries_and_keys(qkv, scale.flatten()).permute(2, 0, 3, 1, 4)

    def table(self, window):
        return 16 * self.cpb_mlp(self._coordinates(window)).sigmoid()

    def table_weights(self):
        return list(self.cpb_mlp.parameters())

    def _coordinates(self, window: tuple[int, ...]) -> Tensor:
        """rows D: sign(x) log2(1 + |x|) / 3 of the relative positions x, scaled so that 8 is a window's other end."""
        weight = self.cpb_mlp[0].weight
        axes = [
            torch.arange(1 - side, side, device=weight.device, dtype=weight.dtype) * 8 / max(end - 1, 1)
            for side, end in zip(self.window_size, self.pretrained_window_size or window)
        ]
        x = torch.stack(torch.meshgrid(*axes, indexing='ij'), -1).flatten(0, -2)
        return x.sign() * (x.abs() + 1).log2() / math.log2(8)


def _unit_queries_and_keys(qkv: Tensor, scale: Tensor) -> Tensor:
    """M N 3 h d -> the same with queries of the length ``scale`` (h), keys of length 1, values as they are."""
    full = qkv.to(torch.promote_types(qkv.dtype, torch.float32))
    if torch.compiler.is_compiling():
        q, k, v = full.unbind(2)
        unit = torch.stack([scale[:, None] * F.normalize(q, dim=-1), F.normalize(k, dim=-1), v], 2)
    else:
        unit = _UnitQueriesAndKeys.apply(full, scale)
    return unit.to(qkv.dtype)


class _UnitQueriesAndKeys(torch.autograd.Function):
    """As `F.normalize`, but one pass over the three tensors where they lie, and two for the gradient, in place of some
    ten."""

    EPS = 1e-12

    @staticmethod
    def forward(ctx, qkv: Tensor, scale: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(qkv, dim=-1).clamp_min_(_UnitQueriesAndKeys.EPS)  # M N 3 h
        rate = norm.reciprocal()
        rate[:, :, 0] *= scale
        rate[:, :, 2] = 1
        ctx.save_for_backward(qkv, norm, rate)
        return qkv * rate[..., None]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Of u = r x / |x| it is r / |x| (g - x (x g) / |x|^2)."""
        qkv, norm, rate = ctx.saved_tensors
        along = (qkv * grad).sum(-1)
        grad_scale = (along[:, :, 0] / norm[:, :, 0]).sum((0, 1))
        back = along.div_(norm.square()).mul_(rate).masked_fill_(norm <= _UnitQueriesAndKeys.EPS, 0)
        back[:, :, 2] = 0
        return (grad * rate[..., None]).addcmul_(qkv, back[..., None], value=-1), grad_scale
