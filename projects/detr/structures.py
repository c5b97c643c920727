"""The values that the parts of a set-prediction detector exchange; see README.md for who makes and who reads each.

Axes: B images, N queries, L decoder layers, S tokens of all levels, C channels, M objects of all images.
Boxes are (cx, cy, w, h), divided by the size of the image without its padding.
Masks of who is looked at or counts (``keep``, ``valid``, ``filled``) have one polarity: True is in, as in
``scaled_dot_product_attention``; None: all are in. Only positional encodings get mmdet's, True on padding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh
from torch import Tensor


@dataclass(frozen=True)
class ImageSizes:
    """How large the images of a batch are, (height, width) in pixels.

    Args:
        padded: of the batch, that is of all images with their padding, which stands to the right and below.
        valid: of each image without it; None: no image is padded.
        batch: how many images, where ``valid`` is None (a symbol while a model of any batch is exported).
    """

    padded: tuple[int, int]
    valid: tuple[tuple[int, int], ...] | None
    batch: int = 0

    @classmethod
    def of(cls, batch_inputs: Tensor, samples: list | None) -> ImageSizes:
        """Of images B C H W; without samples none is padded."""
        padded = tuple(batch_inputs.shape[-2:])
        if not samples:
            return cls(padded, None, batch_inputs.shape[0])
        return cls(padded, tuple(tuple(sample.img_shape[:2]) for sample in samples))

    @property
    def shares(self) -> list[tuple[float, float]]:
        """The (x, y) share of the padded batch that each image fills."""
        if self.valid is None:
            return [(1.0, 1.0)] * self.batch
        return [(width / self.padded[1], height / self.padded[0]) for height, width in self.valid]

    def keeps(self, feats: tuple[Tensor, ...]) -> list[Tensor] | None:
        """B H W bool of each feature map B C H W, False on padding (nearest pixel decides); None when no image is
        padded."""
        if self.valid is None or set(self.valid) <= {self.padded}:
            return None
        keep = torch.zeros(len(self.valid), 1, *self.padded, device=feats[0].device)
        for one, (height, width) in zip(keep, self.valid):
            one[:, :height, :width] = 1
        return [F.interpolate(keep, size=feat.shape[-2:]).squeeze(1).bool() for feat in feats]


@dataclass
class Memory:
    """What the encoder hands to queries and decoder.

    Args:
        tokens: B S C.
        pos: B S C, positional map (with the level embedding, where there is one).
        keep: B S bool, True on tokens of the image, False on padding; None when no image of the batch is padded.
        shapes: (height, width) of each level.
        valid_ratios: B levels 2, the (x, y) share of each level that is not padding.
        pixels: B C H W, finer features of which masks are made; None where there are none.
        images: how large the images are; None where nobody says.
        skips: B C H W of each level of the neck, finest first, for decoders of masks; None where nobody asks.
    """

    tokens: Tensor
    pos: Tensor
    keep: Tensor | None
    shapes: tuple[tuple[int, int], ...]
    valid_ratios: Tensor
    pixels: Tensor | None = None
    images: ImageSizes | None = None
    skips: list[Tensor] | None = None

    @classmethod
    def from_levels(cls, feats: list[Tensor], pos: list[Tensor], keeps: list[Tensor] | None) -> Memory:
        """Flatten feature maps (B C H W), their positional maps and what to keep of them (B H W), finest level
        first."""
        # Joined by token, so that tokens lie in memory as B S C: a transposed map would slow all that comes after.
        flat = [torch.cat([level.flatten(2).transpose(1, 2) for level in maps], dim=1) for maps in (feats, pos)]
        shapes = tuple((feat.shape[-2], feat.shape[-1]) for feat in feats)
        if keeps is None:
            ratios = feats[0].new_ones((feats[0].shape[0], len(feats), 2), dtype=torch.float32)
            return cls(*flat, None, shapes, ratios)
        # Measured on the first row and column of each mask, as the official code does.
        ratios = [torch.stack([keep[:, 0].float().mean(1), keep[:, :, 0].float().mean(1)], dim=-1) for keep in keeps]
        return cls(*flat, torch.cat([keep.flatten(1) for keep in keeps], dim=1), shapes, torch.stack(ratios, dim=1))

    def maps(self) -> list[Tensor]:
        """The tokens as feature maps B C H W, one for each level."""
        levels = self.tokens.transpose(1, 2).split([h * w for h, w in self.shapes], dim=2)
        return [level.unflatten(2, shape) for level, shape in zip(levels, self.shapes)]

    @property
    def shares(self) -> list[tuple[float, float]]:
        """See :class:`ImageSizes`."""
        if self.images is None:
            raise ValueError(
                'this memory does not say how large its images are; set `images`, as QueryDetector.encode does'
            )
        return self.images.shares

    @cached_property
    def sizes(self) -> Tensor:
        """levels 2: (width, height) of each level, on the device of the tokens."""
        sizes = torch.tensor([(w, h) for h, w in self.shapes], dtype=torch.float32)
        return sizes.to(self.tokens.device, non_blocking=True)

    @cached_property
    def extents(self) -> Tensor:
        """B levels 2: (width, height) of each image without its padding, in cells of each level and fractions of one;
        in whole cells where nobody said how large the images are."""
        if self.images is None:
            return self.valid_ratios * self.sizes
        strides = [stride(self.images.padded, shape) for shape in self.shapes]
        valid = self.images.valid or [self.images.padded]
        extents = torch.tensor([[(w / step, h / step) for step in strides] for h, w in valid])
        return extents.to(self.tokens.device, non_blocking=True).expand(self.tokens.shape[0], -1, -1)

    @cached_property
    def centres(self) -> Tensor:
        """B S 2: the centre (x, y) of every token, divided by the valid size of its level."""
        levels = []
        for level, (h, w) in enumerate(self.shapes):
            ys, xs = torch.meshgrid(
                torch.arange(h, device=self.tokens.device, dtype=torch.float32) + 0.5,
                torch.arange(w, device=self.tokens.device, dtype=torch.float32) + 0.5,
                indexing='ij',
            )
            valid = self.valid_ratios[:, level] * self.sizes[level]
            levels.append(torch.stack([xs, ys], dim=-1).flatten(0, 1)[None] / valid[:, None])
        return torch.cat(levels, dim=1)


def stride(pixels: tuple[int, int], cells: tuple[int, int]) -> float:
    """Pixels that a cell stands for, from the (height, width) of the input and of a feature map of it.

    The last cells of a row may hang over the edge of the input: 100 pixels are 4 cells of 32. So it is the power of two
    that gives so many cells, rounded up; where there is none (patches of 14 pixels), the input over the cells.
    """
    ratio = max(size / count for size, count in zip(pixels, cells))
    step = 2 ** math.ceil(math.log2(ratio))
    return step if all(math.ceil(size / step) == count for size, count in zip(pixels, cells)) else ratio


@dataclass
class Targets:
    """The objects of a batch, all images one after the other.

    Args:
        labels: M.
        boxes: M 4.
        counts: objects of each image; on the host, so that nobody has to ask the device.
        names: what to call each image in an error, its file where that is known.
        samples: the mmdet data samples they come from, for parts that are mmdet's own.
    """

    labels: Tensor
    boxes: Tensor
    counts: list[int]
    names: list[str]
    samples: list | None = None

    @classmethod
    def from_samples(cls, samples: list) -> Targets:
        """From mmdet data samples, whose boxes are xyxy pixels of the resized, un-padded image."""
        found = [sample.gt_instances for sample in samples]
        counts = [len(each.labels) for each in found]
        sizes = torch.tensor([sample.img_shape[1::-1] * 2 for sample in samples])
        sizes = sizes.repeat_interleave(torch.tensor(counts), dim=0, output_size=sum(counts))
        boxes = bbox_xyxy_to_cxcywh(torch.cat([each.bboxes for each in found]))
        boxes = (boxes / sizes.to(boxes.device, non_blocking=True)).float()
        names = [sample.get('img_path', f'image {i} of the batch') for i, sample in enumerate(samples)]
        return cls(torch.cat([each.labels for each in found]), boxes, counts, names, samples)

    def class_agnostic(self) -> Targets:
        """The same boxes, all of class 0: what a two-stage encoder is trained on."""
        return replace(self, labels=torch.zeros_like(self.labels))

    @cached_property
    def masks(self) -> list[Tensor]:
        """G H W uint8 of each image, of the size of the image without its padding."""
        for sample, name in zip(self.samples, self.names):
            if 'masks' not in sample.gt_instances:
                raise ValueError(f'{name} comes without masks; load them by LoadAnnotations(with_mask=True)')
        masks = [sample.gt_instances.masks.to_tensor(torch.uint8, self.labels.device) for sample in self.samples]
        return [each[:, : sample.img_shape[0], : sample.img_shape[1]] for each, sample in zip(masks, self.samples)]

    @cached_property
    def image(self) -> Tensor:
        """M: the image of each object."""
        images = torch.repeat_interleave(
            torch.arange(len(self.counts)), torch.tensor(self.counts), output_size=sum(self.counts)
        )
        return images.to(self.labels.device, non_blocking=True)

    @cached_property
    def slot(self) -> Tensor:
        """M: the number of each object within its image."""
        slots = [torch.arange(count) for count in self.counts]
        return torch.cat(slots).to(self.labels.device, non_blocking=True)

    @cached_property
    def padded(self) -> tuple[Tensor, Tensor]:
        """(labels B G, boxes B G 4), filled up to the largest count G with class 0 and a box of the whole image."""
        size = (len(self.counts), max(self.counts))
        labels = self.labels.new_zeros(size)
        boxes = self.boxes.new_ones(*size, 4)
        boxes[..., :2] = 0.5
        labels[self.image, self.slot] = self.labels
        boxes[self.image, self.slot] = self.boxes
        return labels, boxes


@dataclass
class Matches:
    """Which prediction answers for which object: P index quadruples.

    Args:
        layer, image, query: P, where the prediction stands in an L B N tensor.
        target: P, the object's place in :class:`Targets`.
        on_host: 4 P, all of it on the host; where nobody has it there, the device is asked once.
    """

    layer: Tensor
    image: Tensor
    query: Tensor
    target: Tensor
    on_host: Tensor | None = None

    @property
    def where(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.layer, self.image, self.query

    def of_layer(self, layer: int) -> Matches:
        found = self._host()[:, self._host()[0] == layer]
        return Matches(*found.to(self.layer.device, non_blocking=True), on_host=found)

    def by_image(self, num_images: int) -> list[Matches]:
        """Those of each image, in the order in which they stand."""
        parts = [self._host()[:, self._host()[1] == image] for image in range(num_images)]
        found = torch.cat(parts, dim=1).to(self.layer.device, non_blocking=True)
        return [Matches(*own) for own in found.split([part.shape[1] for part in parts], dim=1)]

    def _host(self) -> Tensor:
        if self.on_host is None:
            self.on_host = torch.stack([*self.where, self.target]).cpu()
        return self.on_host


@dataclass
class Training:
    """How the predictions of some queries are trained.

    Args:
        name: 'match', 'dn' ...; prefix of the losses (none for 'match'); 'enc' for encoder proposals.
        known: (image, query, target) index tensors of the pairs known in advance; None when they must be matched.
        valid: B N bool, which queries the class loss looks at; None means all.
        repeat: how often one object may be matched.
        blocks: number of equal, mutually invisible parts.
        divisor: what the losses are divided by; None: the number of boxes, mean over the processes, times ``copies``.
        weight: factor of the losses.
    """

    name: str
    _: KW_ONLY
    known: tuple[Tensor, Tensor, Tensor] | None = None
    valid: Tensor | None = None
    repeat: int = 1
    blocks: int = 1
    divisor: float | Tensor | None = None
    weight: float = 1.0

    @property
    def copies(self) -> int:
        """How often each object appears among the positives; the box count of the losses is multiplied by it."""
        return self.repeat if self.known is None else self.blocks


@dataclass
class QueryGroup(Training):
    """Queries that run through the decoder together; the matching ones, or extra ones that only train beside them.

    Args:
        content: B N C.
        reference: B N 4, or B N 2 for points; None where boxes are predicted without one (DETR).
        pos: B N C, learned query position; None when the decoder derives it from the reference.
        see: names of the other groups that this one may attend to.
        filled: B N bool, slots that hold a query; nobody looks at the others. None: all do.
        more: of the matching queries that are the best of many: a function from a number to content (None where theirs
            is learned), references and positions of so many next-best ones.
        losses: what the part that made the group trains beside it.
    """

    content: Tensor
    reference: Tensor | None = None
    pos: Tensor | None = None
    _: KW_ONLY
    see: tuple[str, ...] = ()
    filled: Tensor | None = None
    more: Callable[[int], tuple[Tensor | None, ...]] | None = None
    losses: dict[str, Tensor] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return self.content.shape[1]


@dataclass
class Run:
    """Neighbouring query groups that attend to each other and to no other group, see :func:`isolated`.

    Args:
        size: queries.
        keep: N N bool (B 1 N N where some slots are not filled), whom a query, in a row, may look at; None: all.
    """

    size: int
    keep: Tensor | None = None


@dataclass
class PredictionSet:
    """Predictions that are trained against one list of objects: those of a query group, or encoder proposals.

    Args:
        group: how they are trained.
        found: what the head predicts of its queries, by word; logits L B N K and boxes L B N 4 among them.
        targets: the objects, with the labels that this set is to predict.
    """

    group: Training
    found: dict[str, Any]
    targets: Targets

    def __getitem__(self, word: str) -> Any:
        return self.found[word]

    @property
    def logits(self) -> Tensor:
        return self.found['logits']

    @property
    def boxes(self) -> Tensor:
        return self.found['boxes']
