"""Denoising: noised copies of the objects, to be restored; DN-DETR's (https://arxiv.org/abs/2203.01305) and DINO's
contrastive ones (https://arxiv.org/abs/2203.03605). Boxes are normalised (cx, cy, w, h)."""

import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh
from torch import Tensor, nn

from ..registry import MODELS
from .roles import GroupSource
from .structures import Memory, QueryGroup, Targets


@MODELS.register_module()
class Denoising(GroupSource):
    """Noised copies of the objects, to be restored: DN-DETR's, or contrastive ones as in DINO.

    Query (g, half, j) of an image is its object j in copy g. Contrastive copies have a second half, noised more, that
    is to be recognised as background. Slots beyond an image's objects are empty.

    Args:
        num: budget of denoised objects: there are ``num // most objects in an image`` copies, at least one.
        copies: no more copies than these, however few the objects (DN-DETR: 5).
        label_noise: probability that a label is drawn anew (DINO: 0.25, DN-DETR: 0.2).
        box_noise: contrastive: how far a corner moves, in halves of the box, for the first half (DINO: 1); the second
            half moves between one and two times as far. Plain: the same for centre and size (DN-DETR: 0.4).
        contrastive: see above.
        pad_as_background: the class loss counts empty slots as background, as DINO's and Mask DINO's codes do; else it
            leaves them out, as DN-DETR's does. None: with contrastive copies.
        indicator: the last channel of the content says that this is a denoising query, by 1 (DN-DETR); the matching
            queries have 0 there, see :class:`AnchorQueries`.
        spare_row: give the table of labels one row more than there are classes, as the papers' codes do. In DN-DETR it
            is the content of the matching queries, who own it here; elsewhere nothing uses it.
        local_norm: divide the losses by the copies of the objects of this process, as DN-DETR does; else by the mean
            over the processes.
        logit_eps: references stay this far within (0, 1).
        name: of the group; two groups of one detector need two.
    """

    coordinates, brings_positions = 4, False

    def __init__(
        self,
        num_classes: int = 80,
        embed_dims: int = 256,
        num: int = 100,
        copies: int | None = None,
        label_noise: float = 0.25,
        box_noise: float = 1.0,
        contrastive: bool = True,
        pad_as_background: bool | None = None,
        indicator: bool = False,
        spare_row: bool = True,
        local_norm: bool = False,
        logit_eps: float = 1e-3,
        name: str = 'dn',
    ):
        super().__init__()
        if num < 1 or (copies is not None and copies < 1):
            raise ValueError(f'num={num} and copies={copies} of Denoising; queries to be denoised are 1 at least')
        if not (0 <= label_noise <= 1 and box_noise >= 0):
            raise ValueError(f'label_noise={label_noise} of Denoising is a share, box_noise={box_noise} not negative')
        self.name = name
        self.num_classes, self.num, self.copies = num_classes, num, copies
        self.label_noise, self.box_noise = label_noise, box_noise
        self.contrastive, self.indicator, self.local_norm = contrastive, indicator, local_norm
        self.pad_as_background = contrastive if pad_as_background is None else pad_as_background
        self.logit_eps = logit_eps
        self.label_embed = nn.Embedding(num_classes + spare_row, embed_dims - indicator)

    def forward(self, match: QueryGroup, memory: Memory, targets: Targets) -> QueryGroup:
        most = max(targets.counts)
        halves = 2 if self.contrastive else 1
        copies = max(min(self.num // max(most, 1), self.copies or self.num), 1)
        size = copies * halves * most

        # G halves M: the place of every noised object
        grid = torch.arange(copies * halves, device=targets.labels.device).view(copies, halves, 1)
        query = grid * most + targets.slot
        image = targets.image.expand_as(query)
        negative = (grid % halves).expand_as(query)

        labels = jitter_labels(targets.labels.expand_as(query), self.num_classes, self.label_noise)
        boxes = self._noise(targets.boxes.expand(*query.shape, 4), negative)
        content = match.content.new_zeros(len(targets.counts), size, match.content.shape[-1])
        content = content.index_put((image, query), self._embed(labels).to(content.dtype))
        reference = targets.boxes.new_full((len(targets.counts), size, 4), 0.5)
        reference[image, query] = boxes.clamp(self.logit_eps, 1 - self.logit_eps)

        target = torch.arange(len(targets.labels), device=query.device).expand_as(query)
        known = tuple(index[:, 0].flatten() for index in (image, query, target))
        return QueryGroup(
            self.name,
            content,
            reference,
            known=known,
            valid=self._valid(content, image, query),
            blocks=copies,
            see=(match.name,),
            divisor=max(copies * len(targets.labels), 1) if self.local_norm else None,
        )

    def _embed(self, labels: Tensor) -> Tensor:
        embedding = self.label_embed(labels)
        return F.pad(embedding, (0, 1), value=1.0) if self.indicator else embedding

    def _noise(self, boxes: Tensor, negative: Tensor) -> Tensor:
        if self.contrastive:
            return jitter_corners(boxes, self.box_noise, negative[..., None])
        return jitter_centre_size(boxes, self.box_noise)

    def _valid(self, content: Tensor, image: Tensor, query: Tensor) -> Tensor | None:
        if self.pad_as_background:
            return None
        valid = torch.zeros(content.shape[:2], dtype=torch.bool, device=content.device)
        valid[image, query] = True
        return valid


def jitter_labels(labels: Tensor, num_classes: int, probability: float) -> Tensor:
    """Each label is drawn anew with the given probability; the new one may be the old."""
    drawn = torch.randint_like(labels, num_classes)
    return torch.where(torch.rand(labels.shape, device=labels.device) < probability, drawn, labels)


def jitter_centre_size(boxes: Tensor, scale: float) -> Tensor:
    """DN-DETR: the centre moves by up to ``scale`` half-sizes, the size changes by up to that share of itself."""
    noise = (torch.rand_like(boxes) * 2 - 1) * scale
    size = boxes[..., 2:]
    return (boxes + noise * torch.cat([size / 2, size], dim=-1)).clamp(0, 1)


def jitter_corners(boxes: Tensor, scale: float, negative: Tensor) -> Tensor:
    """DINO: each corner coordinate moves by up to ``scale`` half-sizes, or by one to two times that where negative."""
    half = boxes[..., 2:] / 2
    shift = torch.rand_like(boxes) + negative
    sign = torch.randint_like(boxes, 2) * 2 - 1
    corners = bbox_cxcywh_to_xyxy(boxes) + sign * shift * scale * torch.cat([half, half], dim=-1)
    return bbox_xyxy_to_cxcywh(corners.clamp(0, 1))
