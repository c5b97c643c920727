"""What is wrong with detections, and what it costs: matches, kinds of errors, and the curves that are made of them.

The kinds are those of TIDE (https://arxiv.org/abs/2008.08115), and so is the cost of one: how much the average
precision at one overlap would rise if the detections of that kind alone were mended. Detections are matched as COCO
does, class by class, the best scores first. The official code draws its own figures; ours keeps for each detection the
object that it belongs to, so that a figure can lead to the images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as rle

OVERLAP, BACKGROUND = 0.5, 0.1  # from which on a box lies on an object; below which it lies on nothing
LIMIT = 100  # detections of an image

RIGHT, CLASS, PLACE, BOTH, DOUBLE, NOTHING, MISSED, FREE = range(8)
KINDS = {
    CLASS: 'wrong class',
    PLACE: 'wrong place',
    BOTH: 'wrong class and place',
    DOUBLE: 'double',
    NOTHING: 'background',
    MISSED: 'missed',
}
RECALLS = np.linspace(0, 1, 101)  # where COCO reads precisions


@dataclass
class Examined:
    """All detections and objects of a set, flat.

    Attributes:
        image, label, score: D, of the detections; ``image`` counts the images of the set.
        box: D 4, xyxy.
        kind: D, one of the kinds above; FREE: on a crowd, which counts neither way.
        truth: D, the object that a detection has, misses closely, or takes for another; -1: none.
        overlap: D, with that object.
        true_image, true_label, true_box: G, of the objects; crowds are left out.
        found: G, the detection that has the object; -1: none.
        touched: G, whether any detection of any class or score lies on it.
    """

    image: np.ndarray
    label: np.ndarray
    score: np.ndarray
    box: np.ndarray
    kind: np.ndarray
    truth: np.ndarray
    overlap: np.ndarray
    true_image: np.ndarray
    true_label: np.ndarray
    true_box: np.ndarray
    found: np.ndarray
    touched: np.ndarray

    def missed(self) -> np.ndarray:
        """G: objects that nothing has, and that no error of class or place stands for."""
        missed = self.found < 0
        stands = self.truth[np.isin(self.kind, (CLASS, PLACE))]
        missed[stands[stands >= 0]] = False
        return missed

    def counts(self) -> dict[int, int]:
        """Kind -> how often."""
        found = {kind: int((self.kind == kind).sum()) for kind in KINDS}
        return {**found, MISSED: int(self.missed().sum())}


def examine(images: Sequence[dict], threshold: float = 0.0, limit: int = LIMIT, masks: bool = False) -> Examined:
    """Match the detections of a set.

    Args:
        images: each with ``boxes`` (xyxy), ``labels``, ``scores``, and of the truth ``true_boxes``, ``true_labels``,
            ``crowd`` (may be absent): lists or arrays.
        threshold: lower scores are left out.
        limit: detections of an image, the best.
        masks: by the overlaps of masks, ``mask_overlaps`` of each image (D G, crowds among G), not of boxes.
    """
    parts, detections, objects = [], 0, 0
    for number, image in enumerate(images):
        part = _examine_image(image, threshold, limit, masks)
        part['image'] = np.full(len(part['score']), number)
        part['true_image'] = np.full(len(part['true_label']), number)
        part['truth'][part['truth'] >= 0] += objects
        part['found'][part['found'] >= 0] += detections
        detections, objects = detections + len(part['score']), objects + len(part['true_label'])
        parts.append(part)
    return Examined(**{name: np.concatenate([part[name] for part in parts]) for name in Examined.__dataclass_fields__})


def _examine_image(image: dict, threshold: float, limit: int, masks: bool = False) -> dict[str, np.ndarray]:
    """The fields of :class:`Examined` of one image."""
    label, score = np.asarray(image['labels'], int), np.asarray(image['scores'], float)
    order = np.argsort(-score, kind='stable')[:limit]
    order = order[score[order] >= threshold]
    box, label, score = np.reshape(image['boxes'], (-1, 4)).astype(float)[order], label[order], score[order]
    true_box, true_label = np.reshape(image['true_boxes'], (-1, 4)).astype(float), np.asarray(image['true_labels'], int)
    crowd = np.asarray(image.get('crowd', np.zeros(len(true_label))), bool)

    kind, truth, overlap = np.full(len(label), NOTHING), np.full(len(label), -1), np.zeros(len(label))
    if masks:
        given = np.reshape(image['mask_overlaps'], (len(image['labels']), len(true_label))).astype(float)[order]
        crowds, table = given[:, crowd], given[:, ~crowd]
    else:
        crowds, table = overlaps(box, true_box[crowd], crowd=True), overlaps(box, true_box[~crowd])
    crowds = crowds * (label[:, None] == true_label[crowd][None])
    true_box, true_label = true_box[~crowd], true_label[~crowd]
    found = match(table, label, true_label)
    has = np.full(len(label), -1)
    has[found[found >= 0]] = np.flatnonzero(found >= 0)

    for index in range(len(label)) if len(true_label) else ():
        same = true_label == label[index]
        kind[index], truth[index] = _kind(table[index], same, has[index])
    kind[(kind != RIGHT) & (crowds >= OVERLAP).any(1)] = FREE
    rows = np.flatnonzero(truth >= 0)
    overlap[rows] = table[rows, truth[rows]]
    touched = (table >= OVERLAP).any(0)
    return dict(
        box=box, label=label, score=score, kind=kind, truth=truth, overlap=overlap,
        true_box=true_box, true_label=true_label, found=found, touched=touched,
    )  # fmt: skip


def _kind(row: np.ndarray, same: np.ndarray, has: int) -> tuple[int, int]:
    """(kind, object) of a detection: its overlaps with all objects, which of them are of its class, and the object
    that it has (-1: none)."""
    if has >= 0:
        return RIGHT, has
    own, other = np.where(same, row, 0.0), np.where(same, 0.0, row)
    if BACKGROUND <= own.max() < OVERLAP:
        return PLACE, int(own.argmax())
    if other.max() >= OVERLAP:
        return CLASS, int(other.argmax())
    if own.max() >= OVERLAP:
        return DOUBLE, int(own.argmax())
    if row.max() < BACKGROUND:
        return NOTHING, -1
    return BOTH, int(row.argmax())


def overlaps(boxes: np.ndarray, others: np.ndarray, crowd: bool = False) -> np.ndarray:
    """D G, of xyxy boxes; of a crowd the share of the box that lies in it."""
    if not len(boxes) or not len(others):
        return np.zeros((len(boxes), len(others)))
    boxes, others = (np.concatenate([each[:, :2], each[:, 2:] - each[:, :2]], 1) for each in (boxes, others))
    return rle.iou(boxes, others, np.full(len(others), int(crowd)))


def match(table: np.ndarray, label: np.ndarray | None, true_label: np.ndarray | None) -> np.ndarray:
    """G: the detection that gets each object, -1 where none does: the best scores (which come first) choose first, the
    object that they overlap most. Labels None: whatever the class is."""
    found = np.full(table.shape[1], -1)
    allowed = table >= OVERLAP
    if label is not None:
        allowed &= label[:, None] == true_label[None]
    for index in np.flatnonzero(allowed.any(1)):
        free = np.where(allowed[index] & (found < 0), table[index], 0.0)
        if free.max() > 0:
            # Of equal overlaps the last, as in COCO's code.
            found[len(free) - 1 - free[::-1].argmax()] = index
    return found


# Precision and recall


def average_precision(score: np.ndarray, right: np.ndarray, objects: int) -> float:
    """COCO's, at one overlap, of detections of one class; NaN without objects."""
    if not objects:
        return float('nan')
    precision, recall, _ = precision_recall(score, right, objects)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, RECALLS, side='left')
    return float(np.where(places < len(precision), np.append(precision, 0)[places], 0).mean())


