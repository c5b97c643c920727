"""Sets of points or entities: a class for the set, or for each element."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from ..datasets.arrays.sets import read_set
from ..registry import TASKS
from ..structures import SetSample
from ..visualization.pictures import palette
from .base import Size, Task, num_classes

SIDE = 480


@TASKS.register_module('sets')
class Sets(Task):
    """A record has ``labels`` and ``scores``, one each for the set or for each element; inputs are N C. Drawings show
    the first two numbers of each element as its place."""

    sample = SetSample
    truths = ('gt_labels',)
    predictions = ('pred_labels',)
    metrics = ('accuracy',)
    annotation = 'elements'

    def size(self, cfg: dict) -> Size:
        inputs = cfg.get('model', cfg)['backbone']['inputs']
        return (512, inputs.get('point_dims') or 3 + inputs.get('extra_dims', 0))

    def sizes(self, model: nn.Module) -> Sequence[Size]:
        return [(12, model.point_dims), (7, model.point_dims)]

    def item(
        self, model: nn.Module, size: Size, count: int | None, random: torch.Generator
    ) -> tuple[Tensor, SetSample]:
        points = 2 * torch.rand(size, generator=random) - 1
        sample = SetSample(metainfo=dict(img_shape=size, ori_shape=size))
        if count is not None:
            wanted = size[0] if model.each_element else 1
            sample.gt_labels = torch.randint(num_classes(model), (wanted,), generator=random)
        return points, sample

    def stack(self, inputs: list, device) -> dict:
        points = torch.stack(inputs).to(device)
        return dict(points=points, mask=torch.ones(points.shape[:2], dtype=torch.bool, device=device))

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        labels, scores = sample.get('pred_labels').tolist(), sample.get('pred_scores').amax(-1).tolist()
        record = dict(labels=labels, scores=[round(score, 5) for score in scores])
        if classes is not None:
            record['names'] = [classes[label] for label in labels]
        return record

    def summary(self, record: dict) -> str:
        said = record.get('names') or record['labels']
        return f'{said[0]} ({record["scores"][0]:.2f})' if len(said) == 1 else f'{len(said)} elements'

    def annotations(self, info: dict, load: Callable) -> list[tuple[int, float | None]]:
        return [(int(label), None) for label in np.atleast_1d(info.get('gt_labels', []))]

    def read(self, sample) -> np.ndarray:
        return read_set(sample.img_path)['points']

    def image(self, inputs: Tensor) -> np.ndarray:
        return inputs.numpy()

    def plain(self, image: np.ndarray) -> Image.Image:
        return scatter(image, np.zeros(len(image), int))

    def views(
        self, image: np.ndarray, sample, prefix: str, classes: Sequence[str] | None, score_thr: float
    ) -> list[tuple[str, Image.Image]]:
        if f'{prefix}_labels' not in sample:
            return []
        labels = sample.get(f'{prefix}_labels').cpu().numpy()
        name = dict(gt='ground truth', pred='prediction')[prefix]
        if len(labels) == 1:
            said = str(labels[0]) if classes is None else classes[labels[0]]
            return [(f'{name}: {said}', scatter(image, np.repeat(labels, len(image))))]
        return [(name, scatter(image, labels))]


def scatter(points: np.ndarray, labels: np.ndarray) -> Image.Image:
    """Elements at their first two numbers, in the colours of their classes."""
    made = Image.new('RGB', (SIDE, SIDE), (255, 255, 255))
    draw, colours = ImageDraw.Draw(made), palette(int(labels.max(initial=0)) + 1)
    places = np.asarray(points, float).reshape(len(points), -1)[:, :2]
    low, high = places.min(0, initial=-1), places.max(0, initial=1)
    for (x, y), label in zip((places - low) / (high - low) * (SIDE - 24) + 12, labels):
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colours[label])
    return made
