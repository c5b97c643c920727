"""Attention with an additive bias that may be learned, such as that of windows.

torch's `scaled_dot_product_attention` leaves its fused kernel on CPUs as soon as the bias asks for a gradient, and then
keeps several score matrices of the whole batch. Here all runs a few matrices at a time, so that they stay in the cache;
queries, keys and values are copied as little as the gradients are; and the weights are kept for the backward pass where
they are small, and made again where they are not.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, product

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Scores at a time and thread: 4 MB in float32. A quarter of that is slower from 256 tokens on, and no faster at 49.
CHUNK = 2**20

# The weights are kept where they are no larger than this times queries, keys and values. Measured, against making them
# again: at 49 tokens of 32 channels (0.5 times) 1.1 to 1.2 times as fast, at 343 of 16 (7 times) 0.9 times.
KEPT = 1.0

# A bias this low makes weights that float32 holds as subnormal numbers; e^-87 is the least that are not.
LOW = -50.0


def biased_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float | None = None) -> Tensor:
    """``softmax(scale * q k^T + bias) v``

    Args:
        q, k, v: B h N d.
        bias: h N N, added to the logits of every batch entry.
        scale: 1 / sqrt(d) by default.
    """
    scale = q.size(-1) ** -0.5 if scale is None else scale
    if _learns(bias):
        return _Attention.apply(bias[None], [len(q)], scale, q, k, v)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None], scale=scale)


def grouped_attention(heads: Sequence[Tensor], biases: Tensor, counts: Sequence[int], scale: float | None) -> Tensor:
    """The same of groups of entries, each with a bias of its own: B h N d.

    Args:
        heads: queries, keys and values, each B h N d; or all in one tensor, 3 B h N d, whose gradient then is one, too.
        biases: groups h N N.
        counts: how many entries each group has, one group after the other.
    """
    one = isinstance(heads, Tensor)
    scale = heads[0].size(-1) ** -0.5 if scale is None else scale
    if _learns(biases):
        return _Attention.apply(biases, counts, scale, *([heads] if one else heads))
    return _fused(*heads, biases, counts, scale)


def _learns(bias: Tensor) -> bool:
    return bias.requires_grad and torch.is_grad_enabled() and bias.device.type == 'cpu'


def _fused(q: Tensor, k: Tensor, v: Tensor, biases: Tensor, counts: Sequence[int], scale: float) -> Tensor:
    parts = [
        F.scaled_dot_product_attention(*inputs, attn_mask=bias[None], scale=scale).transpose(1, 2)
        for *inputs, bias in zip(*(each.split(list(counts)) for each in (q, k, v)), biases)
    ]
    return (torch.cat(parts) if len(parts) > 1 else parts[0]).transpose(1, 2)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, biases: Tensor, counts: Sequence[int], scale: float, *heads: Tensor) -> Tensor:
        ctx.counts, ctx.scale = counts, scale
        q, k, v = heads if len(heads) == 3 else heads[0]
        weights = None
        small = k.size(2) <= KEPT * (2 * q.size(-1) + v.size(-1))
        if small and q.dtype in (torch.float32, torch.float64):
            out, weights = _keeping(q, k, v, biases, counts, scale)
        else:
            out = _fused(q, k, v, biases.detach(), counts, scale)
        ctx.save_for_backward(biases, out, weights, *heads)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of attention from the weights P and D = P (dP - sum(P dP)), D being that of the logits."""
        biases, out, weights, *heads = ctx.saved_tensors
        grads = [_empty_gradient(each) for each in heads]
        grad_q, grad_k, grad_v = grads if len(grads) == 3 else grads[0]
        full = torch.promote_types(out.dtype, torch.float32)
        grad_biases = torch.zeros_like(biases, dtype=full)

        with torch.autocast('cpu', enabled=False):
            q, k, v, grad = (each.to(full) for each in (*(heads if len(heads) == 3 else heads[0]), grad))
            inner = (grad * out).sum(-1, keepdim=True)  # sum(P dP), without P
            store = q.new_empty(1 if weights is not None else 2, _step(biases), *biases.shape[2:])
            for count, part, bias in _pieces(biases, ctx.counts, len(q)):
                P = store[-1, :count] if weights is None else weights[part]
                if weights is None:
                    _weigh(q[part], k[part], biases[bias], ctx.scale, P)
                D = torch.bmm(grad[part], v[part].mT, out=store[0, :count]).sub_(inner[part]).mul_(P)

                grad_v[part] = torch.bmm(P.mT, grad[part])
                grad_q[part] = torch.bmm(D, k[part]).mul_(ctx.scale)
                grad_k[part] = torch.bmm(D.mT, q[part]).mul_(ctx.scale)
                grad_biases[bias] += D.sum(0) if grad_biases[bias].ndim == 2 else D

        return grad_biases.to(biases.dtype), None, None, *grads