def precision_recall(score: np.ndarray, right: np.ndarray, objects: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(precision, recall, score) after each detection, the best first."""
    order = np.argsort(-score, kind='mergesort')
    hits = np.cumsum(right[order])
    return hits / np.arange(1, len(order) + 1), hits / max(objects, 1), score[order]


def mean_precision(label: np.ndarray, score: np.ndarray, right: np.ndarray, objects: np.ndarray) -> float:
    """Mean of the average precisions over the classes that have objects (``objects``: K counts)."""
    values = [average_precision(score[label == k], right[label == k], n) for k, n in enumerate(objects) if n]
    return float(np.mean(values)) if values else float('nan')


@dataclass(frozen=True)
class Balance:
    """The threshold with the best F1, and what holds there."""

    threshold: float
    f1: float
    precision: float
    recall: float


def best_balance(score: np.ndarray, right: np.ndarray, objects: int) -> Balance | None:
    """None where there are no objects or no detections."""
    if not objects or not len(score):
        return None
    precision, recall, scores = precision_recall(score, right, objects)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    last = np.append(scores[1:] != scores[:-1], True)  # of equal scores all are kept, or none
    best = int(np.where(last, f1, -1).argmax())
    lower = scores[best + 1] if best + 1 < len(scores) else 0.0
    threshold = (scores[best] + lower) / 2  # halfway to the next, so that rounding does not matter
    return Balance(float(threshold), float(f1[best]), float(precision[best]), float(recall[best]))


def f1_curve(score: np.ndarray, right: np.ndarray, objects: int, thresholds: np.ndarray) -> np.ndarray:
    """F1 of what has at least each of the thresholds."""
    kept = score[None] >= thresholds[:, None]
    hits, number = (kept & right[None]).sum(1), kept.sum(1)
    return 2 * hits / np.maximum(number + objects, 1)


def calibration(score: np.ndarray, right: np.ndarray, bins: int = 10) -> tuple[list[tuple[float, float, int]], float]:
    """[(mean score, share that is right, number)] of each bin that has detections; and the mean gap between the two,
    weighted by the numbers (expected calibration error)."""
    place = np.minimum((score * bins).astype(int), bins - 1)
    filled = [place == index for index in range(bins)]
    rows = [(float(score[each].mean()), float(right[each].mean()), int(each.sum())) for each in filled if each.any()]
    gap = sum(number * abs(said - true) for said, true, number in rows) / max(len(score), 1)
    return rows, gap


# What errors cost


def costs(seen: Examined, num_classes: int) -> tuple[float, dict[int, float]]:
    """The average precision at one overlap, and for each kind of error how much it rises without it.

    A detection of a wrong class or place is mended (the best one for each object that nothing has; others go); doubles,
    background and what is wrong in both go; missed objects are not asked for.
    """
    counted = seen.kind != FREE
    objects = np.bincount(seen.true_label, minlength=num_classes)
    right = seen.kind == RIGHT
    base = mean_precision(seen.label[counted], seen.score[counted], right[counted], objects)
    rise = {}
    for kind in KINDS:
        label, hit, keep, asked = seen.label, right, counted & (seen.kind != kind), objects
        if kind in (CLASS, PLACE):
            mended = _mended(seen, kind)
            label, hit, keep = label.copy(), right.copy(), keep.copy()
            label[mended], hit[mended], keep[mended] = seen.true_label[seen.truth[mended]], True, True
        elif kind == MISSED:
            asked = objects - np.bincount(seen.true_label[seen.missed()], minlength=num_classes)
        rise[kind] = mean_precision(label[keep], seen.score[keep], hit[keep], asked) - base
    return base, {kind: 0.0 if np.isnan(value) else value for kind, value in rise.items()}


def _mended(seen: Examined, kind: int) -> np.ndarray:
    """Of the detections of a kind those that are, of all with an error of class or place, the best for an object that
    nothing has."""
    rows = np.flatnonzero(np.isin(seen.kind, (CLASS, PLACE)))
    rows = rows[seen.found[seen.truth[rows]] < 0]
    rows = rows[np.argsort(-seen.score[rows], kind='stable')]
    _, first = np.unique(seen.truth[rows], return_index=True)
    best = rows[first]
    return best[seen.kind[best] == kind]


# What is taken for what


@dataclass
class Confusion:
    """``pairs``: (class of the object, class of the detection) -> rows (image, detection, object) of it; class K is
    the background, -1 stands for no detection or no object."""

    num_classes: int
    pairs: dict[tuple[int, int], list[tuple[int, int, int]]]

    def table(self) -> np.ndarray:
        """K + 1 x K + 1 counts."""
        made = np.zeros((self.num_classes + 1, self.num_classes + 1), int)
        for pair, rows in self.pairs.items():
            made[pair] = len(rows)
        return made


def confusion(seen: Examined, num_classes: int) -> Confusion:
    """Detections and objects matched whatever their class, by overlap, the best scores first."""
    pairs: dict[tuple[int, int], list[tuple[int, int, int]]] = {}

    def add(truth: int, found: int, row: tuple[int, int, int]) -> None:
        pairs.setdefault((truth, found), []).append(row)

    for image in np.union1d(seen.image, seen.true_image).astype(int).tolist():
        rows = np.flatnonzero((seen.image == image) & (seen.kind != FREE))
        objects = np.flatnonzero(seen.true_image == image)
        has = match(overlaps(seen.box[rows], seen.true_box[objects]), None, None)
        for place, row in enumerate(has.tolist()):
            label = num_classes if row < 0 else int(seen.label[rows[row]])
            detection = -1 if row < 0 else int(rows[row])
            add(int(seen.true_label[objects[place]]), label, (image, detection, int(objects[place])))
        for row in set(range(len(rows))) - set(has.tolist()):
            add(num_classes, int(seen.label[rows[row]]), (image, int(rows[row]), -1))
    return Confusion(num_classes, pairs)
