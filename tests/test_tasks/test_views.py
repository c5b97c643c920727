"""Detections of several views made one set."""

import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmparts.tasks.views import fuse

BOXES = torch.tensor([[10.0, 10, 30, 30], [14, 10, 34, 30], [60, 40, 90, 70]])


def view(boxes, scores, labels, flip: bool = False, masks=None):
    boxes = boxes.clone()
    if flip:
        boxes[:, [0, 2]] = 100 - boxes[:, [2, 0]]
    found = InstanceData(bboxes=boxes, scores=torch.tensor(scores), labels=torch.tensor(labels))
    if masks is not None:
        found.masks = masks.flip(-1) if flip else masks
    meta = dict(ori_shape=(80, 100), flip=flip, flip_direction='horizontal' if flip else None)
    return DetDataSample(pred_instances=found, metainfo=meta)


def test_equal_views_change_nothing():
    once = fuse([view(BOXES, [0.9, 0.8, 0.7], [0, 0, 1])]).pred_instances
    both = fuse([view(BOXES, [0.9, 0.8, 0.7], [0, 0, 1], flip) for flip in (False, True)]).pred_instances
    torch.testing.assert_close(both.bboxes, BOXES)  # the first two overlap by 0.67, and stay two
    torch.testing.assert_close(both.scores, once.scores)
    assert both.labels.tolist() == [0, 0, 1]


def test_what_one_view_alone_sees_counts_half_and_boxes_are_weighted():
    first = view(BOXES[:1], [0.9], [0])
    second = view(torch.tensor([[12.0, 10, 32, 30], [60, 40, 90, 70]]), [0.3, 0.8], [0, 1], flip=True)
    found = fuse([first, second]).pred_instances
    assert len(found) == 1  # as many as a view has
    torch.testing.assert_close(found.scores, torch.tensor([0.6]))
    torch.testing.assert_close(found.bboxes, torch.tensor([[10.5, 10, 30.5, 30]]))


def test_classes_are_never_joined():
    found = fuse([view(BOXES[:1], [0.9], [0]), view(BOXES[:1], [0.8], [1])]).pred_instances
    assert found.labels.tolist() == [0] and found.scores.tolist() == torch.tensor([0.45]).tolist()


def test_masks_are_mirrored_back_and_averaged():
    mask = torch.zeros(1, 80, 100, dtype=torch.bool)
    mask[:, 10:30, 10:30] = True
    wide = mask.clone()
    wide[:, 10:30, 30:40] = True
    found = fuse([view(BOXES[:1], [0.9], [0], masks=mask), view(BOXES[:1], [0.3], [0], flip=True, masks=wide)])
    assert torch.equal(found.pred_instances.masks, mask)
