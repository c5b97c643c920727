"""DETR's masks (https://arxiv.org/abs/2005.12872, section 4.4): maps of attention, read by convolutions.

The official code trains them on a frozen detector, or with it; averages over the pixels of the padded batch, not of
each image; and resizes them to the batch's size, as here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS
from ..structures import Memory
from .attention_maps import SeparateMasks

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
