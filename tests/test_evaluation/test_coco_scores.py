"""One definition of COCO's precisions over all back ends, where back ends' own summaries differ: more than 100 objects
and detections of a class, ids that are no numbers from 1, other overlaps, some of the classes."""

import itertools
import json
from functools import cache

import numpy as np
import pytest
import torch
from mmdet.datasets.api_wrappers import COCO
from pycocotools import mask as rle

from mmparts.datasets import CheckedCocoDataset
from mmparts.evaluation import CheckedCocoMetric, coco_backends
from mmparts.evaluation.coco_scores import Truth, score

BACKENDS = list(coco_backends.BACKENDS)
SIDE = 400


def indexed(images, annotations, categories) -> COCO:
    coco = COCO()
    coco.dataset = dict(
        images=[dict(id=i, width=SIDE, height=SIDE) for i in images],
        annotations=[dict(each, id=number) for number, each in enumerate(annotations)],
        categories=[dict(id=i, name=f'class {i}') for i in categories],
    )
    coco.createIndex()
    return coco


def grid(count: int) -> list[list[float]]:
    """Boxes that do not touch."""
    return [[20.0 * (i % 20), 20.0 * (i // 20), 15.0, 15.0] for i in range(count)]


# holds: more than 100 objects
@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(('objects', 'limit'), [(150, 100), (150, 150), (300, 100), (100, 100), (50, 30)])
def test_perfect_detections_reach_what_the_limit_lets_them(backend, objects, limit):
    pytest.importorskip(backend)
    truth = Truth(
        indexed(['a'], [dict(image_id='a', category_id=0, bbox=box) for box in grid(objects)], [0]), ['a'], [0], 'bbox'
    )
    found = [dict(image_id='a', category_id=0, bbox=box, score=0.5) for box in grid(objects)]
    counted = score(backend, truth, found, np.array([0.5, 0.75]), limit, (10, limit))
    # 101 recalls 0, 0.01 ... 1 are read; those up to limit / objects are reached, all with precision 1.
    reached = np.count_nonzero(np.linspace(0, 1, 101) <= min(1, limit / objects) + 1e-9)
    assert counted.ap() == pytest.approx(reached / 101)
    assert counted.ap(0.5) == counted.ap(0.75) == counted.ap(None, 'small') == counted.ap()
    assert counted.ap(None, 'large') == -1
    assert counted.ar(limit) == pytest.approx(min(1, limit / objects))
    assert counted.ar(10) == pytest.approx(10 / objects)
    assert truth.crowded(limit) == ((1, objects) if objects > limit else (0, 0))


def scene(ids) -> tuple[COCO, list[dict]]:
    """Two images with 130 objects of a class and 220 detections, fewer of another; crowds and equal scores."""
    rng = np.random.default_rng(0)
    annotations, found = [], []
    for image, (category, count) in itertools.product(ids[:2], zip(ids[3:5], (130, 12))):
        for number in range(count):
            x, y, w, h = box = [*rng.uniform(0, 300, 2).tolist(), *rng.uniform(4, 99, 2).tolist()]
            crowd = int(rng.random() < 0.05)
            counts = [int(x) * SIDE, SIDE * int(w), SIDE * (SIDE - int(x) - int(w))]
            mask = dict(size=[SIDE, SIDE], counts=counts) if crowd else [[x, y, x + w, y, x + w, y + h, x, y + h]]
            named = dict(image_id=image, category_id=category)
            annotations.append(dict(named, bbox=box, iscrowd=crowd, segmentation=mask))
            for near in np.array(box) * rng.uniform(0.9, 1.1, (1 + number % 3 % 2, 4)):
                score = round(float(rng.random()), 2)
                found.append(dict(named, bbox=near.tolist(), segmentation=filled(near), score=score))
    return indexed(ids[:3], annotations, ids[3:]), found


def filled(box) -> dict:
    x, y, w, h = box
    return rle.frPyObjects([[x, y, x + w, y, x + w, y + h, x, y + h]], SIDE, SIDE)[0]


@cache
def counted(backend, ids, thresholds, kind='bbox', by_class=True):
    coco, found = scene(ids)
    return score(
        backend, Truth(coco, ids[:3], ids[3:], kind), found, np.array(thresholds), 100, (10, 100, 300), by_class
    )


FROM_1 = (1, 2, 3, 1, 2, 3)
TEN = tuple(np.linspace(0.5, 0.95, 10))


# holds: more than 100 objects
@pytest.mark.parametrize('backend', [name for name in BACKENDS if name != 'pycocotools'])
@pytest.mark.parametrize(
    'case', [(TEN,), ((0.5,),), ((0.3, 0.75),), ((0.5,), 'bbox', False), ((0.5,), 'segm')], ids=str
)
def test_back_ends_agree_beyond_100(backend, case):
    pytest.importorskip(backend)
    ours, theirs = (counted(name, FROM_1, *case) for name in (backend, 'pycocotools'))
    np.testing.assert_allclose(ours.precision, theirs.precision, rtol=0, atol=1e-6)
    for num in (10, 100, 300):
        np.testing.assert_allclose(ours.recall[num], theirs.recall[num], rtol=0, atol=1e-6)
    assert 0.1 < theirs.ap() < 0.9 and theirs.ar(10) < theirs.ar(100) < theirs.ar(300)


# holds: ids 0, huge or names
@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('ids', [(0, 10**12, 7, 90, 0, 5), ('c', 'a', 'b', 'y', 'x', 'z')])
def test_ids_are_names_only(backend, ids):
    """An image, a class or an object with id 0 counts as any other."""
    pytest.importorskip(backend)
    ours, plain = counted(backend, ids, (0.5,)), counted(backend, FROM_1, (0.5,))
    np.testing.assert_allclose(ours.precision, plain.precision, rtol=0, atol=1e-6)


@pytest.mark.parametrize('backend', BACKENDS)
def test_nothing_found_and_nothing_annotated(backend):
    pytest.importorskip(backend)
    coco, found = scene(FROM_1)
    assert score(backend, Truth(coco, [1], [1], 'bbox'), [], np.array([0.5]), 100, (10,)).ap() == 0
    assert score(backend, Truth(coco, [1], [3], 'bbox'), found, np.array([0.5]), 100, (10,)).ap() == -1


def write(folder, counts=(3, 120), names=('cell', 'dog'), change=None) -> CheckedCocoDataset:
    """Two images: objects of two classes in turn."""
    annotations = [
        dict(image_id=image, category_id=number % 2, bbox=box, area=box[2] * box[3], iscrowd=0)
        for image, count in enumerate(counts)
        for number, box in enumerate(grid(2 * count))
    ]
    content = dict(
        images=[dict(id=i, file_name=f'{i}.png', width=SIDE, height=SIDE) for i in range(len(counts))],
        categories=[dict(id=i, name=name) for i, name in enumerate(names)],
        annotations=[dict(each, id=number) for number, each in enumerate(annotations)],
    )
    if change:
        change(content)
    (folder / 'ann.json').write_text(json.dumps(content))
    return CheckedCocoDataset(ann_file='ann.json', data_root=str(folder), data_prefix=dict(img=''), test_mode=True)


def told(dataset, keep=lambda label, number: True, masks=False, **kwargs) -> dict:
    """What the metric says when the truth is predicted, those objects only that ``keep`` likes."""
    metric = CheckedCocoMetric(**kwargs)
    metric.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        kept = [each for n, each in enumerate(info['instances']) if keep(each['bbox_label'], n)]
        prediction = dict(
            bboxes=torch.tensor([each['bbox'] for each in kept]).reshape(-1, 4),
            labels=torch.tensor([each['bbox_label'] for each in kept], dtype=torch.long),
            scores=torch.ones(len(kept)),
        )
        metric.process({}, [dict(pred_instances=prediction, img_id=info['img_id'], ori_shape=(SIDE, SIDE))])
    return metric.evaluate(len(dataset))


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmparts.evaluation.coco_metric.print_log', lambda line, *args, **kwargs: lines.append(str(line))
    )
    return lines


# holds: more than 100 objects
@pytest.mark.parametrize('backend', BACKENDS)
def test_the_limit_is_printed_and_the_truth_beyond_it_is_warned_of(tmp_path, backend, log):
    pytest.importorskip(backend)
    found = told(write(tmp_path), backend=backend)
    # 123 objects of each class, of which the first image has 3; all 103 that count are right.
    assert found['coco/bbox_mAP'] == found['coco/bbox_mAP_50'] == round(84 / 101, 3)
    assert any('at most 100 detections of a class in an image' in line for line in log)
    assert any('1 images have more than 100 objects of a class, up to 120' in line for line in log)
    assert told(write(tmp_path), backend=backend, max_dets=120)['coco/bbox_mAP'] == 1


# holds: ids 0, huge or names
@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(
    ('overlaps', 'names'),
    [
        (0.5, ['mAP', 'mAP_50', 'mAP_s', 'mAP_m', 'mAP_l']),
        ([0.5], ['mAP', 'mAP_50', 'mAP_s', 'mAP_m', 'mAP_l']),
        ((0.3, 0.75), ['mAP', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l']),
        (None, ['mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l']),
    ],
)
def test_overlaps_as_number_or_list(tmp_path, backend, overlaps, names):
    pytest.importorskip(backend)
    found = told(write(tmp_path, (3, 4)), iou_thrs=overlaps, backend=backend, classwise=True)
    assert found.pop('coco/cell_precision') == found.pop('coco/dog_precision') == 1
    assert list(found) == [f'coco/bbox_{name}' for name in names]
    assert found['coco/bbox_mAP'] == 1 and found['coco/bbox_mAP_l'] == -1


# holds: ids 0, huge or names
def test_some_of_the_classes(tmp_path, log):
    dataset = write(tmp_path, (3, 4))
    only_cells = dict(keep=lambda label, number: label == 0)
    assert told(dataset, **only_cells)['coco/bbox_mAP'] == 0.5
    assert told(dataset, **only_cells, classes=('cell',))['coco/bbox_mAP'] == 1
    assert any('of 1 of 2 classes' in line for line in log)
    assert told(dataset, **only_cells, classes=['dog'])['coco/bbox_mAP'] == 0
    with pytest.raises(ValueError, match="'cel', which is no class of the data set; did you mean 'cell'"):
        told(dataset, classes=('cel',))


@pytest.mark.parametrize('kind', ['proposal', 'proposal_fast'])
def test_recalls_are_named_by_their_number(tmp_path, kind):
    found = told(write(tmp_path), metric=kind, proposal_nums=(10, 240))
    assert found['coco/AR@10'] == round(16 / 246, 3)  # of 6 and 240 objects, 6 and 10
    assert found['coco/AR@240'] == 1
    assert ('coco/AR_s@240' in found) == (kind == 'proposal')


@pytest.mark.parametrize(
    ('kwargs', 'words'),
    [
        (dict(metric='box'), "metric='box' of the COCO metric is unknown; did you mean 'bbox'"),
        (dict(metric=['bbox', 'segms']), "'segms'.*did you mean 'segm'"),
        (dict(metric_items=['mAP50']), "'mAP50'; did you mean 'mAP_50'"),
        (dict(metric_items=['AR@7']), "'AR@7'; did you mean"),
        (dict(iou_thrs=[]), r'overlaps lie in \(0, 1\]'),
        (dict(iou_thrs=50), r'overlaps lie in \(0, 1\]'),
        (dict(iou_thrs=[0.5, float('nan')]), r'overlaps lie in \(0, 1\]'),
        (dict(max_dets=0), 'at least 1 detection'),
    ],
)
def test_names_and_values_that_there_are_not(kwargs, words):
    with pytest.raises(ValueError, match=words):
        CheckedCocoMetric(**kwargs)


def test_classes_as_a_bare_string_are_refused():
    with pytest.raises(TypeError, match='with a comma'):
        CheckedCocoMetric(classes='cell')


def test_masks_that_a_model_does_not_make_are_missed_at_the_first_image(tmp_path):
    with pytest.raises(ValueError, match="the model predicts boxes only; write metric='bbox'"):
        masks = dict(segmentation=[[1, 1, 9, 1, 9, 9]])
        change = lambda content: [each.update(masks) for each in content['annotations']]  # noqa: E731
        told(write(tmp_path, (1, 1), change=change), metric=['bbox', 'segm'])


def test_the_names_are_those_that_are_told(tmp_path):
    for kwargs in (
        dict(metric='bbox', classwise=True),
        dict(metric=['proposal', 'proposal_fast', 'bbox'], iou_thrs=[0.5]),
        dict(metric_items=['mAP', 'AR@300']),
    ):
        dataset = write(tmp_path, (2, 3))
        metric = CheckedCocoMetric(**kwargs)
        metric.dataset_meta = dataset.metainfo
        assert sorted(metric.names()) == sorted(told(dataset, **kwargs))
