"""Masks made of attention: what the queries of the last decoder layer look at (DETR, Cell-DETR)."""

from typing import Any

import torch
from torch import Tensor, nn

from ...registry import MODELS, build_part
from ..branches import States
from ..roles import Branch
from ..structures import Memory
from .attention_maps import AttentionMaps, SeparateMasks
from .mask_decoder import PyramidMaskDecoder


class AttentionMasks(Branch):
    """Masks of the last decoder layer. Subclasses bring the maps of attention, and what makes masks of them."""

    name = 'mask_branch'
    predicts, needs = ('masks', 'maps'), ('skips',)
    was = {'attention.': 'mask_branch.attention.', 'mask_decoder.': 'mask_branch.mask_decoder.'}

    attention: AttentionMaps
    mask_decoder: nn.Module

    def forward(self, states: States, references: list[Tensor | None], memory: Memory) -> dict[str, SeparateMasks]:
        return dict(masks=self.mask_decoder(self.attention(states.hidden[-1], memory), memory))

    def mask_attention(self, predictions: dict[str, Any], layer: int = -1) -> Tensor:
        """B N heads h w over the padded images, of sum one over heads and places, for pictures."""
        self._only_last(layer)
        attention = predictions['masks'].attention[0]
        return attention / attention.sum((-3, -2, -1), keepdim=True)

    def mask_logits(self, predictions: dict[str, Any], layer: int = -1) -> Tensor:
        """B N h w over the padded images, for pictures."""
        self._only_last(layer)
        masks = predictions['masks']
        batch, queries = masks.attention.shape[1:3]
        pairs = torch.arange(batch * queries, device=masks.attention.device)
        return masks.logits(pairs // queries, pairs % queries).unflatten(0, (batch, queries))

    def _only_last(self, layer: int) -> None:
        if layer != -1:
            raise ValueError(
                f'{type(self).__name__} makes masks of the last decoder layer only, not of layer {layer} '
                '(-1 is the last)'
            )


@MODELS.register_module()
class AttentionMaskBranch(AttentionMasks):
    """DETR's.

    Args:
        mask_decoder: config of the part that makes masks of attention maps.
        num_heads: attention maps of a query.
    """

    def __init__(self, mask_decoder: dict = dict(type=PyramidMaskDecoder), embed_dims: int = 256, num_heads: int = 8):
        super().__init__()
        self.attention = AttentionMaps(embed_dims, num_heads)
        self.mask_decoder = build_part(mask_decoder, embed_dims=embed_dims, num_heads=num_heads)
