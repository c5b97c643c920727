"""Batches fit their images, and records say what was predicted."""

import json

import numpy as np
import pytest
import tiny
import torch
from mmdet.evaluation.functional import INSTANCE_OFFSET
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from pycocotools import mask as rle
from torch import nn

from mmparts.tasks import Detection
from mmparts.tasks.detection import on_picture


class Grey(nn.Module):
    task, num_classes, in_channels = 'detection', 5, 1


def test_a_timed_batch_fits_its_images():
    batch = Detection().random(Grey(), (40, 60), 2)
    images, samples = batch['inputs'], batch['data_samples']
    assert images.shape == (2, 1, 40, 60) and abs(images.mean()) < 1e-4 and abs(images.std() - 1) < 1e-3
    objects = [sample.gt_instances for sample in samples]
    assert [len(each) for each in objects] == [Detection.objects] * 2
    boxes, labels = (torch.cat([each[key] for each in objects]) for key in ('bboxes', 'labels'))
    assert (boxes[:, 2:] > boxes[:, :2]).all() and 40 < boxes[:, 2].max() <= 60 and boxes[:, 3].max() <= 40
    assert labels.min() >= 0 and labels.max() < 5
    for each in objects:
        assert each.masks.masks.shape == (7, 40, 60) and each.patches.shape == (7, 3, 32, 32)
        for mask, box in zip(each.masks.masks, each.bboxes):  # an ellipse fills about pi / 4 of its box
            inside = np.argwhere(mask)[:, ::-1]
            assert (inside >= box[:2].floor().numpy()).all() and (inside < box[2:].ceil().numpy()).all()
            assert mask.sum() == pytest.approx(float(torch.pi / 4 * (box[2:] - box[:2]).prod()), rel=0.2)
    assert all(sample.img_shape == sample.ori_shape == sample.batch_input_shape == (40, 60) for sample in samples)


def test_a_blank_batch_says_nothing_of_what_is_right():
    batch = Detection().blank(Grey(), (40, 60), device='meta')
    assert batch['inputs'].is_meta and batch['inputs'].shape == (1, 1, 40, 60)
    assert 'gt_instances' not in batch['data_samples'][0]


def test_the_size_is_read_from_the_pipeline():
    resize = dict(type='Resize', scale=(1333, 800))
    dataset = dict(pipeline=[dict(type='LoadImageFromFile'), resize])
    assert Detection().size(dict(test_dataloader=dict(dataset=dataset))) == (800, 1333)
    assert Detection().size(dict(test_dataloader=dict(dataset=dict(pipeline=[dict(resize, scale=(9, 5))])))) == (5, 9)
    assert Detection().size(dict(model={})) == Detection.default_size


@pytest.mark.parametrize('as_dict', [False, True])
def test_records_hold_masks_as_json(as_dict):
    record = Detection().record
    masks = torch.rand(3, 5, 7) > 0.5
    found = InstanceData(
        scores=torch.tensor([0.1, 0.9, 0.5]), labels=torch.arange(3), bboxes=torch.rand(3, 4), masks=masks
    )
    sample = DetDataSample(metainfo=dict(ori_shape=(5, 7)), pred_instances=found)
    found_record = json.loads(json.dumps(record(sample.to_dict() if as_dict else sample, score_thr=0.3)))
    assert found_record['labels'] == [1, 2]
    assert (rle.decode(found_record['masks']) == masks[[1, 2]].permute(1, 2, 0).numpy()).all()
    sample.pred_instances = found[:0]
    assert record(sample)['masks'] == []
    del found.masks
    sample.pred_instances = found
    assert 'masks' not in record(sample)


