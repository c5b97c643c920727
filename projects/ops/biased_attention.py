"""Attention with an additive bias that may be learned, such as that of windows.

torch's `scaled_dot_product_attention` leaves its fused kernel on CPUs as soon as the bias asks for a gradient, and then
keeps several score matrices of the whole batch. Here the forward pass stays fused, and the backward pass makes the
scores again, a few at a time, so that they stay in the cache.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Scores that the backward pass makes at a time, per thread: 4 MB in float32. Half as many are slower, more no faster.
CHUNK = 2**20


def biased_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float | None = None) -> Tensor:
    """``softmax(scale * q k^T + bias) v``

    Args:
        q, k, v: B h N d.
        bias: h N N, added to the logits of every batch entry.
        scale: 1 / sqrt(d) by default.
    """
    scale = q.size(-1) ** -0.5 if scale is None else scale
    if bias.requires_grad and torch.is_grad_enabled() and q.device.type == 'cpu':
        return _Recomputed.apply(q, k, v, bias, scale)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None], scale=scale)


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float) -> Tensor:
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.detach()[None], scale=scale)
        ctx.save_for_backward(q, k, v, bias, out)
        ctx.scale = scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of attention from the weights P and D = P (dP - sum(P dP)), D being that of the logits."""
        *inputs, bias, out = ctx.saved_tensors
        dtype = torch.promote_types(out.dtype, torch.float32)
        with torch.autocast('cpu', enabled=False):
            q, k, v, out, grad = (each.to(dtype).flatten(0, 1) for each in (*inputs, out, grad))  # B*h N d
            inner = (grad * out).sum(-1, keepdim=True)  # sum(P dP), without P
            q = ctx.scale * q
            grad_q, grad_k, grad_v = (
                torch.empty_like(each, memory_format=torch.contiguous_format) for each in (q, k, v)
            )
            grad_bias = torch.zeros_like(bias, dtype=dtype)

            for start, stop, heads in _chunks(len(q), bias.shape):
                part = slice(start, stop)
                P = torch.bmm(q[part], k[part].transpose(1, 2))
                P.unflatten(0, (-1, heads.stop - heads.start)).add_(bias[heads])
                # Masked tokens weigh e^-100, which is subnormal, and products with that take some processors 20 times
                # as long.
                P = F.threshold_(torch.softmax(P, -1, out=P), torch.finfo(dtype).tiny, 0.0)
                D = torch.bmm(grad[part], v[part].transpose(1, 2)).sub_(inner[part]).mul_(P)

                torch.bmm(P.transpose(1, 2), grad[part], out=grad_v[part])
                torch.bmm(D, k[part], out=grad_q[part])
                torch.bmm(D.transpose(1, 2), q[part], out=grad_k[part])
                grad_bias[heads] += D.unflatten(0, (-1, heads.stop - heads.start)).sum(0)

        grads = (each.view(of.shape).to(of.dtype) for each, of in zip((grad_q.mul_(ctx.scale), grad_k, grad_v), inputs))
        return (*grads, grad_bias.to(bias.dtype), None)


def _chunks(count: int, shape: torch.Size):
    """(first, after the last, heads of these) of batch entries times heads: whole entries, or some heads of one."""
    heads, tokens, _ = shape
    step = max(1, CHUNK * torch.get_num_threads() // tokens**2)
    if step >= heads:
        step -= step % heads
        for start in range(0, count, step):
            yield start, min(start + step, count), slice(0, heads)
        return
    for entry in range(0, count, heads):
        for first in range(0, heads, step):
            last = min(first + step, heads)
            yield entry + first, entry + last, slice(first, last)
