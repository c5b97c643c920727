import itertools
import json

import numpy as np
import pytest
import torch

from mmparts.datasets import CheckedCocoDataset, make_shapes
from mmparts.datasets.shapes import CLASSES
from mmparts.evaluation import CheckedCocoMetric


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    out = tmp_path_factory.mktemp('data') / 'shapes'
    make_shapes(out, images=1, val_images=24, size=64)
    return out


def load(root, **kwargs) -> CheckedCocoDataset:
    return CheckedCocoDataset(
        ann_file='annotations/instances_val.json',
        data_root=str(root),
        data_prefix=dict(img='val/'),
        test_mode=True,
        **kwargs,
    )


def evaluate(dataset, keep=lambda label: True, shift: int = 0, **kwargs) -> dict:
    """Feed the ground truth back as predictions, its labels raised by ``shift``, those only that ``keep`` likes."""
    metric = CheckedCocoMetric(**kwargs)
    metric.dataset_meta = dataset.metainfo
    classes = len(dataset.metainfo['classes'])
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        objects = [item for item in info['instances'] if keep(item['bbox_label'])]
        prediction = dict(
            bboxes=torch.tensor([item['bbox'] for item in objects]).reshape(-1, 4).float(),
            labels=torch.tensor([(item['bbox_label'] + shift) % classes for item in objects], dtype=torch.long),
            scores=torch.ones(len(objects)),
        )
        metric.process(
            {}, [dict(pred_instances=prediction, img_id=info['img_id'], ori_shape=(info['height'], info['width']))]
        )
    return metric.evaluate(len(dataset))


@pytest.mark.parametrize('classes', [CLASSES, CLASSES[::-1], ('ring', 'circle', 'cross', 'square', 'triangle', 'star')])
def test_the_truth_scores_one_in_any_order_of_classes(shapes, classes):
    dataset = load(shapes, metainfo=dict(classes=classes))
    assert evaluate(dataset)['coco/bbox_mAP'] == 1
    assert evaluate(dataset, shift=1)['coco/bbox_mAP'] < 0.1


def test_the_table_by_class_names_the_right_class(shapes):
    classes = ('ring', 'circle', 'cross', 'square', 'triangle', 'star')
    found = evaluate(
        load(shapes, metainfo=dict(classes=classes)), keep=lambda label: classes[label] == 'cross', classwise=True
    )
    assert [name for name in classes if found[f'coco/{name}_precision'] > 0] == ['cross']


def test_it_equals_mmdet_with_the_file_given(shapes):
    from mmdet.evaluation import CocoMetric

    dataset = load(shapes)
    dataset_truth = json.loads((shapes / 'annotations/instances_val.json').read_text())
    metrics = [CocoMetric(ann_file=dataset.ann_file), CheckedCocoMetric()]
    for metric, image in itertools.product(metrics, dataset_truth['images']):
        metric.dataset_meta = dataset.metainfo
        rng = np.random.default_rng(image['id'])
        boxes = [a['bbox'] for a in dataset_truth['annotations'] if a['image_id'] == image['id']] or [[1, 1, 9, 9]]
        boxes = np.float32(boxes) + rng.normal(0, 1, (len(boxes), 4))
        boxes[:, 2:] += boxes[:, :2]
        labels = [a['category_id'] - 1 for a in dataset_truth['annotations'] if a['image_id'] == image['id']] or [0]
        scores = torch.tensor(rng.random(len(boxes)))
        prediction = dict(bboxes=torch.tensor(boxes), labels=torch.tensor(labels), scores=scores)
        metric.process(
            {}, [dict(pred_instances=prediction, img_id=image['id'], ori_shape=(image['height'], image['width']))]
        )
    theirs, ours = (metric.evaluate(len(dataset)) for metric in metrics)
    assert theirs == ours and 0.2 < ours['coco/bbox_mAP'] < 0.99


def test_a_cut_data_set_is_judged_by_its_own_images(shapes):
    assert evaluate(load(shapes, indices=4))['coco/bbox_mAP'] == 1


def test_a_class_that_the_file_lacks_does_not_count(shapes):
    dataset = load(shapes, metainfo=dict(classes=('heart', *CLASSES)), allow_missing=('heart',))
    assert evaluate(dataset, classwise=True)['coco/bbox_mAP'] == 1


def test_without_a_file_it_says_what_to_do():
    with pytest.raises(ValueError, match='CheckedCocoDataset with test_mode=True'):
        CheckedCocoMetric().dataset_meta = dict(classes=('a',))


def test_more_classes_than_the_data_has_are_named(shapes):
    metric = CheckedCocoMetric()
    metric.dataset_meta = load(shapes).metainfo
    prediction = dict(bboxes=torch.zeros(1, 4), labels=torch.tensor([6]), scores=torch.ones(1))
    with pytest.raises(ValueError, match='label 6 was predicted, but the data set has 6 classes'):
        metric.process({}, [dict(pred_instances=prediction, img_id=1, ori_shape=(9, 9))])
