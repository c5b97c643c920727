"""COCO evaluation of boxes: the backend in use against pycocotools, loading into the backend included."""

import contextlib
import io
from collections.abc import Iterator

import numpy as np
import torch
from mmdet.datasets.api_wrappers import COCO
from torch import Tensor

from ...evaluation import coco_backends


def coco_boxes(images: int = 800, found: int = 100, objects: int = 7, classes: int = 80) -> Iterator[dict]:
    """As keyword arguments of `ops.benchmark.Workload`."""
    rng = np.random.default_rng(0)

    def boxes(count: int) -> np.ndarray:
        sizes = np.exp(rng.uniform(np.log(8), np.log(400), (count, 2)))
        return np.concatenate([rng.uniform(0, 640 - sizes), sizes], 1)

    annotations, detections = [], []
    for image in range(1, images + 1):
        true, labels = boxes(objects), rng.integers(1, classes + 1, objects)
        near = rng.integers(objects, size=found)
        guessed = true[near] * rng.uniform(0.9, 1.1, (found, 4))
        for box, label in zip(true.tolist(), labels.tolist()):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image,
                    category_id=label,
                    bbox=box,
                    area=box[2] * box[3],
                    iscrowd=0,
                )
            )
        for box, label, score in zip(guessed.tolist(), labels[near].tolist(), rng.random(found).tolist()):
            detections.append(dict(image_id=image, category_id=label, bbox=box, score=score))

    truth = COCO()
    truth.dataset = dict(
        images=[dict(id=image, width=640, height=640) for image in range(1, images + 1)],
        annotations=annotations,
        categories=[dict(id=i, name=str(i)) for i in range(1, classes + 1)],
    )
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        loaded = truth.loadRes(detections)

    def run(backend: str) -> list[Tensor]:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = coco_backends.BACKENDS[backend](truth, loaded, 'bbox')
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return [torch.tensor(np.array(evaluation.stats))]

    chosen = coco_backends.choose()
    yield dict(
        name=f'COCO boxes by {chosen}, {images} images x {found}',
        ours=lambda: run(chosen),
        peers={'pycocotools': lambda: run('pycocotools')},
        tolerance=1e-6,
        goal=10,
    )


CASES = {'coco-boxes': coco_boxes}
