"""The sample of volumes and the table of labels and regions."""

import numpy as np
import pytest
import torch

from mmparts.structures import LabelTable, VolumeData, VolumeSample

# Voxels: edema 56, necrosis 7, enhancing 1: WT 64, TC 8, ET 1.
NAMES = ('background', 'necrosis', 'edema', 'enhancing')
REGIONS = dict(WT=('necrosis', 'edema', 'enhancing'), TC=('necrosis', 'enhancing'), ET=('enhancing',))


def nested_cube(values):
    cube = np.full((6, 6, 6), values['background'])
    cube[1:5, 1:5, 1:5] = values['edema']
    cube[1:3, 1:3, 1:3] = values['necrosis']
    cube[1, 1, 1] = values['enhancing']
    return cube


@pytest.mark.parametrize('numbers', [(0, 1, 2, 4), (0, 1, 2, 3), (0, 2, 1, 3)], ids=['2021', '2023', 'MSD'])
def test_regions_and_back(numbers):  # V8
    labels = dict(zip(NAMES, numbers))
    cube, table = nested_cube(labels), LabelTable(labels, REGIONS)
    classes = table.to_classes(cube)
    masks = table.to_regions(classes)
    assert dict(zip(table.classes, masks.sum((1, 2, 3)).tolist())) == dict(WT=64, TC=8, ET=1)
    assert (table.from_regions(masks) == classes).all()
    assert (table.to_values(classes) == cube).all() and table.to_values(classes).dtype == np.uint8


def test_the_declared_order_paints():
    labels = dict(zip(NAMES, (0, 1, 2, 4)))
    cube = nested_cube(labels)
    reverse = dict(reversed(REGIONS.items()))
    with pytest.raises(ValueError, match=r"region 'ET'.*which label does it paint.*paint=dict\(ET=\.\.\.\)"):
        LabelTable(labels, reverse)
    table = LabelTable(labels, reverse, paint=dict(WT='edema', TC='necrosis', ET='enhancing'))
    classes = table.to_classes(cube)
    assert table.classes == ('ET', 'TC', 'WT')
    assert (table.from_regions(table.to_regions(classes)) == classes).all()
    wrong = LabelTable(labels, reverse, paint=dict(ET='enhancing', TC='necrosis', WT='edema'))
    assert (wrong.from_regions(wrong.to_regions(classes)) == 2).sum() == 64  # edema painted over all


def test_values_beyond_the_labels_are_named():
    table = LabelTable(dict(background=0, liver=1))
    with pytest.raises(ValueError, match=r'case_7\.nii has the values 2, 9; the labels are 0 background, 1 liver'):
        table.to_classes(np.array([0, 1, 9, 2, 255]), 'case_7.nii')
    assert table.to_classes(np.array([0, 1, 255])).tolist() == [0, 1, 255]
    assert table.to_values(np.array([0, 1, 255])).tolist() == [0, 1, 255]


def test_a_label_may_gather_values():
    table = LabelTable(dict(background=[0, 5, 9], liver=6))
    assert table.to_classes(np.array([0, 5, 6, 9])).tolist() == [0, 0, 1, 0]
    assert table.to_values(np.array([0, 1])).tolist() == [0, 6]
    with pytest.raises(ValueError, match='the labels are 0 5 9 background, 6 liver'):
        table.to_classes(np.array([7]))


def test_ignored_voxels_stay_ignored():
    table = LabelTable(dict(zip(NAMES, range(4))), REGIONS)
    masks = table.to_regions(np.array([[[0, 3, 255]]], np.uint8))
    assert masks[:, 0, 0].tolist() == [[0, 1, 255]] * 3


def test_regions_of_unknown_labels_are_refused():
    with pytest.raises(ValueError, match="region 'WT' names 'oedema'"):
        LabelTable(dict(background=0, edema=1), dict(WT=('oedema',)))
    with pytest.raises(ValueError, match='two labels share a value'):
        LabelTable(dict(a=0, b=0))


def test_scored_masks_of_classes_and_of_regions():
    table = LabelTable(dict(zip(NAMES, range(4))), REGIONS)
    classes = table.to_classes(nested_cube(table.labels))
    assert (table.scored_masks(classes[None]) == table.scored_masks(table.to_regions(classes))).all()
    plain = LabelTable(table.labels)
    assert plain.scored == NAMES[1:] and plain.scored_masks(classes[None]).sum((1, 2, 3)).tolist() == [7, 56, 1]


def test_sample_of_a_volume():
    sample = VolumeSample(metainfo=dict(case='a'))
    sample.gt_sem_seg = torch.zeros(3, 4, 5)
    sample.pred_sem_seg = VolumeData(data=torch.ones(2, 3, 4, 5))
    assert sample.gt_sem_seg.data.shape == (1, 3, 4, 5) and sample.pred_sem_seg.shape == (3, 4, 5)
    assert set(sample.to_dict()) == {'case', 'gt_sem_seg', 'pred_sem_seg'}
    with pytest.raises(ValueError, match='D H W or C D H W'):
        sample.seg_logits = torch.zeros(3, 4)
