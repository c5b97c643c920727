"""Panoptic quality (https://arxiv.org/abs/1801.00868), without panopticapi, which PyPI does not have."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from mmdet.evaluation.functional import INSTANCE_OFFSET
from mmengine.evaluator import BaseMetric

from ..registry import METRICS

VOID = 0  # number of pixels without a segment in COCO's maps


@dataclass
class Tally:
    """Counts of each class: matched segments, the sum of their overlaps, segments only predicted, only annotated."""

    matched: np.ndarray
    overlap: np.ndarray
    predicted: np.ndarray
    annotated: np.ndarray

    @classmethod
    def of(cls, num_classes: int):
        return cls(*(np.zeros(num_classes) for _ in range(4)))

    def __add__(self, other):
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def quality(self, labels: slice) -> dict[str, float]:
        """PQ, and the SQ and RQ that it is the product of: percent, mean over the classes that occur."""
        total = self.matched + (self.predicted + self.annotated) / 2
        occurs = np.flatnonzero(total[labels])
        if not len(occurs):
            return dict(PQ=float('nan'), SQ=float('nan'), RQ=float('nan'))
        matched, overlap, total = (each[labels][occurs] for each in (self.matched, self.overlap, total))
        parts = dict(PQ=overlap / total, SQ=overlap / matched.clip(min=1), RQ=matched / total)
        return {name: 100 * values.mean().item() for name, values in parts.items()}


@METRICS.register_module()
class PanopticQuality(BaseMetric):
    """PQ, SQ and RQ over all classes, over objects (``_th``) and over stuff (``_st``).

    The annotations come with the samples: `mmparts.LoadPanopticMap` in the pipeline, ``PackDetInputs(meta_keys=(...,
    'panoptic_map', 'segments_info'))``.

    Args:
        things: labels below are objects.
    """

    default_prefix = 'panoptic'

    def __init__(self, things: int = 80, collect_device: str = 'cpu', prefix: str | None = None):
        super().__init__(collect_device, prefix)
        self.things = things

    def names(self) -> list[str]:
        """What :meth:`evaluate` returns."""
        return [f'{self.prefix}/{name}{suffix}' for suffix in ('', '_th', '_st') for name in ('PQ', 'SQ', 'RQ')]

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Compare a batch with its annotations."""
        num_classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            for key in ('panoptic_map', 'segments_info'):
                if key not in sample:
                    raise KeyError(
                        f'PanopticQuality needs {key!r} of each sample; name it in the meta_keys of '
                        'PackDetInputs, and `seg` in the data_prefix of the data set'
                    )
            found = sample['pred_panoptic_seg']['sem_seg'].squeeze(0).cpu().numpy()
            self.results.append(
                compare(found, sample['panoptic_map'], sample['segments_info'], num_classes, self.things)
            )

    def compute_metrics(self, results: list[Tally]) -> dict[str, float]:
        """Qualities over all images."""
        total = sum(results[1:], start=results[0])
        parts = {'': slice(None), '_th': slice(self.things), '_st': slice(self.things, None)}
        return {
            f'{name}{suffix}': value
            for suffix, labels in parts.items()
            for name, value in total.quality(labels).items()
        }


def compare(found: np.ndarray, truth: np.ndarray, segments: list[dict], num_classes: int, things: int) -> Tally:
    """The tally of one image.

    Args:
        found: H W, label + INSTANCE_OFFSET * number; label ``num_classes`` is no segment.
        truth: H W, numbers of the annotated segments.
        segments: of the annotation: 'id', 'category' and 'is_thing', which is False for crowds of objects.
    """
    tally = Tally.of(num_classes)
    label_of = {each['id']: each['category'] for each in segments}
    crowds = {each['id'] for each in segments if each['category'] < things and not each['is_thing']}
    found_area, true_area = areas(found), areas(truth)
    common = {(number, other): area for number, other, area in pairs(found, truth)}
    hidden = {
        number: sum(common.get((number, other), 0) for other in truth_free(true_area, label_of))
        for number in found_area
    }

    matched_found, matched_true = set(), set()
    for (number, other), area in common.items():
        label = number % INSTANCE_OFFSET
        if other in crowds or label_of.get(other) != label:
            continue
        iou = area / (found_area[number] + true_area[other] - area - hidden[number])
        if iou > 0.5:  # no segment can overlap two so much
            tally.matched[label] += 1
            tally.overlap[label] += iou
            matched_found.add(number)
            matched_true.add(other)

    for number, label in label_of.items():
        if number not in matched_true and number not in crowds and number in true_area:
            tally.annotated[label] += 1
    for number, area in found_area.items():
        label = number % INSTANCE_OFFSET
        forgiven = hidden[number] + sum(common.get((number, crowd), 0) for crowd in crowds if label_of[crowd] == label)
        if number not in matched_found and label < num_classes and forgiven <= area / 2:
            tally.predicted[label] += 1
    return tally


def truth_free(true_area: dict[int, int], label_of: dict[int, int]) -> list[int]:
    """Numbers in the map that are no annotated segment."""
    return [number for number in true_area if number == VOID or number not in label_of]


def areas(numbers: np.ndarray) -> dict[int, int]:
    """Pixels of each number."""
    return dict(zip(*(each.tolist() for each in np.unique(numbers, return_counts=True))))


def pairs(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """(number in one map, number in the other, pixels that they share)."""
    rows, counts = np.unique(np.stack([first.ravel(), second.ravel()]).astype(np.int64), axis=1, return_counts=True)
    return zip(*rows.tolist(), counts.tolist())
