"""Panoptic and semantic maps become instances."""

import cv2
import numpy as np
import pytest

from mmparts.datasets import LoadPanopticMap, PanopticInstances, SemanticInstances


def written(path, numbers):
    """A COCO panoptic map: number = R + 256 G + 256^2 B."""
    numbers = np.asarray(numbers)
    cv2.imwrite(str(path), np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], -1).astype(np.uint8))
    return dict(seg_map_path=str(path), img_shape=numbers.shape, ori_shape=numbers.shape)


@pytest.fixture
def sample(tmp_path):
    numbers = np.zeros((6, 8), int)
    numbers[1:3, 2:5] = 70000  # needs the third byte
    numbers[4:, :] = 300
    numbers[0, 7] = 5
    segments = [
        dict(id=70000, category=1, is_thing=1),
        dict(id=300, category=3, is_thing=0),
        dict(id=5, category=0, is_thing=False),  # a crowd
        dict(id=9, category=1, is_thing=1),
    ]  # hidden
    return dict(written(tmp_path / 'map.png', numbers), segments_info=segments), numbers


def test_panoptic_segments(sample):
    results, numbers = sample
    results = PanopticInstances(things=2).transform(LoadPanopticMap().transform(results))
    assert (results['panoptic_map'] == numbers).all()
    assert results['gt_bboxes_labels'].tolist() == [1, 3]
    assert results['gt_bboxes'].numpy().tolist() == [[2, 1, 5, 3], [0, 4, 8, 6]]
    assert (results['gt_masks'].masks == np.stack([numbers == 70000, numbers == 300])).all()
    assert results['gt_ignore_flags'].tolist() == [False, False]


def test_a_picture_without_segments(sample):
    results, _ = sample
    results['segments_info'] = []
    results = PanopticInstances(things=2).transform(LoadPanopticMap().transform(results))
    assert results['gt_bboxes'].numpy().shape == (0, 4) and results['gt_masks'].masks.shape == (0, 6, 8)


def test_errors_name_the_map(sample, tmp_path):
    results, _ = sample
    with pytest.raises(ValueError, match=r'map.png is 8x6 pixels, its image 9x6'):
        LoadPanopticMap().transform(dict(results, ori_shape=(6, 9)))
    (tmp_path / 'map.png').write_bytes(b'no image')
    with pytest.raises(OSError, match='cannot read the panoptic map .*map.png'):
        LoadPanopticMap().transform(results)


def test_a_picture_without_a_map_is_loaded_to_be_predicted_not_to_be_learned(sample):
    for path in ({}, dict(seg_map_path=None)):  # an image alone; a data set without `seg` in its data_prefix
        results = dict(img_path='a.jpg', ori_shape=(6, 8), **path)
        assert LoadPanopticMap().transform(dict(results)) == results
        with pytest.raises(KeyError, match='a.jpg has no panoptic map; put LoadPanopticMap before PanopticInstances'):
            PanopticInstances().transform(dict(results, segments_info=[]))


def test_labels_beyond_the_classes_are_refused():
    labels = np.array([[0, 150], [200, 255]], np.uint8)
    message = 'a.png has the label 200, but the 150 classes are 0 to 149.*reduce_zero_label=True'
    with pytest.raises(ValueError, match=message):
        SemanticInstances(150).transform(dict(gt_seg_map=labels, img_shape=(2, 2), seg_map_path='a.png'))
    SemanticInstances(201).transform(dict(gt_seg_map=labels, img_shape=(2, 2)))


def test_classes_of_a_semantic_map():
    labels = np.full((4, 5), 255, np.uint8)
    labels[0, 1:3] = 7
    labels[2:, 4] = 2
    results = SemanticInstances(8).transform(dict(gt_seg_map=labels, img_shape=labels.shape))
    assert results['gt_bboxes_labels'].tolist() == [2, 7]
    assert results['gt_bboxes'].numpy().tolist() == [[4, 2, 5, 4], [1, 0, 3, 1]]
    assert (results['gt_masks'].masks == np.stack([labels == 2, labels == 7])).all()


def test_instances_of_16_bit_are_foreground(tmp_path):
    import cv2

    from mmparts.datasets import LoadForeground

    numbers = np.array([[0, 1, 256, 512]], np.uint16)
    cv2.imwrite(str(tmp_path / 'a.png'), numbers)
    found = LoadForeground()(dict(seg_map_path=str(tmp_path / 'a.png')))
    assert found['gt_seg_map'].tolist() == [[0, 1, 1, 1]] and found['seg_fields'] == ['gt_seg_map']
