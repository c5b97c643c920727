"""Masked patch prediction: the mean colour of masked patches (ViT, https://arxiv.org/abs/2010.11929, appendix B.1.2).

The paper leaves open, and here it is settled so: the corrupted half is drawn for each image without replacement; 80, 10
and 10 percent are drawn for each corrupted patch; the "other patch" is any other of the batch, and gets the position of
the place where it is put; the mean is over the pixels in [0, 1], in float32; a mean on a border of two bins belongs to
the upper one, white to the last. Labels are red * 64 + green * 8 + blue.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..registry import MODELS
from .masking import MaskingObjective

BINS = 8  # three bits for each channel


@MODELS.register_module()
class PatchColours(MaskingObjective):
    """
    Args:
        ratio: share of patches that are asked for.
        mask_share, random_share: of those, the share that becomes the mask embedding, and another patch; the rest
            stays.
        cells: the mean is of each of ``cells x cells`` parts of a patch: 1 (the paper's) or 4 (its second variant).
    """

    def __init__(
        self,
        embed_dims: int,
        channels: int,
        patch_stride: int,
        stride: int,
        ratio: float = 0.5,
        mask_share: float = 0.8,
        random_share: float = 0.1,
        cells: int = 1,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if stride != patch_stride:
            raise ValueError(
                f'a map of stride {stride} has no place for each patch of {patch_stride} pixels; take a ViT, or SimMIM'
            )
        self.ratio, self.mask_share, self.random_share = ratio, mask_share, random_share
        self.stride, self.cells = stride, cells
        self.mask_embedding = nn.Parameter(torch.zeros(embed_dims))
        nn.init.trunc_normal_(self.mask_embedding, std=0.02)
        self.predict = nn.Conv2d(channels, cells * cells * BINS**3, 1)

    def check(self, size):
        unit = self.stride
        if any(side % unit for side in size):
            right = 'x'.join(str(-(-side // unit) * unit) for side in size)
            raise ValueError(f'image {"x".join(map(str, size))} is no multiple of {unit}; crop or pad it to {right}')

    def corrupt(self, patches):
        batch, height, width, channels = patches.shape
        count = height * width
        asked = torch.rand(batch, count, device=patches.device).argsort(1) < int(self.ratio * count)

        lot = torch.rand(batch, count, device=patches.device)
        masked, swapped = lot < self.mask_share, (lot >= self.mask_share) & (lot < self.mask_share + self.random_share)
        flat = patches.reshape(-1, channels)
        own = torch.arange(len(flat), device=patches.device)
        other = torch.randint(max(len(flat) - 1, 1), (len(flat),), device=patches.device)
        others = flat[torch.where(other >= own, other + 1, other).clamp(max=len(flat) - 1)].view(batch, count, channels)

        tokens = patches.flatten(1, 2)
        tokens = torch.where((asked & masked)[..., None], self.mask_embedding.to(tokens.dtype), tokens)
        tokens = torch.where((asked & swapped)[..., None], others, tokens)
        return tokens.view_as(patches), asked.view(batch, height, width)

    def labels(self, pixels: Tensor) -> Tensor:
        """B 3 H W in [0, 1] -> B h w cells*cells, the bin of the mean colour."""
        side = self.stride // self.cells
        means = F.avg_pool2d(pixels.float(), side)
        bins = (BINS * (means + 1e-6)).floor().clamp(0, BINS - 1).long()  # past what normalising rounded
        labels = (bins[:, 0] * BINS + bins[:, 1]) * BINS + bins[:, 2]
        return F.pixel_unshuffle(labels[:, None].float(), self.cells).long().permute(0, 2, 3, 1)

    def logits(self, features: Tensor) -> Tensor:
        """B C h w -> B h w cells*cells bins."""
        return self.predict(features).permute(0, 2, 3, 1).unflatten(-1, (self.cells**2, BINS**3))

    def loss(self, features, pixels, asked):
        logits, labels = self.logits(features)[asked], self.labels(pixels)[asked]
        return dict(loss=F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten()))

    def paint(self, features, pixels, asked):
        best = self.logits(features).argmax(-1)
        colours = torch.stack([best // BINS**2, best // BINS % BINS, best % BINS], 1)  # B 3 h w cells*cells
        colours = (colours.permute(0, 1, 4, 2, 3).float() + 0.5) / BINS
        colours = F.pixel_shuffle(colours.flatten(1, 2), self.cells)
        colours = F.interpolate(colours, size=pixels.shape[2:])
        where = F.interpolate(asked[:, None].float(), size=pixels.shape[2:]) > 0
        return torch.where(where, colours, pixels)
