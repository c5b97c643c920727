"""Kinds of errors and curves of detections, held against hotcoco's counts of the same boxes."""

import numpy as np
import pytest

from mmparts.evaluation import detection_errors as errors
from mmparts.evaluation.detection_errors import CLASS, DOUBLE, KINDS, MISSED, NOTHING, PLACE

NUM_CLASSES = 3


def scene(random: np.random.Generator, detections: int = 40, objects: int = 8) -> dict:
    """An image with objects, and detections that lie near them: right, shifted, doubled, of other classes, nowhere."""
    corner, side = random.uniform(0, 400, (objects, 2)), random.uniform(20, 80, (objects, 2))
    true = np.concatenate([corner, corner + side], 1)
    labels = random.integers(NUM_CLASSES, size=objects)
    near = random.integers(objects, size=detections)
    boxes = true[near] + random.normal(0, 1, (detections, 4)) * random.choice([1, 8, 25], (detections, 1))
    boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:] - 2), boxes[:, 2:]], 1)
    nowhere = random.random(detections) < 0.2
    boxes[nowhere] = [500, 500, 530, 530]
    said = np.where(random.random(detections) < 0.7, labels[near], random.integers(NUM_CLASSES, size=detections))
    return dict(
        boxes=boxes, labels=said, scores=random.permutation(detections) / detections + random.random() / 100,
        true_boxes=true, true_labels=labels,
    )  # fmt: skip


@pytest.fixture(scope='module')
def images():
    random = np.random.default_rng(0)
    empty = dict(boxes=[[1, 1, 9, 9]], labels=[0], scores=[0.3], true_boxes=np.zeros((0, 4)), true_labels=[])
    nothing_found = dict(scene(random), boxes=np.zeros((0, 4)), labels=[], scores=[])
    return [*(scene(random) for _ in range(12)), empty, nothing_found]


def hotcoco_run(images, overlaps=(0.5,)):
    hotcoco = pytest.importorskip('hotcoco')

    def xywh(box):
        return [float(v) for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])]

    truth, found = [], []
    for number, image in enumerate(images, 1):
        for box, label in zip(image['true_boxes'], image['true_labels']):
            box = xywh(box)
            one = dict(image_id=number, category_id=int(label) + 1, bbox=box, area=box[2] * box[3], iscrowd=0)
            truth.append(dict(one, id=len(truth) + 1))
        for box, label, score in zip(image['boxes'], image['labels'], image['scores']):
            box = xywh(box)
            one = dict(image_id=number, category_id=int(label) + 1, bbox=box, area=box[2] * box[3], score=float(score))
            found.append(dict(one, id=len(found) + 1, iscrowd=0))
    heads = dict(
        images=[dict(id=n, width=600, height=600) for n in range(1, len(images) + 1)],
        categories=[dict(id=k + 1, name=str(k)) for k in range(NUM_CLASSES)],
    )
    run = hotcoco.COCOeval(
        hotcoco.COCO(dict(heads, annotations=truth)), hotcoco.COCO(dict(heads, annotations=found)), 'bbox'
    )
    run.params.maxDets = [100]
    run.params.iouThrs = list(overlaps)
    run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ['all']
    run.evaluate()
    return run


def test_kinds_and_their_costs_are_those_of_tide(images):
    seen = errors.examine(images)
    base, rise = errors.costs(seen, NUM_CLASSES)
    tide = hotcoco_run(images).tide_errors(pos_thr=0.5, bg_thr=0.1)
    names = dict(zip(KINDS, ('Cls', 'Loc', 'Both', 'Dupe', 'Bkg', 'Miss')))
    assert base == pytest.approx(tide['ap_base'], abs=1e-6) and 0.2 < base < 0.95
    assert {names[kind]: count for kind, count in seen.counts().items()} == {
        name: tide['counts'][name] for name in names.values()
    }
    for kind, name in names.items():
        assert rise[kind] == pytest.approx(tide['delta_ap'][name], abs=1e-6), name
    assert all(count for count in seen.counts().values())  # every kind is in the scenes


def test_confusion_is_that_of_hotcoco(images):
    seen = errors.examine(images, threshold=0.4)
    table = errors.confusion(seen, NUM_CLASSES).table()
    expected = hotcoco_run(images).confusion_matrix(iou_thr=0.5, max_det=100, min_score=0.4)['matrix']
    np.testing.assert_array_equal(table, expected.astype(int))


