"""Models as plain functions of tensors, for export: raw pixels in, named tensors out, no data samples."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor, nn


class CannotExport(ValueError):
    """A model that is no plain function of an image, or not of one of this size."""


def in_channels(model: nn.Module) -> int:
    """Of the images that a model takes: three, unless it or its backbone says otherwise."""
    parts = (model, getattr(model, 'backbone', None), getattr(model, 'encoder', None))
    return next((part.in_channels for part in parts if isinstance(getattr(part, 'in_channels', None), int)), 3)


class Graph(nn.Module):
    """A model with its normalisation.

    Args:
        post: whether the outputs are results (boxes in pixels, scores, classes), not logits.

    Attributes:
        inputs, outputs: names of what :meth:`forward` takes and returns, in its order.
        says: what the inputs are, for whoever runs the file.
        any_size: whether it is exported for sizes that may vary.
    """

    any_size = False

    inputs: tuple[str, ...] = ('images',)
    outputs: tuple[str, ...] = ()
    says = 'images: N x channels x sides, float32, 0 to 255 (volumes: as prepared), colours as BGR'

    def __init__(self, model: nn.Module, post: bool = False):
        super().__init__()
        self.model, self.post = model.eval(), post
        self.preprocessor = model.data_preprocessor

    def check(self, size: Sequence[int]) -> None:
        """Refuse a size to which the model's preprocessor would pad, and a preprocessor that :meth:`normalise` does not
        follow.

        Raises:
            CannotExport: naming a size that fits.
        """
        divisors = self.divisors(len(size))
        offset = getattr(self.preprocessor, 'size_offset', 0)
        fits = tuple(-(-(side - offset) // each) * each + offset for side, each in zip(size, divisors))
        if tuple(size) != fits:
            raise CannotExport(
                f'{"x".join(map(str, size))} is not a multiple of {"x".join(map(str, divisors))}'
                f'{f" plus {offset}" if offset else ""}, to which the model pads; export {"x".join(map(str, fits))}'
            )

        (images,) = self.examples(1, size)
        with torch.no_grad():
            expected = self.preprocessor(dict(inputs=[images[0]], data_samples=None), False)['inputs']
            found = self.normalise(images)
        if found.shape != expected.shape or not torch.allclose(found, expected, atol=1e-4):
            raise CannotExport(f'{type(self.preprocessor).__name__} does more with an image than a graph can hold')

    def divisors(self, dims: int) -> tuple[int, ...]:
        """What sides are multiples of."""
        divisor = getattr(self.preprocessor, 'pad_size_divisor', getattr(self.preprocessor, 'size_divisor', 1))
        return tuple(divisor) if isinstance(divisor, Sequence) else (divisor,) * dims

    def held(self, images: Tensor) -> Tensor:
        """The same images; in a graph of any size, others than whole multiples end here, in the reshape."""
        if self.any_size:
            for axis, divisor in enumerate(self.divisors(images.ndim - 2), 2):
                images = images.unflatten(axis, (-1, divisor)).flatten(axis, axis + 1)
        return images

    def examples(self, batch: int, size: Sequence[int]) -> tuple[Tensor, ...]:
        """Inputs of that size, noise."""
        random = torch.Generator().manual_seed(0)
        return ((torch.rand(batch, in_channels(self.model), *size, generator=random) * 255).round(),)

    def normalise(self, images: Tensor) -> Tensor:
        """B C *size, channels as the data pipeline loads them (BGR), 0 to 255."""
        images = self.held(images)
        if hasattr(self.preprocessor, 'normalise'):
            if getattr(self.preprocessor, 'by_image', False):
                return torch.stack([self.preprocessor.normalise(image) for image in images.unbind(0)])
            return self.preprocessor.normalise(images.transpose(0, 1)).transpose(0, 1)  # all images as one
        if getattr(self.preprocessor, '_channel_conversion', False):
            images = images.flip(1)
        if getattr(self.preprocessor, '_enable_normalize', False):
            images = (images - self.preprocessor.mean) / self.preprocessor.std
        return images


class DetectionGraph(Graph):
    """``logits`` B N K and ``boxes`` B N 4 (cx cy w h, by the sides of the input), ``masks`` B N h w (logits) of models
    of masks; with ``post`` instead ``boxes`` B M 4 (xyxy, pixels of the input), ``scores`` and ``labels`` B M, best
    first, and the masks of these (bool, of the size of the input)."""

    def __init__(self, model: nn.Module, post: bool = False):
        super().__init__(model, post)
        head = getattr(model, 'head', None)
        if not hasattr(model, '_forward') or not hasattr(head, 'select'):
            raise CannotExport(
                f'{type(model).__name__} is no detector of queries, of which alone this knows the outputs'
            )
        self.branch = next((branch for branch in head.branches if hasattr(branch, 'mask_logits')), None)
        self.outputs = ('boxes', 'scores', 'labels') if post else ('logits', 'boxes')
        self.outputs += ('masks',) if self.branch is not None else ()

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        (images,) = given
        found = self.model._forward(self.normalise(images))
        logits, boxes = found['logits'][-1], found['boxes'][-1]
        masks = () if self.branch is None else (self.branch.mask_logits(found, -1),)
        if not self.post:
            return logits, boxes, *masks
        width, height = images.shape[-1], images.shape[-2]
        limits = boxes.new_tensor((width, height, width, height))
        pixels = (bbox_cxcywh_to_xyxy(boxes) * limits).clamp(min=0).minimum(limits)
        rows = [self._select(*each, tuple(images.shape[-2:])) for each in zip(logits, boxes, pixels, *masks)]
        return tuple(torch.stack(each) for each in zip(*rows))

    def _select(self, logits: Tensor, boxes: Tensor, pixels: Tensor, *rest) -> tuple[Tensor, ...]:
        """Of one image the boxes, scores and labels, best first, and masks."""
        *maps, size = rest
        make = partial(enlarged, *maps, size=size)
        read = (make,) if 'masks' in (self.model.head.select.reads or ()) else ()
        scores, labels, query, *masks = self.model.head.select(logits, boxes, *read)
        if maps and not masks:
            masks = [make(query) > 0]
        scores, order = scores.sort(descending=True)
        return pixels[query[order]], scores, labels[order], *(mask[order] for mask in masks)


def enlarged(maps: Tensor, queries: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps N h w of some queries, in the size of the input: M H W."""
    return F.interpolate(maps[queries][None], size, mode='bilinear', align_corners=False)[0]


