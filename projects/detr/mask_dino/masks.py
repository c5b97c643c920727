"""Masks as products: a mask is the dot product of its query's kernel with every pixel's features (MaskFormer).

A product of sampled features is the sample of a product, so masks that are compared in a few points need not be made:
of the hundreds of queries in ten layers only those matched with an object ever become maps. Points are normalised by
the size of the image without its padding, as boxes are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh
from torch import Tensor

from ...ops.kernels.precision import without_autocast
from ..segments import resize
from ..structures import ImageSizes, Matches, Targets
from ..terms import dice_distance

OVERSAMPLE, IMPORTANT = 3, 0.75  # PointRend's: candidates for each point; share of the points that is most uncertain


@dataclass
class Masks:
    """The masks of L layers, B images and N queries. Indexing indexes the queries' kernels.

    Args:
        kernels: L B N C.
        pixels: B C H W, of the padded images.
        images: how large they are.
        num_points: in how many points masks are compared.
    """

    kernels: Tensor
    pixels: Tensor
    images: ImageSizes
    num_points: int = 12544
    _made: tuple = field(default=(None, None), init=False, repr=False)  # for these matches, these points

    def __getitem__(self, index) -> Masks:
        return replace(self, kernels=self.kernels[index])

    def over_image(self, image: int, size: tuple[int, int], queries: Tensor | slice = slice(None)) -> Tensor:
        """P h w: logits of some queries' masks, of the last layer, over an image of the given size."""
        maps = product(self.kernels[-1, image, queries], self.pixels[image]).float()
        return resize(maps, self.images.shares[image], size)

    def anywhere(self, targets: Targets, image: int) -> tuple[Tensor, Tensor]:
        """Points all over an image, the same for all of its masks: features C K, truth G K."""
        points = torch.rand(1, self.num_points, 2, device=self.pixels.device)
        features = sample(self.pixels[image, None].float(), points * self._share(image))
        return features[0], read(targets.masks[image], points)

    def where_it_matters(self, matches: Matches, targets: Targets) -> Points:
        """Points of matched masks, most of them where the prediction is in doubt; drawn once for the same matches."""
        if self._made[0] is not matches:
            parts = [self._of_image(*each, targets) for each in enumerate(matches.by_image(len(self.pixels)))]
            self._made = matches, Points.cat(parts)
        return self._made[1]

    def _of_image(self, image: int, matches: Matches, targets: Targets) -> Points:
        maps = product(self.kernels[matches.where], self.pixels[image]).float()[:, None]
        share = self._share(image)
        with torch.no_grad():
            points = self._doubtful(maps.detach(), share)
            truth = read(targets.masks[image], points, targets.slot[matches.target])
        return Points(sample(maps, points * share)[:, 0], truth, matches.layer)

    def _share(self, image: int) -> Tensor:
        """2, (x, y): from points of the image to points of the padded map."""
        return torch.tensor(self.images.shares[image]).to(self.pixels.device, non_blocking=True)

    def _doubtful(self, maps: Tensor, share: Tensor) -> Tensor:
        """P K 2: of many random points those where the mask's logit is nearest to zero, and some at random."""
        important = int(IMPORTANT * self.num_points)
        candidates = torch.rand(len(maps), OVERSAMPLE * self.num_points, 2, device=maps.device)
        doubt = -sample(maps, candidates * share)[:, 0].abs()
        chosen = doubt.topk(important, dim=1).indices[..., None].expand(-1, -1, 2)
        anywhere = torch.rand(len(maps), self.num_points - important, 2, device=maps.device)
        return torch.cat([candidates.gather(1, chosen), anywhere], dim=1)


@dataclass
class Points:
    """P masks in K points: logits P K, truth P K, and the decoder layer P of each mask."""

    logits: Tensor
    truth: Tensor
    layer: Tensor

    @classmethod
    def cat(cls, parts: list[Points]) -> Points:
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in ('logits', 'truth', 'layer')))

    @cached_property
    def cross_entropy(self) -> Tensor:
        """P: the mean over the points."""
        return F.binary_cross_entropy_with_logits(self.logits, self.truth, reduction='none').mean(1)

    @cached_property
    def dice(self) -> Tensor:
        """P: see :func:`dice_distance`."""
        found = self.logits.sigmoid()
        return dice_distance((found * self.truth).sum(1), found.sum(1) + self.truth.sum(1))


def product(kernels: Tensor, pixels: Tensor) -> Tensor:
    """N C and C H W -> N H W. Not rounded by an autocast where they are not yet: see :class:`EllipseMaskBranch`."""
    with without_autocast(pixels):
        return torch.einsum('nc,chw->nhw', kernels.to(pixels.dtype), pixels)


def sample(maps: Tensor, points: Tensor) -> Tensor:
    """Read maps B C H W bilinearly in points B K 2, (x, y) in [0, 1] of the map: B C K."""
    return F.grid_sample(maps, points[:, :, None] * 2 - 1, align_corners=False)[..., 0]


def read(bits: Tensor, points: Tensor, which: Tensor | None = None) -> Tensor:
    """The same for bitmaps G H W, without a copy of them in floats.

    Args:
        points: P K 2, or 1 K 2 for all bitmaps alike.
        which: P, the bitmap that each row of points reads; all in turn by default.

    Returns:
        P K, or G K; float32.
    """
    height, width = bits.shape[-2:]
    which = torch.arange(len(bits), device=bits.device) if which is None else which
    x, y = points[..., 0] * width - 0.5, points[..., 1] * height - 0.5
    left, top = x.floor(), y.floor()
    total = 0.0
    for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
        weight = (1 - (x - column).abs()) * (1 - (y - row).abs())
        weight = weight * (column >= 0) * (column < width) * (row >= 0) * (row < height)
        place = row.long().clamp(0, height - 1), column.long().clamp(0, width - 1)
        total = total + weight * bits[(which[:, None], *place)]
    return total


def boxes_around(masks: Tensor, extent: tuple[float, float], last_pixel: bool = True) -> tuple[Tensor, Tensor]:
    """The tightest boxes around bitmaps N H W that show an image and its padding.

    Args:
        extent: the (x, y) share of the maps that is not padding.
        last_pixel: boxes end behind the last pixel of a mask; else before it.

    Returns:
        N 4, normalised cxcywh, and N bool: the mask has a pixel within the image.
    """
    corners = []
    for axis, size, share in ((1, masks.shape[2], extent[0]), (2, masks.shape[1], extent[1])):  # columns, rows
        hit = masks.any(axis).int()
        end = size - hit.flip(1).argmax(1)
        corners += [edge / (share * size) for edge in (hit.argmax(1), end if last_pixel else end - 1)]
    left, right, top, bottom = corners
    boxes = bbox_xyxy_to_cxcywh(torch.stack([left, top, right, bottom], dim=1).clamp(max=1))
    return boxes, masks.any(2).any(1) & (left < 1) & (top < 1)
