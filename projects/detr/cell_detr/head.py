"""Cell-DETR's head and its loss terms (https://arxiv.org/abs/2011.09763).

The official code takes the loss of each image on its own and averages over the images; here the class, box and focal
terms average over all queries, boxes and pixels of the batch.
"""

import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor, nn

from ...registry import MODELS, build_part
from ..boxes import move
from ..detr_masks.attention_head import AttentionMaskHead
from ..detr_masks.attention_maps import AttentionMaps, last_layer
from ..structures import Memory
from ..terms import LossTerm, dice_distance, per_layer
from .mask_decoder import CellMaskDecoder


@MODELS.register_module()
class CellHead(AttentionMaskHead):
    """Classes, boxes and masks of the last decoder layer.

    Args:
        select: config of the rule that turns predictions into detections, see segments.py.
        mask_decoder: config of the part that makes masks of attention maps.
        num_heads: attention maps of a query.
        act_cfg: activation in the branches.
        as_published: see :class:`AttentionMaps` and :class:`CellMaskDecoder`.
        others: as those of :class:`SetPredictionHead`.
    """

    takes_groups = False

    def __init__(
        self,
        select: dict,
        mask_decoder: dict = dict(type=CellMaskDecoder),
        num_heads: int = 8,
        act_cfg: dict = dict(type=nn.LeakyReLU),
        as_published: bool = False,
        num_classes: int = 80,
        embed_dims: int = 128,
        num_queries: int = 12,
        logit_eps: float = 1e-5,
        **kwargs,
    ):
        super().__init__(
            select=select,
            num_classes=num_classes,
            embed_dims=embed_dims,
            num_layers=1,
            no_object=True,
            size_bias=None,
            logit_eps=logit_eps,
            **kwargs,
        )
        self.num_queries = num_queries
        wide, narrow = embed_dims // 2, embed_dims // 8
        self.class_branches = nn.ModuleList([branch((embed_dims, wide, num_classes + 1), act_cfg)])
        self.box_branches = nn.ModuleList([branch((embed_dims, wide, narrow, 4), act_cfg)])
        self.attention = AttentionMaps(embed_dims, num_heads, relative=not as_published, multiply=as_published)
        self.mask_decoder = build_part(
            mask_decoder, embed_dims=embed_dims, num_heads=num_heads, num_queries=num_queries, as_published=as_published
        )

    def forward(self, hidden: list[Tensor], references: list[Tensor | None], memory: Memory) -> dict:
        """Hidden states B N C and references of every layer -> logits 1 B N K, boxes 1 B N 4, masks."""
        state, reference = hidden[-1], references[-1]
        if state.shape[1] != self.num_queries:
            raise ValueError(
                f'CellHead was built for {self.num_queries} queries and got {state.shape[1]}; its masks '
                'compete with each other, so query groups that train beside the matching one do not go '
                'with it'
            )
        logits = self.class_branch(0)(state).float()
        boxes = move(self.box_branch(0)(state), reference, self.logit_eps)
        masks = self.mask_decoder(self.attention(state, memory), memory)
        return dict(logits=logits[None], boxes=boxes[None], masks=masks)


def branch(widths: tuple[int, ...], act_cfg: dict) -> nn.Sequential:
    """Linear layers with an activation between each two."""
    layers = []
    for before, after in zip(widths, widths[1:]):
        layers += [MODELS.build(dict(act_cfg)), nn.Linear(before, after)]
    return nn.Sequential(*layers[1:])


@MODELS.register_module()
class ClassWeightTerm(LossTerm):
    """Cross-entropy, each query weighed by its class; the mean over all queries.

    Args:
        class_weights: of each class, or one for all.
        no_object_weight: of "no object".
    """

    no_object = True
    name = 'loss_cls'

    def __init__(self, weight: float = 1.0, class_weights: list[float] | float = 1.5, no_object_weight: float = 0.5):
        super().__init__(weight)
        self.class_weights, self.no_object_weight = class_weights, no_object_weight

    def forward(self, predictions, matches, num_boxes):
        logits = predictions.logits
        labels = torch.full(logits.shape[:3], logits.shape[-1] - 1, device=logits.device)
        labels[matches.where] = predictions.targets.labels[matches.target]
        surprise = -logits.log_softmax(-1).gather(-1, labels[..., None]).squeeze(-1)
        return self.weight * (surprise * self._weights(logits)[labels]).mean((1, 2))

    def _weights(self, logits: Tensor) -> Tensor:
        classes = logits.shape[-1] - 1
        weights = self.class_weights if isinstance(self.class_weights, list) else [self.class_weights] * classes
        if len(weights) != classes:
            raise ValueError(f'class_weights={weights} are for {len(weights)} classes, the head has {classes}')
        weights = torch.tensor([*weights, self.no_object_weight], dtype=logits.dtype)
        return weights.to(logits.device, non_blocking=True)


@MODELS.register_module()
class CornerL1Term(LossTerm):
    """Mean distance of the four sides of matched boxes, in shares of the image."""

    name = 'loss_bbox'

    def forward(self, predictions, matches, num_boxes):
        found = bbox_cxcywh_to_xyxy(predictions.boxes[matches.where])
        distance = (found - bbox_cxcywh_to_xyxy(predictions.targets.boxes[matches.target])).abs().mean(-1)
        return self.weight * per_layer(distance, matches.layer, len(predictions.boxes)) / num_boxes


@MODELS.register_module()
class AreaDiceTerm(LossTerm):
    """One minus twice the overlap over the areas, of all matched masks of an image as one; mean over the images."""

    name = 'loss_dice'
    reads = ('maps',)

    def forward(self, predictions, matches, num_boxes):
        pairs = last_layer(predictions, matches)
        losses = [dice_distance((found * truth).sum(), found.sum() + truth.sum()) for found, truth in pairs]
        return self.weight * torch.stack(losses).mean()[None]
