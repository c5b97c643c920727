"""What a data set of boxes holds, against what a model and a metric can do with it. Reads no image."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from mmengine.config import Config
from mmengine.dataset import BaseDataset

from .members import classes_of, members

SMALL = 8  # pixels of a side after resizing, the stride of the finest level of most detectors
EDGES = (8, 16, 32, 64, 128)  # strides that sides are held against
METRIC_LIMIT = 100  # detections of a class in an image that COCO's metric looks at


@dataclass
class Survey:
    """Counts of a data set.

    sides: after resizing, of each class; per_image: objects in each image; crowded: most objects of a class in one.
    """

    name: str
    images: int = 0
    classes: tuple[str, ...] = ()
    objects: Counter = field(default_factory=Counter)
    images_with: Counter = field(default_factory=Counter)
    sides: dict[str, list[float]] = field(default_factory=dict)
    per_image: list[int] = field(default_factory=list)
    crowded: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def small(self) -> int:
        """Objects below :data:`SMALL` pixels a side."""
        return sum(side < SMALL for sides in self.sides.values() for side in sides)

    def findings(self, num_queries: int | None = None) -> Iterator[str]:
        """What is likely to be wrong or to limit what can be reached, a sentence each."""
        total, most = sum(self.objects.values()), max(self.per_image, default=0)
        missing = [name for name in self.classes if not self.objects[name]]
        if missing:
            yield f'{self.name}: no object of {", ".join(missing[:8])}'
        few = [f'{name} ({self.objects[name]})' for name in self.classes if 0 < self.objects[name] < 10]
        if few:
            yield f'{self.name}: few objects of {", ".join(few[:8])}'
        if self.small():
            yield (
                f'{self.name}: {self.small()} of {total} objects are below {SMALL} px a side after resizing, less than '
                'a cell of the finest level: larger images in the Resize of the pipeline, or tiles (tools/cut_tiles.py)'
            )
        if num_queries and most > num_queries:
            over = sum(count > num_queries for count in self.per_image)
            yield (
                f'{self.name}: {over} images have more objects than the model has queries ({most} and {num_queries}); '
                f'set num_queries to {math.ceil(1.5 * most / 10) * 10}'
            )
        if self.crowded > METRIC_LIMIT:
            yield (
                f"{self.name}: up to {self.crowded} objects of a class in an image, of which COCO's metric looks at "
                f'{METRIC_LIMIT}: max_dets of mmparts.CheckedCocoMetric sets another limit'
            )
        for reason, count in self.dropped.items():
            yield f'{self.name}: {count} objects dropped: {reason}'


def survey(dataset: BaseDataset, name: str, scale: tuple[int, int] | None = None) -> Survey:
    """Count what a data set of boxes, fully loaded, holds.

    Args:
        scale: longest and shortest side that images are resized to, keeping their shape; None: they are not.
    """
    classes = tuple(classes_of(dataset) or ())
    found = Survey(name, len(dataset), classes, sides={each: [] for each in classes})
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        factor = resize_factor(info, scale)
        labels = Counter()
        for each in info.get('instances', ()):
            if each.get('ignore_flag'):
                continue
            number = each.get('bbox_label', 0)
            label = classes[number] if number < len(classes) else str(number)
            x1, y1, x2, y2 = each['bbox']
            labels[label] += 1
            found.sides.setdefault(label, []).append(factor * math.sqrt(max(x2 - x1, 0) * max(y2 - y1, 0)))
        found.objects.update(labels)
        found.images_with.update(labels.keys())
        found.per_image.append(sum(labels.values()))
        found.crowded = max([found.crowded, *labels.values()])
    for each in members(dataset):
        for reason, names in getattr(each, 'dropped', {}).items():
            found.dropped[reason] = found.dropped.get(reason, 0) + len(names)
    return found


def resize_factor(info: dict, scale: tuple[int, int] | None) -> float:
    """By which a resize to ``scale`` changes the sides of an image."""
    height, width = info.get('height'), info.get('width')
    if scale is None or not height or not width:
        return 1.0
    return min(max(scale) / max(height, width), min(scale) / min(height, width))


def scale_of(dataset: dict) -> tuple[int, int] | None:
    """What the pipeline of a data set's config resizes to; of several choices the last."""
    for step in next(members(dataset)).get('pipeline') or ():
        scale = step.get('scale') or step.get('img_scale') or (step.get('scales') or [None])[-1]
        if 'Resize' in str(step.get('type')) and isinstance(scale, (tuple, list)) and len(scale) == 2:
            return tuple(scale)
    return None


def has_boxes(dataset: BaseDataset) -> bool:
    """Whether a data set's records are of objects with boxes."""
    return len(dataset) > 0 and any(
        'bbox' in each
        for index in range(min(len(dataset), 50))
        for each in dataset.get_data_info(index).get('instances', ())
    )


def queries_of(cfg: Config) -> int | None:
    """The number of queries of a config's model, where it says one."""
    number = (cfg.get('model') or {}).get('num_queries')
    return number if isinstance(number, int) else None
