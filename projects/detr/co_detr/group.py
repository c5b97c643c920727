"""Collaborative hybrid assignments (Co-DETR, https://arxiv.org/abs/2211.12860): heads that match each object many times
train the encoder, and the places that they matched train the decoder, as further queries.

Differences from the official code: what it decodes in a pass of its own for each head runs beside the matching queries,
unseen by them; a head has an embedding of C channels where that keeps one number; only places that the head's own
assigner took for background fill up an image with few positives, and where there are none slots stay empty.
"""

from dataclasses import dataclass
from math import gcd, log2

import torch
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh
from mmdet.utils import reduce_mean
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ...registry import MODELS, build_part
from ..boxes import sine_xywh
from ..roles import GroupSource
from ..structures import Memory, QueryGroup, Targets
from .collaborators import BACKGROUND, Places

EPS = 1e-5  # of the coordinates that are embedded


@dataclass
class Chosen:
    """The places of one image that become queries, those on objects first.

    Args:
        boxes: M 4, normalised cxcywh.
        features: M C.
        target: P, numbers of the objects in their image.
    """

    boxes: Tensor
    features: Tensor
    target: Tensor


class PlaceEmbedding(nn.Module):
    """Content, and positions where the decoder does not derive them, from boxes and features of places."""

    def __init__(self, embed_dims: int, embed_boxes: bool, embed_features: bool):
        super().__init__()
        self.embed_dims = embed_dims
        outputs = 2 * embed_dims if embed_boxes else embed_dims
        self.box = nn.Linear(2 * embed_dims, outputs)
        self.box_norm = nn.LayerNorm(outputs)
        self.feature = nn.Linear(embed_dims, embed_dims) if embed_features else None
        self.feature_norm = nn.LayerNorm(embed_dims) if embed_features else None
        self.head = nn.Parameter(torch.empty(1, embed_dims)) if embed_boxes else None
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, boxes: Tensor, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """boxes B N 4, features B N C -> content B N C, positions B N C or None."""
        pos, content = None, self.box_norm(self.box(sine_xywh(boxes.clamp(EPS, 1 - EPS), self.embed_dims)))
        if self.head is not None:
            pos, content = content.chunk(2, dim=-1)
            pos = pos + self.head
        if self.feature is not None:
            content = content + self.feature_norm(self.feature(features))
        return content, pos


