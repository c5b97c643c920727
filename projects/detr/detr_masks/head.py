"""DETR's masks (https://arxiv.org/abs/2005.12872, section 4.4): maps of attention, read by convolutions.

The official code trains them on a frozen detector, or with it; averages over the pixels of the padded batch, not of
each image; and resizes them to the batch's size, as here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS, build_part
from ..structures import Memory
from ..terms import LossTerm, dice_distance
from .attention_head import AttentionMaskHead
from .attention_maps import AttentionMaps, SeparateMasks, last_layer
from .terms import PixelFocalTerm

GROUPS = 8  # of the norms


@MODELS.register_module()
class PyramidMaskDecoder(nn.Module):
    """A query's attention maps beside the features that the transformer got; then to the size of each finer level,
    which is added.

    Args:
        channels: after the second convolution, and after each that follows a finer level; all but the last are those
            of the levels, coarsest first.
    """

    def __init__(self, embed_dims: int = 256, num_heads: int = 8, channels: tuple[int, ...] = (128, 64, 32, 16)):
        super().__init__()
        widths = (embed_dims + num_heads, embed_dims + num_heads, *channels)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(min(GROUPS, after), after), nn.ReLU())
            for before, after in zip(widths, widths[1:])
        )
        self.output = nn.Conv2d(channels[-1], 1, 3, padding=1)

    def forward(self, attention: Tensor, memory: Memory) -> SeparateMasks:
        """attention B N heads H W."""
        return SeparateMasks(attention[None], memory.skips, memory.images, self.decode)

    def decode(self, attention: Tensor, skips: list[Tensor], image: Tensor, size: tuple[int, int]) -> Tensor:
        """attention P heads H W of queries of some images (P): logits P h w."""
        x = torch.cat([skips[-1][image], attention], dim=1)
        x = self.blocks[1](self.blocks[0](x))
        for block, skip in zip(self.blocks[2:], skips[-2::-1]):
            x = block(skip[image] + F.interpolate(x, size=skip.shape[-2:]))
        return F.interpolate(self.output(x), size=size, mode='bilinear').squeeze(1).float()


@MODELS.register_module()
class DETRMaskHead(AttentionMaskHead):
    """Adds masks of the last decoder layer to :class:`SetPredictionHead`.

    Args:
        mask_decoder: config of the part that makes masks of attention maps.
        num_heads: attention maps of a query.
        others: as those of :class:`SetPredictionHead`.
    """

    def __init__(
        self,
        mask_decoder: dict = dict(type=PyramidMaskDecoder),
        num_heads: int = 8,
        num_classes: int = 80,
        embed_dims: int = 256,
        num_layers: int = 6,
        logit_eps: float = 1e-5,
        **kwargs,
    ):
        super().__init__(
            num_classes=num_classes, embed_dims=embed_dims, num_layers=num_layers, logit_eps=logit_eps, **kwargs
        )
        self.attention = AttentionMaps(embed_dims, num_heads)
        self.mask_decoder = build_part(mask_decoder, embed_dims=embed_dims, num_heads=num_heads)

    def forward(self, hidden: list[Tensor], references: list[Tensor | None], memory: Memory) -> dict:
        """Hidden states B N C and references of every layer -> logits L B N K, boxes L B N 4, masks of the last."""
        masks = self.mask_decoder(self.attention(hidden[-1], memory), memory)
        return dict(super().forward(hidden, references, memory), masks=masks)


@MODELS.register_module()
class MaskFocalTerm(PixelFocalTerm):
    """Binary focal loss, the mean over the pixels of each matched mask; summed, divided by the number of boxes."""

    def forward(self, predictions, matches, num_boxes):
        losses = [
            self._sum(found, truth) / found[0].numel() if len(found) else found.sum()
            for found, truth in last_layer(predictions, matches)
        ]
        return self.weight * torch.stack(losses).sum()[None] / num_boxes


@MODELS.register_module()
class MaskDiceTerm(LossTerm):
    """One minus twice the overlap over the areas of each matched mask; summed, divided by the number of boxes."""

    reads = ('maps',)
    name = 'loss_dice'

    def forward(self, predictions, matches, num_boxes):
        losses = [
            dice_distance((found * truth).sum((1, 2)), found.sum((1, 2)) + truth.sum((1, 2))).sum()
            for found, truth in last_layer(predictions, matches)
        ]
        return self.weight * torch.stack(losses).sum()[None] / num_boxes
