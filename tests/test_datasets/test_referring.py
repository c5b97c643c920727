"""Phrases with boxes: MDETR's files, objects by their names, what is refused, how boxes go with images; the metric."""

import json

import cv2
import numpy as np
import pytest
import torch

from mmparts.datasets import BadAnnotations, NamedObjects, ReferredObjects
from mmparts.evaluation import PhraseBoxes
from mmparts.structures import MultimodalSample

CATEGORIES = [dict(id=1, name='red circle'), dict(id=2, name='blue star')]


def image(number, **more):
    return dict(id=number, file_name='a.png', width=80, height=40, **more)


def box(number, of, x=8, category=1, **more):
    return dict(id=number, image_id=of, category_id=category, bbox=[x, 4, 16, 20], **more)


def written(folder, images, annotations, name='phrases.json'):
    content = dict(images=images, annotations=annotations, categories=CATEGORIES)
    (folder / name).write_text(json.dumps(content))
    cv2.imwrite(str(folder / 'a.png'), np.zeros((40, 80, 3), np.uint8))
    return dict(ann_file=name, data_root=str(folder), data_prefix=dict(img=''))


def test_a_phrase_of_refcoco_means_the_box_of_its_image(tmp_path):
    """One image stands for each of two phrases; the box goes with it through a resize to a square."""
    said = written(tmp_path, [image(1, caption='left one'), image(2, caption='right')], [box(5, 1), box(6, 2, x=48)])
    pipeline = [
        dict(type='mmparts.LoadCheckedImage'),
        dict(type='mmcv.Resize', scale=(32, 32)),
        dict(type='mmparts.PackMultimodal', texts='first'),
    ]
    found = ReferredObjects(**said, pipeline=pipeline)
    assert [found.get_data_info(index)['texts'] for index in (0, 1)] == [['left one'], ['right']]
    item = found[1]
    assert item['inputs']['text'] == 'right' and item['inputs']['image'].shape == (3, 32, 32)
    wanted = torch.tensor([48 / 80, 4 / 40, 64 / 80, 24 / 40])
    torch.testing.assert_close(item['data_samples'].gt_box, wanted)


@pytest.mark.parametrize(
    ('images', 'boxes', 'message'),
    [
        ([image(1)], [box(5, 1)], 'image 1 has the caption None; it should be a phrase'),
        ([image(1, caption=' .')], [box(5, 1)], "the caption ' .'"),
        ([image(1, caption='left')], [box(5, 1), box(6, 1)], r"image 1 \('left'\) has 2 boxes; a phrase means one"),
        ([image(1, caption='left'), image(2, caption='right')], [box(5, 1)], r"\('right'\) has 0 boxes"),
        ([image(1, caption='left')], [box(5, 1, x=90)], r"\('left'\): the box \[90, 4, 16, 20\] is outside the image"),
    ],
)
def test_what_means_no_box_is_refused(tmp_path, images, boxes, message):
    with pytest.raises(BadAnnotations, match=message):
        ReferredObjects(**written(tmp_path, images, boxes))


def test_pickles_are_refused_by_name(tmp_path):
    """The files of refer are pickles; they are not opened, not even where they are."""
    with pytest.raises(BadAnnotations, match=r'refs\(unc\)\.p is a pickle.*finetune_refcoco_train\.json'):
        ReferredObjects(ann_file='refs(unc).p', data_root=str(tmp_path))


def test_objects_that_are_alone_of_their_name_are_meant_by_it(tmp_path):
    boxes = [box(5, 1), box(6, 1, category=2), box(7, 2), box(8, 2, x=40), box(9, 3, iscrowd=1), box(10, 3, x=90)]
    said = written(tmp_path, [image(1), image(2), image(3)], boxes)
    found = NamedObjects(**said, phrase='find the {}')
    items = [found.get_data_info(index) for index in range(len(found))]
    assert [(item['img_id'], item['texts']) for item in items] == [
        (1, ['find the red circle']),
        (1, ['find the blue star']),
    ]
    assert items[0]['gt_bboxes'].tolist() == [[8, 4, 24, 24]]
    with pytest.raises(ValueError, match="phrase='it' has no '{}'"):
        NamedObjects(**said, phrase='it')
    with pytest.raises(BadAnnotations, match='no phrase with a box'):
        NamedObjects(**written(tmp_path, [image(2)], boxes[2:4]))


def test_the_share_of_boxes_that_lie_on_what_is_meant():
    """IoUs 1, 1/2 (which counts), 1/3, and a box whose corners are out of order."""
    metric = PhraseBoxes(prefix='ref')
    right = torch.tensor([0.0, 0.0, 0.4, 0.4])
    for found in ([0, 0, 0.4, 0.4], [0, 0, 0.4, 0.2], [0.2, 0, 0.6, 0.4], [0.4, 0.4, 0, 0]):
        sample = MultimodalSample()
        sample.gt_box, sample.pred_box = right, torch.tensor(found, dtype=torch.float32)
        metric.process({}, [sample.to_dict()])
    assert metric.evaluate(4) == {
        'ref/acc@0.5': 50.0,
        'ref/iou': pytest.approx(100 * (1 + 1 / 2 + 1 / 3) / 4, abs=1e-3),
    }
    assert metric.names() == ['ref/acc@0.5', 'ref/iou'] and PhraseBoxes(threshold=0.75).names()[0] == 'acc@0.75'