def test_calibration_is_that_of_hotcoco(images):
    seen = errors.examine(images)
    rows, gap = errors.calibration(seen.score, seen.kind == errors.RIGHT)
    expected = hotcoco_run(images).calibration(n_bins=10, iou_threshold=0.5)
    assert gap == pytest.approx(expected['ece'], abs=1e-6)
    assert sum(number for *_, number in rows) == expected['num_detections'] == len(seen.score)


def test_the_threshold_of_the_best_f1_by_trying_all(images):
    seen = errors.examine(images)
    right, objects = seen.kind == errors.RIGHT, len(seen.true_label)
    best = errors.best_balance(seen.score, right, objects)
    tried = [
        2 * (right & (seen.score >= at)).sum() / ((seen.score >= at).sum() + objects) for at in np.unique(seen.score)
    ]
    assert best.f1 == pytest.approx(max(tried))
    kept = seen.score >= best.threshold
    assert best.precision == pytest.approx(right[kept].mean()) and best.recall == pytest.approx(
        right[kept].sum() / objects
    )
    assert errors.f1_curve(seen.score, right, objects, np.array([best.threshold]))[0] == pytest.approx(best.f1)


def test_each_kind_by_a_box_of_its_own():
    true = [[0, 0, 10, 10], [100, 0, 110, 10], [200, 0, 210, 10]]
    boxes = [[0, 0, 10, 10], [0, 0, 10, 9], [105, 0, 115, 10], [200, 0, 210, 10], [400, 0, 410, 10]]
    image = dict(true_boxes=true, true_labels=[0, 0, 1], boxes=boxes, labels=[0, 0, 0, 0, 0], scores=[5, 4, 3, 2, 1])
    seen = errors.examine([image])
    assert seen.kind.tolist() == [errors.RIGHT, DOUBLE, PLACE, CLASS, NOTHING]
    assert seen.truth.tolist() == [0, 0, 1, 2, -1] and seen.found.tolist() == [0, -1, -1]
    assert seen.counts()[MISSED] == 0 and seen.touched.tolist() == [True, False, True]
    missed = errors.examine([dict(image, boxes=[], labels=[], scores=[])])
    assert missed.counts()[MISSED] == 3 and not missed.touched.any()


def test_crowds_count_neither_way():
    image = dict(true_boxes=[[0, 0, 100, 100]], true_labels=[0], crowd=[1], boxes=[[10, 10, 20, 20]], labels=[0])
    seen = errors.examine([dict(image, scores=[0.9])])
    assert seen.kind.tolist() == [errors.FREE] and len(seen.true_label) == 0
    assert not any(seen.counts().values()) and not errors.confusion(seen, 1).pairs


def test_overlaps_of_masks_are_taken_where_they_are_given(images):
    """With those of the boxes in their place everything is as of boxes; with others it is not."""
    tables = [errors.overlaps(np.reshape(one['boxes'], (-1, 4)), one['true_boxes']) for one in images]
    same = [dict(one, mask_overlaps=table.tolist()) for one, table in zip(images, tables)]
    boxes, masks = errors.examine(images, 0.2), errors.examine(same, 0.2, masks=True)
    assert (boxes.kind == masks.kind).all() and (boxes.truth == masks.truth).all() and len(boxes.kind) > 50
    worse = [dict(one, mask_overlaps=(0.5 * table).tolist()) for one, table in zip(images, tables)]
    counts = errors.examine(worse, masks=True).counts()
    assert counts[errors.PLACE] > errors.examine(images).counts()[errors.PLACE]


def test_the_share_of_a_mask_in_a_crowd_counts_neither_way():
    image = dict(
        boxes=[[0, 0, 9, 9]], labels=[0], scores=[0.9], true_boxes=[[0, 0, 5, 5], [0, 0, 50, 50]], true_labels=[0, 0],
        crowd=[0, 1],
    )  # fmt: skip
    assert errors.examine([dict(image, mask_overlaps=[[0.2, 0.9]])], masks=True).kind.tolist() == [errors.FREE]
    assert errors.examine([dict(image, mask_overlaps=[[0.2, 0.1]])], masks=True).kind.tolist() == [errors.PLACE]
