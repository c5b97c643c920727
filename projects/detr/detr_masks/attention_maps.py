"""What masks are made of where queries look (DETR, Cell-DETR): maps of attention, and masks decoded on demand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from ..segments import resize
from ..structures import ImageSizes, Matches, Memory, PredictionSet, Targets


class AttentionMaps(nn.Module):
    """Where each query looks: one softmax over all heads and places, as in DETR.

    Args:
        relative: to looking everywhere alike, so that the mean is one: beside features of order one, chances of one in
            some hundred places would not tell one query from another.
        multiply: the products by the root of the channels of a head, as published with Cell-DETR; dividing was meant.
    """

    def __init__(self, embed_dims: int, num_heads: int = 8, relative: bool = False, multiply: bool = False):
        super().__init__()
        self.num_heads, self.relative = num_heads, relative
        self.scale = math.sqrt(embed_dims / num_heads) ** (1 if multiply else -1)
        self.query = nn.Linear(embed_dims, embed_dims)
        self.key = nn.Conv2d(embed_dims, embed_dims, 1)

    def forward(self, state: Tensor, memory: Memory) -> Tensor:
        """state B N C: B N heads H W; over heads and places without padding their sum, relative their mean, is one."""
        query = self.query(state).unflatten(-1, (self.num_heads, -1))
        key = self.key(memory.maps()[0])
        scores = torch.einsum('bnhc,bhcs->bnhs', query * self.scale, key.flatten(2).unflatten(1, (self.num_heads, -1)))
        if memory.keep is not None:
            scores = scores.masked_fill(~memory.keep[:, None, None], -math.inf)
        chances = scores.flatten(2).softmax(-1).view(*scores.shape[:3], *key.shape[-2:])
        return chances * self._choices(memory, key) if self.relative else chances

    def _choices(self, memory: Memory, key: Tensor) -> Tensor | int:
        """B 1 1 1 1: heads times places."""
        if memory.keep is None:
            return self.num_heads * key.shape[-2] * key.shape[-1]
        return self.num_heads * memory.keep.sum(1)[:, None, None, None, None]


@dataclass
class SeparateMasks:
    """Masks that are decoded when they are asked for.

    Args:
        attention: 1 B N heads H W; indexing indexes these.
        skips: as of :class:`Memory`.
        images: how large they are; masks are decoded in the size of the padded batch.
        decode: see :meth:`CellMaskDecoder.decode`.
    """

    attention: Tensor
    skips: list[Tensor]
    images: ImageSizes
    decode: Callable[[Tensor, list[Tensor], Tensor, tuple[int, int]], Tensor]
    _made: tuple = field(default=(None, None), init=False, repr=False)  # for these matches, these pairs

    def __getitem__(self, index) -> SeparateMasks:
        return replace(self, attention=self.attention[index])

    def logits(self, image: Tensor, query: Tensor) -> Tensor:
        """P H W of some queries (P) of some images (P); above zero where the mask is."""
        if not len(image):  # convolutions and norms want at least one; nothing is made of its mask
            nothing = image.new_zeros(1)
            return self.logits(nothing, nothing)[:0]
        return self.decode(self.attention[0, image, query], self.skips, image, self.images.padded)

    def chances(self, image: Tensor, query: Tensor) -> Tensor:
        """P H W: how likely each pixel belongs to the query."""
        return self.logits(image, query).sigmoid()

    def matched(self, matches: Matches, layer: int, targets: Targets) -> list[tuple[Tensor, Tensor]]:
        """Of each image without its padding the chances and the truth, P h w, of the queries matched in the layer that
        the masks are of; made once for the same matches."""
        if self._made[0] is not matches:
            images = matches.of_layer(layer).by_image(len(targets.masks))
            found = self.chances(torch.cat([own.image for own in images]), torch.cat([own.query for own in images]))
            found = found.split([len(own.image) for own in images])
            self._made = (
                matches,
                [
                    (each[:, : truth.shape[1], : truth.shape[2]], truth[targets.slot[own.target]].float())
                    for each, own, truth in zip(found, images, targets.masks)
                ],
            )
        return self._made[1]

    def over_image(self, image: int, size: tuple[int, int], queries: Tensor | slice = slice(None)) -> Tensor:
        """P h w: logits of some queries' masks over an image of the given size."""
        queries = torch.arange(self.attention.shape[2], device=self.attention.device)[queries]
        return resize(self.logits(torch.full_like(queries, image), queries), self.images.shares[image], size)


def last_layer(predictions: PredictionSet, matches: Matches) -> list[tuple[Tensor, Tensor]]:
    """Of each image the chances and the truth, P h w, of the queries matched in the last layer, the only one that has
    such masks."""
    return predictions['masks'].matched(matches, len(predictions.logits) - 1, predictions.targets)
