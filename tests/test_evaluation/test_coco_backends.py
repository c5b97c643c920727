"""All backends find what pycocotools finds, on hard cases: crowds, images without objects or detections, equal scores,
objects of all sizes, a class without objects."""

import importlib.util

import numpy as np
import pytest
from mmdet.datasets.api_wrappers import COCO
from pycocotools import mask as masks

from mmparts.evaluation import CheckedCocoMetric, coco_backends

SIZE, CLASSES = 200, 4
FAST = [name for name in coco_backends.BACKENDS if name != 'pycocotools']


def box(rng) -> list[float]:
    size = np.exp(rng.uniform(np.log(4), np.log(180), 2))
    return [*rng.uniform(0, SIZE - size), *size]


def ellipse(bbox: list[float]) -> dict:
    x, y, w, h = bbox
    rows, cols = np.mgrid[:SIZE, :SIZE]
    inside = ((cols - x - w / 2) / w) ** 2 + ((rows - y - h / 2) / h) ** 2 < 0.25
    rle = masks.encode(np.asfortranarray(inside.astype(np.uint8)))
    return dict(size=rle['size'], counts=rle['counts'].decode())


def made(images: int, seed: int) -> tuple[dict, list[dict]]:
    """A ground truth and detections, half of them near objects."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(1, images + 1):
        mine = [(box(rng), int(rng.integers(1, CLASSES))) for _ in range(rng.integers(0, 9) * (image % 4 > 0))]
        for bbox, label in mine:
            x, y, w, h = bbox
            polygon = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            crowd = int(rng.random() < 0.2)
            truth.append(
                dict(
                    id=len(truth) + 1,
                    image_id=image,
                    category_id=label,
                    bbox=bbox,
                    iscrowd=crowd,
                    area=w * h * rng.uniform(0.4, 1),
                    segmentation=ellipse(bbox) if crowd else polygon,
                )
            )
        for _ in range(rng.integers(0, 30) * (image % 5 > 0)):
            bbox, label, score = box(rng), int(rng.integers(1, CLASSES + 1)), rng.random() / 2
            if mine and rng.random() < 0.8:
                near, label = mine[rng.integers(len(mine))]
                bbox, score = (np.array(near) * rng.uniform(0.95, 1.05, 4)).tolist(), rng.random()
            found.append(
                dict(
                    image_id=image,
                    category_id=label,
                    bbox=bbox,
                    segmentation=ellipse(bbox),
                    score=round(float(score), 1),
                )
            )
    listed = [dict(id=i, width=SIZE, height=SIZE, file_name=f'{i}.jpg') for i in range(1, images + 1)]
    named = [dict(id=i, name=str(i)) for i in range(1, CLASSES + 1)]
    return dict(images=listed, annotations=truth, categories=named), found


def evaluated(backend: str, iou_type: str, seed: int, proposals: bool = False):
    content, found = made(20, seed)
    truth = COCO()
    truth.dataset = content
    truth.createIndex()
    if iou_type == 'segm':
        for each in found:
            del each['bbox']
    run = coco_backends.evaluator(backend, truth, truth.loadRes(found), iou_type)
    run.params.catIds = sorted(truth.cats)
    run.params.imgIds = sorted(truth.imgs)[2:]
    run.params.maxDets = [5, 10, 100]
    run.params.iouThrs = np.linspace(0.5, 0.95, 10)
    if proposals:
        run.params.useCats = 0
    run.evaluate()
    run.accumulate()
    run.summarize()
    return np.array(run.stats), np.array(run.eval['precision'])


@pytest.mark.parametrize('backend', FAST)
@pytest.mark.parametrize(('iou_type', 'proposals'), [('bbox', False), ('segm', False), ('bbox', True)])
@pytest.mark.parametrize('seed', [0, 1])
def test_the_precisions_are_those_of_pycocotools(backend, iou_type, proposals, seed):
    pytest.importorskip(backend)
    stats, precision = evaluated(backend, iou_type, seed, proposals)
    expected, expected_precision = evaluated('pycocotools', iou_type, seed, proposals)
    np.testing.assert_allclose(stats, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(precision, expected_precision, rtol=0, atol=1e-6)
    assert 0.05 < expected[0] < 0.95 and len(set(expected[:6])) == 6


@pytest.mark.parametrize(
    ('installed', 'expected'),
    [(('hotcoco', 'faster_coco_eval'), 'hotcoco'), (('faster_coco_eval',), 'faster_coco_eval'), ((), 'pycocotools')],
)
def test_the_fastest_that_is_installed_is_taken(installed, expected, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name in (*installed, 'pycocotools') or None)
    assert CheckedCocoMetric().backend == expected
    assert CheckedCocoMetric(backend='pycocotools').backend == 'pycocotools'
    for missing in set(FAST) - set(installed):
        with pytest.raises(ImportError, match=f'pip install {missing.replace("_", "-")}'):
            CheckedCocoMetric(backend=missing)


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="backend='coco' of the COCO metric is unknown; choose from 'auto', 'hotcoco'"):
        CheckedCocoMetric(backend='coco')


def test_the_log_names_the_backend(monkeypatch):
    lines = []
    monkeypatch.setattr(coco_backends, 'print_log', lambda message, *args, **kwargs: lines.append(message))
    evaluated('pycocotools', 'bbox', 0)
    assert lines == ['COCO evaluation of bbox by pycocotools']
