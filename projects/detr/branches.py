"""The branches of a head: classes and boxes, of every decoder layer."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.models.layers import MLP
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor, nn

from ..registry import MODELS
from .boxes import move
from .roles import Branch
from .structures import Memory

PRIOR = 0.01  # probability of an object that sigmoid class branches start with, as in RetinaNet


@dataclass
class States:
    """What the branches of a head read: states B N C of every decoder layer.

    Args:
        hidden: of the layers, in order.
        first: number of the first one; -1 where what enters the first layer stands before its output.
        of_boxes: the same as boxes are read from them; None: the same.
    """

    hidden: list[Tensor]
    first: int = 0
    of_boxes: list[Tensor] | None = None

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        """(number of the layer, state)."""
        return enumerate(self.hidden, start=self.first)


class LayerBranch(Branch, nn.ModuleList):
    """A branch with a net for each decoder layer, or one for all."""

    def of(self, layer: int) -> nn.Module:
        """The net of a layer; what enters the first is read as the output of the first."""
        return self[min(max(layer, 0), len(self) - 1)]


class Classes(LayerBranch):
    """Logits L B N K of every layer. Subclasses bring the nets, or :meth:`of` itself."""

    name = 'class_branches'
    predicts = ('logits',)

    def forward(self, states: States, references: list[Tensor | None], memory: Memory) -> dict[str, Tensor]:
        return dict(logits=torch.stack([self.of(layer)(state) for layer, state in states]).float())


class Boxes(LayerBranch):
    """Boxes L B N 4 of every layer, moved from its references. What enters the first layer has its references.

    Subclasses bring the nets.
    """

    name = 'box_branches'
    predicts = ('boxes',)
    logit_eps: float = 1e-5  #: clamp of the inverse sigmoid

    def forward(self, states: States, references: list[Tensor | None], memory: Memory) -> dict[str, Tensor]:
        layers = enumerate(states.of_boxes or states.hidden, start=states.first)
        boxes = [
            reference if layer < 0 else move(self.of(layer)(state), reference, self.logit_eps)
            for (layer, state), reference in zip(layers, references)
        ]
        return dict(boxes=torch.stack(boxes))

    def report(
        self, predictions: dict[str, Any], image: int, query: Tensor, sample: DetDataSample, rescale: bool
    ) -> dict[str, Tensor]:
        return dict(bboxes=in_pixels(predictions['boxes'][-1, image, query], sample, rescale))


@MODELS.register_module()
class ClassBranch(Classes):
    """A linear layer.

    Args:
        share_branches: one net for all decoder layers; else one for each.
        no_object: one more row, for "no object" (softmax heads).
    """

    def __init__(
        self,
        num_classes: int = 80,
        embed_dims: int = 256,
        num_layers: int = 6,
        share_branches: bool = True,
        no_object: bool = False,
    ):
        copies = 1 if share_branches else num_layers
        super().__init__(class_branch(embed_dims, num_classes, no_object) for _ in range(copies))


@MODELS.register_module()
class BoxBranch(Boxes):
    """Three linear layers.

    Args:
        share_branches: one net for all decoder layers; else one for each.
        size_bias: see :func:`box_branch`; of the first layer only, where each has its own.
        logit_eps: clamp of the inverse sigmoid.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_layers: int = 6,
        share_branches: bool = True,
        size_bias: float | None = 0.0,
        logit_eps: float = 1e-5,
    ):
        copies, later = 1 if share_branches else num_layers, None if size_bias is None else 0.0
        super().__init__(box_branch(embed_dims, later if layer else size_bias) for layer in range(copies))
        self.logit_eps = logit_eps


def class_branch(embed_dims: int, num_classes: int, no_object: bool = False) -> nn.Linear:
    """C -> logits; with ``no_object`` one more, last row for softmax over "nothing", and no prior."""
    branch = nn.Linear(embed_dims, num_classes + no_object)
    if not no_object:
        nn.init.constant_(branch.bias, -math.log((1 - PRIOR) / PRIOR))
    return branch


def box_branch(embed_dims: int, size_bias: float | None = 0.0) -> MLP:
    """C -> 4 deltas.

    Args:
        size_bias: start of the width and height logits: the last layer starts at zero but for it (0 where references
            are boxes, -2 where they are points). None: torch's own start, for absolute boxes.
    """
    branch = MLP(embed_dims, embed_dims, 4, num_layers=3)
    if size_bias is not None:
        last = branch.layers[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        nn.init.constant_(last.bias[2:], size_bias)
    return branch


def in_pixels(boxes: Tensor, sample: DetDataSample, rescale: bool) -> Tensor:
    """N 4, normalised cxcywh -> xyxy pixels: of the original image, or of the resized one."""
    height, width = sample.img_shape[:2]
    boxes = bbox_cxcywh_to_xyxy(boxes).clamp(0, 1) * boxes.new_tensor([width, height, width, height])
    return boxes / boxes.new_tensor(sample.scale_factor).repeat(2) if rescale else boxes