@pytest.mark.parametrize('as_dict', [False, True])
def test_records_hold_the_segments_of_maps(as_dict):
    labels = torch.full((1, 4, 6), 9)  # nobody's
    labels[0, :, :3], labels[0, 0, 5] = 1, 0
    panoptic = labels + INSTANCE_OFFSET * torch.tensor([0, 0, 0, 0, 0, 2])
    panoptic[labels == 9] = 9
    sample = DetDataSample(metainfo=dict(ori_shape=(4, 6)), pred_sem_seg=PixelData(sem_seg=labels))
    for field, values in (('pred_sem_seg', labels), ('pred_panoptic_seg', panoptic)):
        sample = DetDataSample(metainfo=dict(ori_shape=(4, 6)))
        sample.set_field(PixelData(sem_seg=values), field)
        record = Detection().record(sample.to_dict() if as_dict else sample, ['sky', 'grass'])
        grass, sky = json.loads(json.dumps(record['segments']))
        assert (grass['label'], grass['name'], grass['area']) == (1, 'grass', 12) and (sky['label'], sky['area']) == (
            0,
            1,
        )
        assert (rle.decode(grass['mask']) == (values[0] == 1).numpy()).all()
        assert sky.get('number') == (2 if field == 'pred_panoptic_seg' else None)
    assert Detection().summary(record) == '2 segments'


def test_a_sample_without_prediction_is_refused():
    with pytest.raises(KeyError, match='no prediction'):
        Detection().record(DetDataSample())


def test_truth_and_prediction_are_drawn_side_by_side():
    (sample,) = tiny.samples([(40, 60)], [2])
    image = np.full((40, 60, 3), 99, np.uint8)
    alone = Detection().draw(image, sample)
    sample.pred_instances = InstanceData(bboxes=torch.rand(1, 4), labels=torch.ones(1).int(), scores=torch.ones(1))
    sample.pred_sem_seg = PixelData(sem_seg=torch.zeros(1, 40, 60).int())
    assert Detection().draw(image, sample).width == 3 * alone.width + 2 * 8


def test_a_true_map_is_drawn_where_the_picture_has_it():
    """It comes resized and padded, as the model saw it."""
    sample = DetDataSample(metainfo=dict(img_shape=(10, 20), ori_shape=(20, 40)))
    seen = torch.full((1, 32, 32), 255)
    seen[0, :10, :10], seen[0, :10, 10:20] = 0, 1
    image = np.full((20, 40, 3), 99, np.uint8)
    found = on_picture(seen[0], sample, image.shape[:2])
    assert found.shape == (20, 40) and (found[:, :20] == 0).all() and (found[:, 20:] == 1).all()
    sample.gt_sem_seg = PixelData(sem_seg=seen)
    same = DetDataSample(gt_sem_seg=PixelData(sem_seg=torch.from_numpy(found)[None]))
    assert (np.asarray(Detection().draw(image, sample)) == np.asarray(Detection().draw(image, same))).all()


def test_evidence_holds_how_far_masks_overlap():
    masks = torch.zeros(2, 20, 30, dtype=torch.bool)
    masks[0, 2:12, 3:13] = True
    masks[1, 0:10, 20:30] = True
    found = InstanceData(
        bboxes=torch.tensor([[3.0, 2, 13, 12], [20, 0, 30, 10]]), labels=torch.tensor([0, 1]), masks=masks,
        scores=torch.tensor([0.3, 0.8]),
    )  # fmt: skip
    polygon, half = [[3, 2, 13, 2, 13, 12, 3, 12]], np.zeros((20, 30), np.uint8, order='F')
    half[0:5, 20:30] = 1
    true = [
        dict(bbox=[3, 2, 13, 12], bbox_label=0, mask=polygon, ignore_flag=0),
        dict(bbox=[20, 0, 30, 5], bbox_label=1, mask=rle.encode(half), ignore_flag=0),
        dict(bbox=[0, 0, 30, 20], bbox_label=0, mask=dict(size=[20, 30], counts=[0, 600]), ignore_flag=1),
    ]
    sample = dict(pred_instances=found, ori_shape=(20, 30), img_path='a.png')
    kept = Detection().evidence(sample, dict(instances=true))
    best, other = kept['mask_overlaps']
    np.testing.assert_allclose(best, [0, 0.5, 1], atol=1e-6)  # the best score comes first
    assert other[0] > 0.85 and other[1:] == [0, 1], 'a polygon ends somewhere in a pixel'
    del found.masks
    assert 'mask_overlaps' not in Detection().evidence(sample, dict(instances=true))