class LogitsGraph(Graph):
    """``logits`` B K of classes, or B K *size of pixels; with ``post`` ``scores``, their softmax (or sigmoid where the
    model tells regions that overlap)."""

    def __init__(self, model: nn.Module, post: bool = False):
        super().__init__(model, post)
        if not hasattr(model, 'logits'):
            raise CannotExport(f'{type(model).__name__} has no method `logits`, of which alone this knows the outputs')
        self.outputs = ('scores',) if post else ('logits',)

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        (images,) = given
        logits = self.model.logits(self.normalise(images))
        return (self.scores(logits.float()) if self.post else logits,)

    def scores(self, logits: Tensor) -> Tensor:
        sigmoid = getattr(getattr(self.model, 'head', None), 'activation', 'softmax') == 'sigmoid'
        return logits.sigmoid() if sigmoid else logits.softmax(1)


class TowerGraph(Graph):
    """``embeddings`` B D of one modality in the joint space, of length 1. Images as pixels; texts as ``ids`` B S of the
    tokenizer and ``keep`` B S, true where there is a token."""

    outputs = ('embeddings',)

    def __init__(self, model: nn.Module, post: bool = False, tower: str = 'image'):
        super().__init__(model, post)
        if tower not in getattr(model, 'joint', ()):
            raise CannotExport(f'no tower {tower!r} with a place in the joint space; there are {sorted(model.joint)}')
        self.tower, self.part = tower, self.preprocessor.inputs[tower]
        self.of_text = hasattr(self.part, 'tokenizer')
        if self.of_text:
            self.inputs, self.texts = ('ids', 'keep'), self.part.of_ids([torch.zeros(1, dtype=torch.long)])
            self.says = 'ids: N x length, int64, of the tokenizer; keep: N x length, bool, true where there is a token'

    def check(self, size: Sequence[int]) -> None:
        """Any; the model says what it takes."""

    def examples(self, batch: int, size: Sequence[int]) -> tuple[Tensor, ...]:
        random = torch.Generator().manual_seed(0)
        if not self.of_text:
            return (torch.stack([self.part.example(size, random).float() for _ in range(batch)]),)
        texts = self.part([self.part.example((), random) for _ in range(batch)], torch.device('cpu'))
        length = self.part.tokenizer.context_length
        missing = length - texts.ids.shape[1]
        ids = F.pad(texts.ids, (0, missing), value=self.part.tokenizer.pad_id)
        return ids, F.pad(texts.keep, (0, missing))

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        if self.of_text:
            batch = replace(self.texts, ids=given[0], keep=given[1])
        else:
            images = given[0].flip(1) if self.part.bgr_to_rgb else given[0]
            batch = (images - self.part.mean) / self.part.std
        return (self.model({self.tower: batch}, mode='tensor')[self.tower],)
