"""What Mask DINO reads from queries (https://arxiv.org/abs/2206.02777): masks, beside classes and boxes."""

from dataclasses import replace
from typing import Any

import torch
from mmdet.models.layers import MLP
from torch import Tensor, nn

from ...registry import MODELS
from ..branches import States
from ..decoder import QueryDecoder
from ..head import SetPredictionHead
from ..roles import Branch
from ..structures import Memory, QueryGroup, Run
from .masks import Masks, product


@MODELS.register_module()
class InitialPredictionDecoder(QueryDecoder):
    """A decoder that also hands out what enters its first layer, so that the head is trained on it too."""

    def forward(self, groups: list[QueryGroup], memory: Memory, runs: list[Run], head: nn.Module):
        hidden, references = super().forward(groups, memory, runs, head)
        content = torch.cat([group.content for group in groups], dim=1)
        return [self.norm(content), *hidden], [references[0], *references]


@MODELS.register_module()
class NormedHead(SetPredictionHead):
    """:class:`SetPredictionHead` with one LayerNorm before its branches.

    Args:
        as_published: all but the boxes of the decoder's layers are read through the LayerNorm applied twice, as in the
            authors' code; the detector knows it.
        others: as those of :class:`SetPredictionHead`.
    """

    def __init__(self, as_published: bool = False, embed_dims: int = 256, **kwargs):
        super().__init__(embed_dims=embed_dims, as_published=as_published, **kwargs)
        self.as_published = as_published
        self.norm = nn.LayerNorm(embed_dims)

    def states(self, hidden: list[Tensor], first: int) -> States:
        once = [self.norm(state) for state in hidden]
        twice = [self.norm(state) if self.as_published and first + i >= 0 else state for i, state in enumerate(once)]
        return States(twice, first, of_boxes=once)


@MODELS.register_module()
class MaskBranch(Branch, MLP):
    """The kernels of masks, three linear layers; see masks.py.

    Args:
        num_points: in how many points masks are compared, in matching and in the losses.
    """

    name = 'mask_branch'
    predicts, needs = ('masks', 'kernels'), ('pixels',)

    def __init__(self, embed_dims: int = 256, num_points: int = 12544):
        super().__init__(embed_dims, embed_dims, embed_dims, num_layers=3)
        self.num_points = num_points

    def forward(self, states: States, references: list[Tensor | None], memory: Memory) -> dict[str, Masks]:
        kernels = torch.stack([super(MaskBranch, self).forward(state) for state in states.hidden])
        return dict(masks=Masks(kernels, memory.pixels, memory.images, self.num_points))

    def mask_logits(self, predictions: dict[str, Any], layer: int) -> Tensor:
        """B N h w over the padded images, for pictures; layers are counted from the last, which is -1."""
        masks = predictions['masks']
        return torch.stack([product(*image) for image in zip(masks.kernels[layer], masks.pixels)])


@MODELS.register_module()
class EllipseMaskBranch(MaskBranch):
    """A mask starts as the ellipse in its query's box, and the product says what differs. Not in the paper: where it
    is, a mask can only learn from the pixels' features, which takes a net from random weights long. CondInst
    (https://arxiv.org/abs/2003.05664) adds coordinates relative to the object, to the same end.

    An ellipse is a product, too: of squares of coordinates with factors made of the box. Nothing else changes.

    Args:
        sharpness: logit in the centre of the ellipse; it is 0 on its edge and falls with the square of the distance.
        others: as those of :class:`MaskBranch`.
    """

    reads = ('boxes',)

    def __init__(self, embed_dims: int = 256, num_points: int = 12544, sharpness: float = 2.0):
        super().__init__(embed_dims, num_points)
        self.sharpness = sharpness

    def forward(
        self, states: States, references: list[Tensor | None], memory: Memory, boxes: Tensor
    ) -> dict[str, Masks]:
        plain = super().forward(states, references, memory)['masks']
        kernels = torch.cat([plain.kernels, self.sharpness * ellipse_kernels(boxes.detach())], dim=-1)
        pixels = torch.cat([plain.pixels, squared_coordinates(plain.pixels, memory)], dim=1)
        return dict(masks=replace(plain, kernels=kernels, pixels=pixels))


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
