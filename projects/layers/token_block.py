"""A transformer layer on tokens: attention and an MLP, each a residual branch.

The block of ViT, CLIP, BLIP, UNETR, TransBTS and the Perceiver ('pre'), and of BERT ('post').
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .attention import KeyValues, MultiheadAttention
from .mlp import Mlp
from .residual import Residual

Norm = Callable[[int], nn.Module]


class TokenBlock(nn.Module):
    """Self-attention, cross-attention where ``memory_dims`` is given, and an MLP.

    Args:
        mlp_dims: hidden channels of the MLP; default: four times ``embed_dims``.
        order: where the norms stand, see residual.py.
        norm: makes a norm of so many channels.
        act: makes the MLP's activation.
        biases: of the attention's queries, keys and values, see :class:`MultiheadAttention`.
        memory_dims: channels of what cross-attention looks at; None: no cross-attention.
        dropout: after the MLP's two maps; attn_dropout: of attention weights.
        drop_path, layer_scale: see :class:`Residual`; branch_dropout: its ``dropout``.
        attn, cross_attn, mlp: parts to take instead of the default ones, as modules.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        mlp_dims: int | None = None,
        order: str = 'pre',
        norm: Norm = nn.LayerNorm,
        act: Callable[[], nn.Module] = nn.GELU,
        biases: bool | Sequence[bool] = True,
        memory_dims: int | None = None,
        dropout: float = 0.0,
        attn_dropout: float = 0.0,
        drop_path: float = 0.0,
        layer_scale: float | None = None,
        branch_dropout: float = 0.0,
        attn: nn.Module | None = None,
        cross_attn: nn.Module | None = None,
        mlp: nn.Module | None = None,
    ):
        super().__init__()

        def branch(part: nn.Module) -> Residual:
            return Residual(part, norm(embed_dims), order, layer_scale, drop_path, embed_dims, branch_dropout)

        self.attn = branch(attn or MultiheadAttention(embed_dims, num_heads, attn_dropout, biases=biases))
        if cross_attn is None and memory_dims is not None:
            cross_attn = MultiheadAttention(embed_dims, num_heads, attn_dropout, kv_dims=memory_dims, biases=biases)
        self.cross_attn = None if cross_attn is None else branch(cross_attn)
        self.mlp = branch(mlp or Mlp(embed_dims, mlp_dims, act=act, dropout=dropout))

    def forward(
        self,
        x: Tensor,
        bias: Tensor | None = None,
        memory: Tensor | None = None,
        memory_bias: Tensor | None = None,
        memory_past: KeyValues | None = None,
        **attn,
    ) -> Tensor:
        """x B N C -> B N C.

        Args:
            bias, memory_bias: see :func:`attend`.
            memory: B S C'; None leaves cross-attention out.
            memory_past: keys and values of the memory, made by the first call.
            attn: what else self-attention takes: ``rotate`` and ``past`` of `MultiheadAttention`, ``size`` of
                `MapAttention`.
        """
        x = self.attn(x, bias=bias, **attn)
        if memory is not None:
            x = self.cross_attn(x, memory, bias=memory_bias, past=memory_past)
        return self.mlp(x)


class TokenBlocks(nn.ModuleList):
    """Blocks one after the other; the drop path grows linearly from 0 to ``drop_path``.

    Args:
        num_layers: how many.
        make: makes a block, called with ``drop_path``, and with the arguments that are left.
        with_cp: recompute each block in the backward pass to save memory.
    """

    def __init__(
        self,
        num_layers: int,
        *args,
        drop_path: float = 0.0,
        make: Callable[..., nn.Module] = TokenBlock,
        with_cp: bool = False,
        **kwargs,
    ):
        rates = drop_path_rates(drop_path, num_layers)
        super().__init__(make(*args, drop_path=rate, **kwargs) for rate in rates)
        self.with_cp = with_cp

    def __getitem__(self, index: int | slice) -> nn.Module:
        """A block, or some of them as what they are here; they keep their drop paths."""
        if not isinstance(index, slice):
            return super().__getitem__(index)
        part = TokenBlocks(0, with_cp=self.with_cp)
        return part.extend([*self][index])

    def forward(self, x: Tensor, *args, taps: Sequence[int] = (), **kwargs) -> Tensor | tuple[Tensor, list[Tensor]]:
        """x B N C through all blocks; with ``taps``, also what leaves the blocks of these numbers (from 0)."""
        found = []
        for index, block in enumerate(self):
            x = self.run(block, x, *args, **kwargs)
            if index in taps:
                found.append(x)
        return (x, found) if len(taps) else x

    def run(self, block: nn.Module, x: Tensor, *args, **kwargs) -> Tensor:
        """One block, recomputed in the backward pass where that was asked."""
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(block, x, *args, use_reentrant=False, **kwargs)
        return block(x, *args, **kwargs)


def drop_path_rates(last: float, num_layers: int) -> list[float]:
    """Rates that grow linearly from 0 at the first of so many layers."""
    return torch.linspace(0, last, num_layers, device='cpu').tolist()
