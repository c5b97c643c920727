"""From latents to outputs: by their mean (Perceiver), or by queries that look at them (Perceiver IO, section 3.2)."""

import torch
from torch import Tensor, nn

from ..registry import MODELS
from .blocks import CrossAttend, init_as_official


@MODELS.register_module()
class MeanDecoder(nn.Module):
    """The mean of the latents, as one output. Takes no queries."""

    takes_queries = False

    def __init__(self, latent_dims: int):
        super().__init__()
        self.channels = latent_dims

    def forward(self, latents: Tensor, queries: None = None) -> Tensor:
        """B N C -> B 1 C."""
        return latents.mean(1, keepdim=True)


@MODELS.register_module()
class LatentDecoder(nn.Module):
    """A cross-attend from queries to latents.

    Args:
        latent_dims, query_dims: channels of both; handed by the Perceiver.
        out_dims: of a linear layer after it; None: no layer.
        zero_init: whether that layer starts at zero (flow).
        chunk: most outputs that are decoded at a time where no gradient is asked for; None: all.
        num_heads, qk_dims, v_dims, cross_shape, query_residual, widening, gelu, dropout, attn_dropout: see
            :class:`.blocks.CrossAttend`.
    """

    takes_queries = True

    @staticmethod
    def tiny(cfg: dict) -> dict:
        return {word: 32 for word in ('qk_dims', 'v_dims') if cfg.get(word)}

    def __init__(
        self,
        latent_dims: int,
        query_dims: int,
        out_dims: int | None = None,
        zero_init: bool = False,
        chunk: int | None = None,
        num_heads: int = 1,
        qk_dims: int | None = None,
        v_dims: int | None = None,
        cross_shape: str = 'kv',
        query_residual: bool = False,
        widening: int = 1,
        gelu: str = 'tanh',
        dropout: float = 0.0,
        attn_dropout: float = 0.0,
    ):
        super().__init__()
        self.cross_attend = CrossAttend(
            query_dims,
            latent_dims,
            num_heads,
            qk_dims=qk_dims,
            v_dims=v_dims,
            cross_shape=cross_shape,
            query_residual=query_residual,
            widening=widening,
            gelu=gelu,
            dropout=dropout,
            attn_dropout=attn_dropout,
        )
        self.output = nn.Linear(query_dims, out_dims) if out_dims else nn.Identity()
        self.channels, self.chunk, self.gelu = out_dims or query_dims, chunk, gelu
        self.apply(init_as_official)
        if zero_init and out_dims:
            nn.init.zeros_(self.output.weight)

    def forward(self, latents: Tensor, queries: Tensor) -> Tensor:
        """B N C, B O C' -> B O C''."""
        if self.chunk is None or torch.is_grad_enabled():
            return self.output(self.cross_attend(queries, latents))
        parts = queries.split(self.chunk, dim=1)
        return torch.cat([self.output(self.cross_attend(part, latents)) for part in parts], dim=1)
