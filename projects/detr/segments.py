"""From the last layer's classes and masks to objects, a panoptic map, a semantic map (Mask2Former, Mask DINO).

The head calls the parts with logits N K and ``make(queries)``, which gives the logits M H W of some queries' masks in
the size of the answer.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmdet.evaluation.functional import INSTANCE_OFFSET
from mmengine.structures import PixelData
from torch import Tensor

from ..registry import TASK_UTILS
from .roles import MapOfMasks, Selection


@TASK_UTILS.register_module()
class TopKMasks(Selection):
    """The best pairs of query and class; a score is the class's probability times the mean one of the mask's pixels.

    Args:
        num: pairs.
        things: labels below are objects; None: all are.
        no_object: the head's classes compete with a last one, "no object".
    """

    reads = ('masks',)

    def __init__(self, num: int = 100, things: int | None = None, no_object: bool = False):
        self.num, self.things, self.no_object = num, things, no_object

    def __call__(self, logits: Tensor, boxes: Tensor, make: Callable) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores, labels, queries and masks (bool)."""
        chances = logits.softmax(-1)[:, :-1] if self.no_object else logits.sigmoid()
        chances = chances[:, : self.things]
        scores, index = chances.flatten().topk(min(self.num, chances.numel()))
        labels = index % chances.shape[1]
        query, place = shared(index // chances.shape[1])
        masks = make(query)
        found = masks > 0
        quality = (masks.sigmoid() * found).sum((1, 2)) / (found.sum((1, 2)) + 1e-6)
        return scores * quality[place], labels, query[place], found[place]


def shared(query: Tensor) -> tuple[Tensor, Tensor]:
    """Queries without doubles, for one may report several classes, and the place of each among them; with doubles in a
    graph that is exported, where no number may depend on what is found."""
    if torch.compiler.is_exporting():
        return query, torch.arange(len(query), device=query.device)
    return query.unique(return_inverse=True)


def sharpened(logits: Tensor, temperature: float) -> Tensor:
    """Sigmoid scores compete: softmax over them at a low temperature. N K."""
    return (logits.sigmoid() / temperature).softmax(-1)


@TASK_UTILS.register_module()
class SemanticMap(MapOfMasks):
    """Every pixel's class, by the sum over the queries of class times mask probability.

    Args:
        temperature: see :func:`sharpened`; None: the classes compete already, with a last one, "no object".
    """

    field = 'pred_sem_seg'

    def __init__(self, temperature: float | None = 0.06):
        self.temperature = temperature

    def __call__(self, logits: Tensor, make: Callable) -> PixelData:
        chances = logits.softmax(-1)[:, :-1] if self.temperature is None else sharpened(logits, self.temperature)
        votes = torch.einsum('nk,nhw->khw', chances, make().sigmoid())
        return PixelData(sem_seg=votes.argmax(0, keepdim=True))


@TASK_UTILS.register_module()
class PanopticMap(MapOfMasks):
    """Every pixel goes to the query with the largest product of class and mask probability, if enough of its mask is
    left to it.

    Args:
        things: labels below are objects, the others stuff, whose segments of one image are one.
        num_classes: pixels that nobody gets have this label, as in mmdet.
        min_score: queries below take no part.
        min_share: of the pixels of a mask that it has to get.
        temperature: see :func:`sharpened`.
    """

    field = 'pred_panoptic_seg'

    def __init__(
        self,
        things: int = 80,
        num_classes: int = 133,
        min_score: float = 0.25,
        min_share: float = 0.8,
        temperature: float = 0.06,
    ):
        self.things, self.num_classes = things, num_classes
        self.min_score, self.min_share, self.temperature = min_score, min_share, temperature

    def __call__(self, logits: Tensor, make: Callable) -> PixelData:
        """The map holds ``label + INSTANCE_OFFSET * number of the object``, 1 H W, which is what mmdet evaluates."""
        kept = (logits.sigmoid().max(-1).values > self.min_score).nonzero().squeeze(1)
        scores, labels = sharpened(logits[kept], self.temperature).max(-1)
        masks = make(kept).sigmoid()
        if not len(kept):
            return PixelData(sem_seg=torch.full((1, *masks.shape[1:]), self.num_classes, device=logits.device))

        owner, inside = (scores[:, None, None] * masks).argmax(0, keepdim=True), masks >= 0.5
        enough = torch.bincount(owner.flatten(), minlength=len(kept)) >= self.min_share * inside.sum((1, 2))
        numbers = torch.arange(1, len(kept) + 1, device=labels.device) * (labels < self.things)
        values = torch.where(enough, labels + INSTANCE_OFFSET * numbers, self.num_classes)
        return PixelData(sem_seg=torch.where(inside.gather(0, owner), values[owner], self.num_classes))


def resize(maps: Tensor, share: tuple[float, float], size: tuple[int, int]) -> Tensor:
    """The (x, y) share of maps N H W that is not padding, bilinearly at another size: N h w."""
    (x, y), (height, width) = share, size
    crop = torch.tensor([[x, 0, x - 1], [0, y, y - 1]], dtype=maps.dtype).to(maps.device, non_blocking=True)
    grid = F.affine_grid(crop[None], [1, 1, height, width], align_corners=False)
    return F.grid_sample(maps[None], grid, padding_mode='border', align_corners=False)[0]
