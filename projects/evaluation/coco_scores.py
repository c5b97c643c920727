"""COCO's average precision and recall, by one definition whichever back end counts.

Precisions are those of the best ``limit`` detections of a class in an image, in all thresholds and sizes, as on COCO's
server; back ends differ in which limit their own summaries read, so none of those is used. What a back end sees is
numbered anew, from 1: pycocotools takes an annotation with id 0 for unmatched, others want whole numbers.
"""

import contextlib
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from mmdet.datasets.api_wrappers import COCO

from ..datasets.annotations import indexed
from . import coco_backends

AREAS = ('all', 'small', 'medium', 'large')  # the order of the back ends
# Name of a precision: its overlap (None: the mean over all) and the size of its objects.
PRECISIONS = {
    'mAP': (None, 'all'),
    'mAP_50': (0.5, 'all'),
    'mAP_75': (0.75, 'all'),
    'mAP_s': (None, 'small'),
    'mAP_m': (None, 'medium'),
    'mAP_l': (None, 'large'),
}


@dataclass(frozen=True)
class Scores:
    """What a back end counted; -1 stands where a class has no object.

    Attributes:
        thresholds: T overlaps.
        precision: T R K A at the limit: overlaps, recalls, classes, areas.
        recall: T K A for each number of detections that was asked for.
    """

    thresholds: np.ndarray
    precision: np.ndarray
    recall: dict[int, np.ndarray]

    def ap(self, overlap: float | None = None, area: str = 'all', label: int | None = None) -> float:
        """Average precision at one overlap or over all, of one class or all; -1 where there are no objects."""
        rows = slice(None) if overlap is None else has(self.thresholds, overlap)
        labels = slice(None) if label is None else slice(label, label + 1)
        return mean(self.precision[rows][:, :, labels, AREAS.index(area)])

    def ar(self, num: int, area: str = 'all') -> float:
        """Average recall of the best ``num`` detections."""
        return mean(self.recall[num][:, :, AREAS.index(area)])


def has(thresholds: np.ndarray, overlap: float) -> np.ndarray:
    return np.isclose(thresholds, overlap)


def mean(values: np.ndarray) -> float:
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0


class Truth:
    """Objects of some images and classes, numbered from 1.

    Args:
        coco: the annotation file.
        images: ids of the images that are evaluated.
        categories: ids of the classes, in the order of the labels.
        iou_type: 'bbox' or 'segm'.

    Raises:
        ValueError: masks are to be evaluated, and an object has none.
    """

    def __init__(self, coco: COCO, images: Iterable, categories: Sequence, iou_type: str):
        self.iou_type = iou_type
        self.images = {image: number for number, image in enumerate(images, 1)}
        self.categories = {category: number for number, category in enumerate(categories, 1)}
        self.sizes = {
            number: dict(id=number, width=coco.imgs[image]['width'], height=coco.imgs[image]['height'])
            for image, number in self.images.items()
        }
        wanted = [
            annotation
            for image in self.images
            for annotation in coco.imgToAnns.get(image, ())
            if annotation['category_id'] in self.categories
        ]
        self.coco = self._indexed([self._object(annotation, coco) for annotation in wanted])

    def _object(self, annotation: dict, coco: COCO) -> dict:
        made = dict(
            image_id=self.images[annotation['image_id']],
            category_id=self.categories[annotation['category_id']],
            bbox=annotation['bbox'],
            area=annotation.get('area', annotation['bbox'][2] * annotation['bbox'][3]),
            iscrowd=int(annotation.get('iscrowd') or 0),
        )
        if self.iou_type == 'segm':
            if not annotation.get('segmentation'):
                raise ValueError(
                    f'annotation {annotation.get("id")} of image {annotation["image_id"]} has no segmentation, so '
                    "masks cannot be evaluated; use metric='bbox', or an annotation file with masks"
                )
            made['segmentation'] = coco.annToRLE(annotation)
        return made

    def found(self, detections: Iterable[dict]) -> COCO:
        """Detections (``image_id``, ``category_id``, ``score``, ``bbox`` and, for masks, ``segmentation``) of these
        images and classes, in the back ends' form. The size of a detected mask is that of the mask."""
        from pycocotools import mask as rle

        made = []
        for each in detections:
            image, category = self.images.get(each['image_id']), self.categories.get(each['category_id'])
            if image is None or category is None:
                continue
            one = dict(image_id=image, category_id=category, score=each['score'], iscrowd=0)
            if self.iou_type == 'segm':
                code = each['segmentation']
                one.update(segmentation=code, area=float(rle.area(code)), bbox=rle.toBbox(code).tolist())
            else:
                one.update(bbox=each['bbox'], area=each['bbox'][2] * each['bbox'][3])
            made.append(one)
        return self._indexed(made)

    def _indexed(self, annotations: list[dict]) -> COCO:
        for number, annotation in enumerate(annotations, 1):
            annotation['id'] = number
        return indexed(
            dict(
                images=list(self.sizes.values()),
                annotations=annotations,
                categories=[dict(id=number, name=str(number)) for number in self.categories.values()],
            )
        )

    def crowded(self, limit: int) -> tuple[int, int]:
        """Images with more than ``limit`` objects of a class, and the most objects of a class in one of them."""
        objects = (each for each in self.coco.anns.values() if not each['iscrowd'])
        counts = Counter((each['image_id'], each['category_id']) for each in objects)
        beyond = {key: count for key, count in counts.items() if count > limit}
        return len({image for image, _ in beyond}), max(beyond.values(), default=0)


def score(
    backend: str,
    truth: Truth,
    detections: Iterable[dict],
    thresholds: np.ndarray,
    limit: int,
    recalls: Sequence[int] = (),
    by_class: bool = True,
) -> Scores:
    """Count by a back end of `coco_backends`.

    Args:
        detections: see :meth:`Truth.found`.
        limit: detections of a class in an image that precisions are made of, the best ones.
        recalls: numbers of detections to tell recalls of.
        by_class: False: all classes are one (proposals).
    """
    found = truth.found(detections)
    nums = sorted({limit, *recalls})
    with contextlib.redirect_stdout(io.StringIO()):
        run = coco_backends.evaluator(backend, truth.coco, found, truth.iou_type)
        run.params.catIds = list(truth.categories.values())
        run.params.imgIds = list(truth.images.values())
        run.params.maxDets = nums
        run.params.iouThrs = thresholds
        run.params.useCats = int(by_class)
        run.evaluate()
        run.accumulate()
    precision, recall = (np.array(run.eval[name]) for name in ('precision', 'recall'))
    return Scores(thresholds, precision[..., nums.index(limit)], {num: recall[..., nums.index(num)] for num in recalls})
