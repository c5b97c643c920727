"""What the data sets of a run hold, in numbers: images, annotations by class, sizes as the model will see them."""

import hashlib
import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from ...datasets.members import classes_of, members
from ...tasks import Task

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


def doubles(datasets: Mapping[str, Sequence], seconds: float = SECONDS) -> list[list[tuple[str, str]]]:
    """Files that are equal byte by byte: groups of (set, path), those across sets first.

    Args:
        datasets: name -> data set; those whose records have no ``img_path`` are left out.
        seconds: after which no more is read. Only files of equal length are.
    """
    start, by_length, equal = time.monotonic(), defaultdict(list), defaultdict(list)
    for name, dataset in datasets.items():
        for index in range(len(dataset)):
            path = dataset.get_data_info(index).get('img_path')
            if isinstance(path, str) and os.path.isfile(path):
                by_length[os.path.getsize(path)].append((name, path))
    for places in by_length.values():
        for place in dict.fromkeys(places) if len(places) > 1 else ():
            if time.monotonic() - start > seconds:
                break
            with open(place[1], 'rb') as file:
                equal[hashlib.file_digest(file, 'sha1').digest()].append(place)
    found = [places for places in equal.values() if len(places) > 1]
    return sorted(found, key=lambda places: -len({name for name, _ in places}))


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
