"""Mask DINO's head: classes, boxes and masks of the same queries (https://arxiv.org/abs/2206.02777)."""

from dataclasses import replace

import torch
from mmdet.models.layers import MLP
from torch import Tensor, nn

from ...registry import MODELS, TASK_UTILS
from ..boxes import move
from ..decoder import QueryDecoder
from ..segments import SegmentationHead
from ..structures import Memory, QueryGroup
from .masks import Masks, product


@MODELS.register_module()
class InitialPredictionDecoder(QueryDecoder):
    """A decoder that also hands out what enters its first layer, so that the head is trained on it too."""

    gives_initial = True

    def forward(self, groups: list[QueryGroup], memory: Memory, runs: list, head: nn.Module):
        hidden, references = super().forward(groups, memory, runs, head)
        content = torch.cat([group.content for group in groups], dim=1)
        return [self.norm(content), *hidden], [references[0], *references]


@MODELS.register_module()
class MaskHead(SegmentationHead):
    """Adds to :class:`SetPredictionHead` a LayerNorm before the branches and a branch for the kernels of masks.

    Args:
        select: config of the rule that turns the last layer's predictions into detections, see segments.py.
        maps: configs of parts that make one map of all masks of an image: semantic, panoptic.
        num_points: in how many points masks are compared, in matching and in the losses.
        as_published: classes and masks of the decoder's layers are read through the LayerNorm applied twice, as in the
            authors' code; the detector knows it.
        others: as those of :class:`SetPredictionHead`.
    """

    needs = ('pixels',)
    predicts = ('masks', 'kernels')
    takes_initial = True

    def __init__(
        self,
        select: dict,
        maps: list[dict] = (),
        num_classes: int = 80,
        embed_dims: int = 256,
        num_layers: int = 9,
        logit_eps: float = 1e-5,
        num_points: int = 12544,
        as_published: bool = False,
        **kwargs,
    ):
        super().__init__(
            select=select,
            num_classes=num_classes,
            embed_dims=embed_dims,
            num_layers=num_layers,
            logit_eps=logit_eps,
            **kwargs,
        )
        self.num_points = num_points
        self.as_published = as_published
        self.norm = nn.LayerNorm(embed_dims)
        self.mask_branch = MLP(embed_dims, embed_dims, embed_dims, num_layers=3)
        self.maps = [TASK_UTILS.build(part) for part in maps]

    def forward(self, hidden: list[Tensor], references: list[Tensor], memory: Memory) -> dict:
        """Hidden states B N C and references of every layer -> logits L B N K, boxes L B N 4, masks.

        One state more than there are layers is what entered the first: its boxes are its references.
        """
        initial = len(hidden) - self.num_layers
        states = [self.norm(state) for state in hidden]
        boxes = [
            reference if layer < 0 else move(self.box_branch(layer)(state), reference, self.logit_eps)
            for layer, (state, reference) in enumerate(zip(states, references), start=-initial)
        ]
        if self.as_published:
            states[initial:] = [self.norm(state) for state in states[initial:]]
        logits = [self.class_branch(max(layer, 0))(state) for layer, state in enumerate(states, start=-initial)]
        boxes = torch.stack(boxes)
        return dict(logits=torch.stack(logits).float(), boxes=boxes, masks=self.masks(states, boxes, memory))

    def read(self, content: Tensor, boxes: Tensor, memory: Memory) -> dict:
        """What the head says of tokens B N C, proposed with boxes B N 4: logits B N K, masks of one layer."""
        state = self.norm(content)
        return dict(logits=self.class_branch(0)(state).float(), masks=self.masks([state], boxes[None], memory))

    def masks(self, states: list[Tensor], boxes: Tensor, memory: Memory) -> Masks:
        """Of the states B N C of every layer, and the boxes L B N 4 predicted with them."""
        return Masks(
            torch.stack([self.mask_branch(state) for state in states]), memory.pixels, memory.images, self.num_points
        )

    def mask_logits(self, predictions: dict, layer: int) -> Tensor:
        """B N h w over the padded images, for pictures; layers are counted from the last, which is -1."""
        masks = predictions['masks']
        return torch.stack([product(*image) for image in zip(masks.kernels[layer], masks.pixels)])


@MODELS.register_module()
class EllipseMaskHead(MaskHead):
    """A mask starts as the ellipse in its query's box, and the product says what differs. Not in the paper: where it
    is, a mask can only learn from the pixels' features, which takes a net from random weights long. CondInst
    (https://arxiv.org/abs/2003.05664) adds coordinates relative to the object, to the same end.

    An ellipse is a product, too: of squares of coordinates with factors made of the box. Nothing else changes.

    Args:
        sharpness: logit in the centre of the ellipse; it is 0 on its edge and falls with the square of the distance.
        others: as those of :class:`MaskHead`.
    """

    def __init__(
        self,
        select: dict,
        sharpness: float = 2.0,
        num_classes: int = 80,
        embed_dims: int = 256,
        num_layers: int = 9,
        logit_eps: float = 1e-5,
        **kwargs,
    ):
        super().__init__(
            select=select,
            num_classes=num_classes,
            embed_dims=embed_dims,
            num_layers=num_layers,
            logit_eps=logit_eps,
            **kwargs,
        )
        self.sharpness = sharpness

    def masks(self, states: list[Tensor], boxes: Tensor, memory: Memory) -> Masks:
        plain = super().masks(states, boxes, memory)
        ellipses = self.sharpness * ellipse_kernels(boxes.detach())
        squares = squared_coordinates(plain.pixels, memory)
        return replace(
            plain,
            kernels=torch.cat([plain.kernels, ellipses], dim=-1),
            pixels=torch.cat([plain.pixels, squares], dim=1),
        )


def ellipse_kernels(boxes: Tensor) -> Tensor:
    """... 4 -> ... 5: times (x², x, y², y, 1) they are 1 minus the squared distance, 1 on the edge of the ellipse."""
    centre, size = boxes[..., :2], boxes[..., 2:].clamp(min=1e-2)
    x, y = torch.stack([-4 / size**2, 8 * centre / size**2], dim=-1).unbind(-2)
    return torch.cat([x, y, 1 - (2 * centre / size).square().sum(-1, keepdim=True)], dim=-1)


def squared_coordinates(pixels: Tensor, memory: Memory) -> Tensor:
    """B 5 H W, float32: x², x, y², y, 1 of each pixel's centre; x and y are 1 where the image without padding ends."""
    axes = []
    for count, shares in zip(pixels.shape[:1:-1], zip(*memory.shares)):  # columns, rows
        share = torch.tensor(shares).to(pixels.device, non_blocking=True)
        axes.append((torch.arange(count, device=pixels.device) + 0.5) / count / share[:, None])
    x, y = axes[0][:, None], axes[1][:, :, None]
    return torch.stack(torch.broadcast_tensors(x**2, x, y**2, y, torch.ones_like(x)), dim=1)
