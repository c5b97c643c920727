"""From an array of any length to a small one of latents: cross-attends, and blocks of self-attention between them.

Perceiver, https://arxiv.org/abs/2103.03206: eight times {cross-attend, block}, the first cross-attend with weights of
its own, all else shared. Perceiver IO, https://arxiv.org/abs/2107.14795: one cross-attend, then blocks that share
theirs.
"""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..registry import MODELS
from .arrays import InputArray
from .blocks import CrossAttend, checked_word, init_as_official, self_attend

CROSS_WEIGHTS = ('first-own', 'shared', 'own')
BLOCK_WEIGHTS = ('shared', 'own')


@MODELS.register_module()
class LatentEncoder(BaseModule):
    """
    ::

        latents -> cross-attend -> blocks -> [cross-attend -> blocks ...] -> latents

    Args:
        in_channels: of the array; handed by the Perceiver.
        num_latents, embed_dims: of the learned array.
        num_blocks: how often a block is run.
        num_layers: of self-attention in a block.
        num_heads: of self-attention; must divide ``embed_dims``, ``qk_dims`` and ``v_dims``.
        num_cross_attends: how often the latents look at the array, spread evenly over the blocks.
        cross_heads: of the cross-attends.
        cross_weights: 'first-own': the first cross-attend has weights of its own, the others share theirs (Perceiver);
            'shared' by all; 'own' of each.
        block_weights: 'shared': one block is run again and again; 'own' of each.
        qk_dims, v_dims: of both kinds of attention, see :class:`.blocks.CrossAttend`.
        cross_shape, query_residual: see there.
        widening: of the MLPs of self-attention; cross_widening: of cross-attends.
        gelu, dropout, attn_dropout: see there.
        with_cp: recompute layers in the backward pass to save memory.

    Raises:
        ValueError: heads that do not divide channels; cross-attends that cannot be spread over the blocks.
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        crosses = min(cfg.get('num_cross_attends', 1), 2)
        few = dict(num_latents=8, embed_dims=32, num_blocks=2, num_layers=1, num_heads=2, num_cross_attends=crosses)
        return few | {word: 32 for word in ('qk_dims', 'v_dims') if cfg.get(word)}

    def __init__(
        self,
        in_channels: int,
        num_latents: int = 512,
        embed_dims: int = 1024,
        num_blocks: int = 8,
        num_layers: int = 6,
        num_heads: int = 8,
        num_cross_attends: int = 1,
        cross_heads: int = 1,
        cross_weights: str = 'first-own',
        block_weights: str = 'shared',
        qk_dims: int | None = None,
        v_dims: int | None = None,
        cross_shape: str = 'kv',
        query_residual: bool = True,
        widening: int = 1,
        cross_widening: int = 1,
        gelu: str = 'tanh',
        dropout: float = 0.0,
        attn_dropout: float = 0.0,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        checked_word('cross_weights', cross_weights, CROSS_WEIGHTS)
        checked_word('block_weights', block_weights, BLOCK_WEIGHTS)
        if not 0 < num_cross_attends <= num_blocks or num_blocks % num_cross_attends:
            raise ValueError(
                f'num_cross_attends={num_cross_attends} cannot be spread over num_blocks={num_blocks}; take a '
                'divisor of it'
            )
        self.in_channels, self.embed_dims, self.gelu, self.with_cp = in_channels, embed_dims, gelu, with_cp
        self.num_blocks, self.every = num_blocks, num_blocks // num_cross_attends
        widths = dict(qk_dims=qk_dims, v_dims=v_dims, gelu=gelu, dropout=dropout, attn_dropout=attn_dropout)

        self.latents = nn.Parameter(torch.empty(num_latents, embed_dims))
        nn.init.trunc_normal_(self.latents, std=0.02)
        kinds = {'first-own': min(2, num_cross_attends), 'shared': 1, 'own': num_cross_attends}[cross_weights]
        self.cross_attends = nn.ModuleList(
            CrossAttend(
                embed_dims,
                in_channels,
                cross_heads,
                cross_shape=cross_shape,
                query_residual=query_residual,
                widening=cross_widening,
                **widths,
            )
            for _ in range(kinds)
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(self_attend(embed_dims, num_heads, widening=widening, **widths) for _ in range(num_layers))
            for _ in range(1 if block_weights == 'shared' else num_blocks)
        )
        self.apply(init_as_official)

    def forward(self, array: InputArray) -> Tensor:
        """B M C -> latents, B N C'."""
        x = self.latents.expand(len(array.tokens), -1, -1)
        for layer in self.schedule():
            look = isinstance(layer, CrossAttend)
            x = self._run(layer, x, array.tokens, array.mask) if look else self._run(layer, x)
        return x

    def schedule(self) -> list[nn.Module]:
        """The layers in the order in which they are run; shared ones come again."""
        layers = []
        for number in range(self.num_blocks):
            if number % self.every == 0:
                layers.append(self.cross_attends[min(number // self.every, len(self.cross_attends) - 1)])
            layers += self.blocks[min(number, len(self.blocks) - 1)]
        return layers

    def _run(self, layer: nn.Module, *args) -> Tensor:
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(layer, *args, use_reentrant=False)
        return layer(*args)

    @torch.no_grad()
    def looks(self, array: InputArray) -> list[Tensor]:
        """What the latents look at in each cross-attend, B heads N M each, for pictures."""
        x, found = self.latents.expand(len(array.tokens), -1, -1), []
        for layer in self.schedule():
            if isinstance(layer, CrossAttend):
                found.append(layer.weights(x, array.tokens, array.mask))
                x = layer(x, array.tokens, array.mask)
            else:
                x = layer(x)
        return found