@MODELS.register_module()
class Collaborative(GroupSource, BaseModule):
    """Trains heads of mmdet on the encoder's output and makes a query group of each one's positives.

    Args:
        heads: configs of the collaborators, see collaborators.py.
        finest_stride: of the encoder's finest map, in pixels; each map's is twice that of the one before.
        weight: factor of the heads' losses, the paper's lambda_2 times the number of decoder layers.
        query_weight: factor of the losses of the groups, the paper's lambda_1.
        num, least: limits of the number of queries that one head gives; it is that of the image with most positives.
        fill: slots beyond an image's positives hold some of its negatives; else they are empty.
        embed_boxes: query positions come from the boxes of the places too (Co-Deformable-DETR); else the decoder
            derives them from its references (Co-DINO).
        embed_features: the features of the places are part of the content (Co-Deformable-DETR).
    """

    coordinates = 4

    def __init__(
        self,
        heads: list[dict],
        num_classes: int = 80,
        embed_dims: int = 256,
        num_levels: int = 4,
        finest_stride: int = 8,
        weight: float = 12.0,
        query_weight: float = 1.0,
        num: int = 300,
        least: int = 9,
        fill: bool = True,
        embed_boxes: bool = False,
        embed_features: bool = False,
    ):
        super().__init__()
        self.brings_positions = embed_boxes
        self.weight, self.query_weight = weight, query_weight
        self.num, self.least, self.fill = num, least, fill
        self.strides = [finest_stride * 2**level for level in range(num_levels + 1)]
        self.downsample = nn.Sequential(
            nn.Conv2d(embed_dims, embed_dims, 3, stride=2, padding=1),
            nn.GroupNorm(gcd(32, embed_dims // 2), embed_dims),
        )
        self.heads = ModuleList(
            build_part(head, embed_dims=embed_dims, num_classes=num_classes, strides=self.strides) for head in heads
        )
        self.embeddings = nn.ModuleList(PlaceEmbedding(embed_dims, embed_boxes, embed_features) for _ in heads)

    @property
    def names(self) -> list[str]:
        return [head.name for head in self.heads]

    def forward(self, match: QueryGroup, memory: Memory, targets: Targets) -> list[QueryGroup]:
        maps = memory.maps()
        self._check_stride(maps[0], targets)
        maps.append(self.downsample(maps[-1]))

        groups = []
        for head, embedding in zip(self.heads, self.embeddings):
            losses, places = head(maps, targets)
            group = self._group(head.name, self._choose(places, targets), embedding, targets)
            group.losses = {f'{head.name}_head.{name}': self._weighed(name, value) for name, value in losses.items()}
            groups.append(group)
        return groups

    def _check_stride(self, finest: Tensor, targets: Targets):
        width = targets.samples[0].batch_input_shape[1]
        stride = 2 ** round(log2(width / finest.shape[-1]))
        if stride != self.strides[0]:
            raise ValueError(
                f'images {width} pixels wide have a finest map of {finest.shape[-1]} columns: write '
                f'finest_stride={stride}, got {self.strides[0]}'
            )

    def _weighed(self, name: str, value: Tensor | list[Tensor]) -> Tensor:
        """A loss, of which some heads have one for each level; accuracies are left as they are."""
        value = sum(value) if isinstance(value, (list, tuple)) else value
        return self.weight * value if 'loss' in name else value

    def _choose(self, places: list[Places], targets: Targets) -> list[Chosen]:
        positives = [(each.target >= 0).nonzero().squeeze(1) for each in places]
        size = min(max(self.least, *map(len, positives)), self.num)

        chosen = []
        for each, positive, sample in zip(places, positives, targets.samples):
            positive = some(positive, size)
            index = positive
            if self.fill:
                negative = (each.target == BACKGROUND).nonzero().squeeze(1)
                index = torch.cat([positive, some(negative, size - len(positive))])
            height, width = sample.img_shape[:2]
            boxes = bbox_xyxy_to_cxcywh(each.boxes[index] / each.boxes.new_tensor([width, height, width, height]))
            chosen.append(Chosen(boxes.detach(), each.features_of(index), each.target[positive]))
        return chosen

    def _group(self, name: str, chosen: list[Chosen], embedding: PlaceEmbedding, targets: Targets) -> QueryGroup:
        boxes = nn.utils.rnn.pad_sequence([each.boxes for each in chosen], batch_first=True, padding_value=0.5).float()
        features = nn.utils.rnn.pad_sequence([each.features for each in chosen], batch_first=True)
        content, pos = embedding(boxes, features)
        known = self._known(chosen, targets)
        filled = self._filled(chosen, boxes)
        divisor = reduce_mean(boxes.new_full((), len(known[0]))).clamp(min=1)
        return QueryGroup(
            name,
            content,
            boxes,
            pos,
            known=known,
            valid=filled,
            divisor=divisor,
            weight=self.query_weight,
            filled=filled,
        )

    def _known(self, chosen: list[Chosen], targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
        pairs, first = [], 0
        for image, (each, count) in enumerate(zip(chosen, targets.counts)):
            query = torch.arange(len(each.target), device=each.target.device)
            pairs.append((torch.full_like(each.target, image), query, first + each.target))
            first += count
        return tuple(map(torch.cat, zip(*pairs)))

    def _filled(self, chosen: list[Chosen], boxes: Tensor) -> Tensor | None:
        counts = [len(each.boxes) for each in chosen]
        if min(counts) == boxes.shape[1]:
            return None
        counts = torch.tensor(counts).to(boxes.device, non_blocking=True)
        return torch.arange(boxes.shape[1], device=boxes.device) < counts[:, None]


def some(index: Tensor, num: int) -> Tensor:
    """All of them, or ``num`` at random."""
    return index if len(index) <= num else index[torch.randperm(len(index), device=index.device)[:num]]
