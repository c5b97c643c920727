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
    segments = [dict(id=70000, category=1, is_thing=1), dict(id=300, category=3, is_thing=0),
                dict(id=5, category=0, is_thing=False),  # a crowd
                dict(id=9, category=1, is_thing=1)]  # hidden
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
    with pytest.raises(ValueError, match=r'map.png is 8x6 pixels, its picture 9x6'):
        LoadPanopticMap().transform(dict(results, ori_shape=(6, 9)))
    (tmp_path / 'map.png').write_bytes(b'no picture')
    with pytest.raises(OSError, match='cannot read the panoptic map .*map.png'):
        LoadPanopticMap().transform(results)


def test_classes_of_a_semantic_map():
    labels = np.full((4, 5), 255, np.uint8)
    labels[0, 1:3] = 7
    labels[2:, 4] = 2
    results = SemanticInstances().transform(dict(gt_seg_map=labels, img_shape=labels.shape))
    assert results['gt_bboxes_labels'].tolist() == [2, 7]
    assert results['gt_bboxes'].numpy().tolist() == [[4, 2, 5, 4], [1, 0, 3, 1]]
    assert (results['gt_masks'].masks == np.stack([labels == 2, labels == 7])).all()
