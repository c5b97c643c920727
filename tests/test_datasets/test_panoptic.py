"""Panoptic files: every field checked, labels by name, id 0 and `isthing`."""

import copy
import json

import cv2
import numpy as np
import pytest

from mmparts.datasets import BadAnnotations, CheckedPanopticDataset, ClassMismatch
from mmparts.datasets.segments import LoadPanopticMap

CONTENT = dict(
    images=[dict(id=3, file_name='a.JPG', width=8, height=6)],
    categories=[dict(id=9, name='sky', isthing=0), dict(id=2, name='dog', isthing=1)],
    annotations=[
        dict(
            image_id=3,
            file_name='a.png',
            segments_info=[
                dict(id=5, category_id=9, bbox=[0, 0, 8, 3], area=24, iscrowd=0),
                dict(id=700, category_id=2, bbox=[0, 3, 8, 3], area=24, iscrowd=0),
            ],
        )
    ],
)
META = dict(classes=('dog', 'sky'), thing_classes=('dog',), stuff_classes=('sky',))


def load(folder, change=None, **kwargs) -> CheckedPanopticDataset:
    content = copy.deepcopy(CONTENT)
    if change:
        change(content)
    (folder / 'ann.json').write_text(json.dumps(content))
    options = dict(metainfo=META, data_prefix=dict(img='', seg='maps/'), serialize_data=False) | kwargs
    return CheckedPanopticDataset(ann_file='ann.json', data_root=str(folder), **options)


def segment(content, **values):
    content['annotations'][0]['segments_info'][0].update(values)


# holds: panoptic segments with id 0
@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda c: segment(c, id=0), r'segment of image 3 0 has id 0; a number from 1 \(0 is for pixels'),
        (lambda c: segment(c, id=1 << 24), 'a number from 1'),
        (lambda c: segment(c, id=700), 'ids of segments of image 3 are used more than once'),
        (lambda c: segment(c, category_id=1), "segment 5 of image 3 has category_id 1; the file defines {9: 'sky'"),
        (lambda c: segment(c, bbox=[1]), 'four numbers'),
        (lambda c: segment(c, area=None), 'has no area'),
        (lambda c: segment(c, iscrowd='0'), 'a string; 0 or 1'),
        (lambda c: c['categories'][0].pop('isthing'), 'category 9 has no isthing; 0 or 1 is needed'),
        (lambda c: c['categories'][0].update(isthing='no'), "has isthing 'no'"),
        (lambda c: c['annotations'][0].update(image_id=8), 'belongs to image 8, which is not in the file'),
        (lambda c: c['annotations'][0].update(file_name='../a.png'), "names the map '../a.png', which leaves"),
        (lambda c: c['annotations'][0].update(segments_info={}), 'a list of segments'),
        (lambda c: c['images'][0].update(file_name='http://x/a.jpg'), 'a URL or drive'),
        (lambda c: c.pop('annotations'), "has no list 'annotations'"),
    ],
)
def test_a_field_that_is_not_what_it_should_be(tmp_path, change, words):
    with pytest.raises(ValueError, match=words) as error:
        load(tmp_path, change)
    assert 'ann.json' in str(error.value)


@pytest.mark.parametrize(
    ('meta', 'words'),
    [
        (dict(META, classes=('dg', 'sky')), "'dg' is in classes but not a category; did you mean 'dog'"),
        (dict(META, classes=('dog',)), "category 'sky' is not in classes"),
        (dict(META, thing_classes=('dog', 'sky')), "'sky' has isthing=0, but thing_classes has it"),
        (dict(META, thing_classes=('sky',)), 'thing_classes (has|lacks) it'),
    ],
)
def test_classes_that_do_not_meet(tmp_path, meta, words):
    with pytest.raises(ClassMismatch, match=words):
        load(tmp_path, metainfo=meta)


@pytest.mark.parametrize('classes', [('dog', 'sky'), ('sky', 'dog')])
def test_labels_follow_the_names(tmp_path, classes):
    info = load(tmp_path, metainfo=dict(META, classes=classes)).get_data_info(0)
    named = {each['id']: classes[each['category']] for each in info['segments_info']}
    assert named == {5: 'sky', 700: 'dog'}
    assert [classes[each['bbox_label']] for each in info['instances']] == ['dog']


def test_the_map_is_found_whatever_the_ending_of_the_image(tmp_path):
    (tmp_path / 'maps').mkdir()
    numbers = np.repeat(np.repeat([[5], [700]], 3, 0), 8, 1)
    colours = np.stack([numbers >> 16 & 255, numbers >> 8 & 255, numbers & 255], -1).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'maps' / 'a.png'), colours)
    info = load(tmp_path).get_data_info(0)
    found = LoadPanopticMap().transform(dict(info, ori_shape=(6, 8)))['panoptic_map']
    np.testing.assert_array_equal(found, numbers)


def test_a_file_of_another_kind(tmp_path):
    with pytest.raises(BadAnnotations, match='has no segments_info'):
        load(tmp_path, lambda c: c['annotations'][0].pop('segments_info'))
