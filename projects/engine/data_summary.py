"""What the data sets of a run hold, in numbers: images, annotations by class, sizes as the model will see them."""

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..datasets.members import classes_of, members
from ..tasks import Task

SECONDS = 15.0  # after which a set has been looked at enough
SMALL = 8  # pixels: the finest stride of most detectors


def summarize(dataset, task: Task, seconds: float = SECONDS) -> dict:
    """Counts of a data set as plain data.

    Args:
        seconds: what takes longer (label maps stand in files) is broken off; ``seen`` says after how many images.
    """
    steps = [step for step in next(members(dataset)).pipeline.transforms if type(step).__name__.startswith('Load')]
    scale = next((scale for step in next(members(dataset)).pipeline.transforms if (scale := scale_of(step))), None)

    def load(info: dict) -> dict:
        for step in steps:
            info = step(info)
        return info

    start, objects, images, per_image, octaves = time.monotonic(), Counter(), Counter(), [], Counter()
    for index in range(len(dataset)):
        if time.monotonic() - start > seconds:
            break
        info = dataset.get_data_info(index)
        found = task.annotations(info, load)
        factor = resize_factor(info, scale)
        objects.update(label for label, _ in found)
        images.update({label for label, _ in found})
        per_image.append(len(found))
        octaves.update(octave(side * factor) for _, side in found if side is not None)
    return dict(
        images=len(dataset),
        seen=len(per_image),
        annotations=sum(per_image),
        empty=per_image.count(0),
        most=max(per_image, default=0),
        classes=list(classes_of(dataset) or ()),
        objects=[objects[label] for label in range(max(objects, default=-1) + 1)],
        images_of=[images[label] for label in range(max(objects, default=-1) + 1)],
        octaves={str(key): octaves[key] for key in sorted(octaves)},
        resized=scale is not None,
    )


def octave(side: float) -> int:
    """The power of two below a side."""
    return int(np.floor(np.log2(max(side, 1))))


def scale_of(step) -> Sequence[int] | None:
    """(long side, short side) that a step of a pipeline resizes to, keeping the proportions."""
    scale = getattr(step, 'scale', None)
    known = type(step).__name__ == 'Resize' and isinstance(scale, (tuple, list)) and getattr(step, 'keep_ratio', False)
    return sorted(scale, reverse=True) if known else None


def resize_factor(info: dict, scale: Sequence[int] | None) -> float:
    """By which an image is resized; 1 where that is not known."""
    if scale is None or not info.get('width') or not info.get('height'):
        return 1.0
    long, short = sorted((info['width'], info['height']), reverse=True)
    return min(scale[0] / long, scale[1] / short)