def _keeping(
    q: Tensor, k: Tensor, v: Tensor, biases: Tensor, counts: Sequence[int], scale: float
) -> tuple[Tensor, Tensor]:
    """B h N d, and the weights, B h N N."""
    batch, heads, tokens, _ = q.shape
    out = q.new_empty(batch, tokens, heads, v.size(-1)).transpose(1, 2)
    shape = (tokens, k.size(2))
    by_entry = batch < heads  # the matrices of a piece lie one after the other
    weights = q.new_empty(batch, heads, *shape) if by_entry else q.new_empty(heads, batch, *shape).transpose(0, 1)
    for _, part, bias in _pieces(biases, counts, batch):
        out[part] = torch.bmm(_weigh(q[part], k[part], biases[bias], scale, weights[part]), v[part])
    return out, weights


def _weigh(q: Tensor, k: Tensor, bias: Tensor, scale: float, out: Tensor) -> Tensor:
    """softmax(scale * q k^T + bias) of n N d, written to ``out``; bias N N or n N N."""
    P = torch.baddbmm(bias.to(q.dtype).expand_as(out), q, k.mT, alpha=scale, out=out)
    torch.softmax(P, -1, out=P)
    # Masked tokens weigh e^-100, which is subnormal, and products with that take some processors 20 times as long.
    return F.threshold_(P, torch.finfo(P.dtype).tiny, 0.0) if bias.amin() < LOW else P


def _empty_gradient(x: Tensor) -> Tensor:
    """An empty tensor whose axes lie in memory in the order of those of x: such as B N h d for B h N d,
    where a linear layer made them."""
    order = sorted(range(x.ndim), key=lambda axis: -x.stride(axis))
    return x.new_empty([x.size(axis) for axis in order]).permute([order.index(axis) for axis in range(x.ndim)])


def _step(biases: Tensor) -> int:
    """How many matrices of scores fit a chunk."""
    return max(1, CHUNK * torch.get_num_threads() // biases[0, 0].numel())


def _pieces(biases: Tensor, counts: Sequence[int], batch: int) -> Iterator[tuple[int, tuple, tuple]]:
    """(how many matrices, which entries and heads, the place of their bias): some entries of one head, or some heads of
    one entry where these are more. Either lie a fixed step apart in memory, so that products need no copies."""
    if sum(counts) != batch:
        raise ValueError(f'{batch} entries, but groups of {", ".join(map(str, counts))}')
    step, heads = _step(biases), biases.size(1)
    for group, (end, count) in enumerate(zip(accumulate(counts), counts)):
        if batch < heads:
            for entry, some in product(range(end - count, end), _runs(0, heads, step)):
                yield some.stop - some.start, (entry, some), (group, some)
        else:
            for some, head in product(_runs(end - count, end, step), range(heads)):
                yield some.stop - some.start, (some, head), (group, head)


def _runs(start: int, stop: int, step: int) -> list[slice]:
    return [slice(first, min(first + step, stop)) for first in range(start, stop, step)]
