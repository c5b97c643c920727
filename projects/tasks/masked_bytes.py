"""Texts of bytes with gaps that a model fills."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from ..datasets.arrays.text import MASK, decode
from ..registry import TASKS
from ..structures import TextSample
from ..visualization.pictures import font
from .base import Size, Task

WIDTH, LETTER, LINE = 64, 9, 20  # letters in a line; pixels of a letter and of a line


@TASKS.register_module('masked_bytes')
class MaskedBytesTask(Task):
    """A record has the ``text`` with its gaps filled, how many there were, and how many are right where that is known;
    inputs are ids, T. Letters that were filled are green where right, red where wrong, blue where nobody knows."""

    sample = TextSample
    truths = ('gt_ids',)
    predictions = ('pred_ids',)
    metrics = ('accuracy',)
    annotation = 'texts'

    def size(self, cfg: dict) -> Size:
        inputs = cfg.get('model', cfg)['backbone']['inputs']
        return (1, inputs.get('max_length', 2048))

    def sizes(self, model: nn.Module) -> Sequence[Size]:
        length = model.backbone.inputs.max_length
        return [(1, length), (1, max(length - 3, 1))]

    def item(
        self, model: nn.Module, size: Size, count: int | None, random: torch.Generator
    ) -> tuple[Tensor, TextSample]:
        ids = torch.randint(6, model.backbone.inputs.vocab_size, (size[-1],), generator=random)
        asked = torch.rand(size[-1], generator=random) < 0.15
        asked[0] = True
        sample = TextSample(metainfo=dict(img_shape=size, ori_shape=size), asked=asked)
        if count is not None:
            sample.gt_ids = ids
        return ids.masked_fill(asked, MASK), sample

    def stack(self, inputs: list, device) -> Tensor:
        return torch.stack(inputs).to(device)

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        asked = sample.get('asked').cpu()
        record = dict(text=decode(sample.get('pred_ids').tolist()), gaps=int(asked.sum()))
        if 'gt_ids' in sample:
            right = sample.get('pred_ids').cpu() == sample.get('gt_ids').cpu()
            record['right'] = int((right & asked).sum())
        return record

    def summary(self, record: dict) -> str:
        right = f', {record["right"]} right' if 'right' in record else ''
        return f'{record["gaps"]} gaps{right}: {record["text"][:60]!r}'

    def annotations(self, info: dict, load: Callable) -> list[tuple[int, float | None]]:
        return []

    def read(self, sample) -> np.ndarray:
        return np.full((LINE, WIDTH * LETTER, 3), 255, np.uint8)

    def image(self, inputs: Tensor) -> np.ndarray:
        return np.full((LINE, WIDTH * LETTER, 3), 255, np.uint8)

    def drawn(self, sample) -> bool:
        return 'pred_ids' in sample

    def views(
        self, image: np.ndarray, sample, prefix: str, classes: Sequence[str] | None, score_thr: float
    ) -> list[tuple[str, Image.Image]]:
        asked = sample.asked.tolist()
        if prefix == 'gt':
            given = sample.get('given_ids', sample.get('gt_ids'))
            return (
                [] if given is None else [('given', text_page(given.tolist(), asked, [(150, 150, 150)] * len(asked)))]
            )
        if 'pred_ids' not in sample:
            return []
        ids = sample.pred_ids.tolist()
        truth = sample.get('gt_ids')
        right = [None] * len(ids) if truth is None else [a == b for a, b in zip(ids, truth.tolist())]
        colours = [{None: (40, 80, 220), True: (0, 140, 60), False: (215, 40, 40)}[each] for each in right]
        return [('prediction', text_page(ids, asked, colours))]


def text_page(ids: Sequence[int], asked: Sequence[bool], colours: Sequence[tuple]) -> Image.Image:
    """Letters in lines; those that were asked for in their colour on a ground."""
    lines = -(-len(ids) // WIDTH)
    made = Image.new('RGB', (WIDTH * LETTER + 16, max(lines, 1) * LINE + 16), (255, 255, 255))
    draw = ImageDraw.Draw(made)
    for place, (each, gap, colour) in enumerate(zip(ids, asked, colours)):
        x, y = 8 + place % WIDTH * LETTER, 8 + place // WIDTH * LINE
        if gap:
            draw.rectangle((x - 1, y, x + LETTER - 2, y + LINE - 3), fill=(235, 235, 235))
        draw.text((x, y), letter(each), font=font(13), fill=colour if gap else (0, 0, 0))
    return made


def letter(number: int) -> str:
    """A byte as something to see."""
    if number == MASK:
        return '_'
    text = decode([number])
    return text if text.isprintable() and text else '·'
