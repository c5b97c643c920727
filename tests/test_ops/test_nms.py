"""Non-maximum suppression is the loop, for crowds of several blocks, ties, empty boxes and no boxes."""
import math

import loops
import pytest
import torch

from mmparts.ops import nms as ops
from mmparts.ops.mmcv_calls import softnms


def crowd(count: int):
    """Boxes that overlap a lot (in small integers, so that equal IoUs occur) and distinct scores."""
    random = torch.Generator().manual_seed(0)
    corner = torch.randint(0, 60, (count, 2), generator=random)
    extent = torch.randint(1, 30, (count, 2), generator=random)
    return torch.cat([corner, corner + extent], 1).float(), torch.randperm(count, generator=random) / count


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """So that a few boxes are several blocks."""
    monkeypatch.setattr(ops, 'BLOCK', 16)


@pytest.mark.parametrize('count', [0, 1, 2, 100])
@pytest.mark.parametrize('offset', [0, 1])
def test_nms(count, offset):
    boxes, scores = crowd(count)
    groups = loops.nms_groups(boxes.tolist(), scores.tolist(), lambda a, b: loops.iou(a, b, offset) > 0.5)
    assert ops.nms(boxes, scores, 0.5, offset).tolist() == [group[0] for group in groups]


def test_nms_settles_chains_longer_than_a_block():
    """Each box suppresses the next one, so every other box is kept."""
    left = torch.arange(50.) * 4
    boxes = torch.stack([left, left * 0, left + 10, left * 0 + 1], 1)
    assert ops.nms(boxes, torch.linspace(1, 0, len(boxes)), 0.4).tolist() == list(range(0, len(boxes), 2))


def test_nms_keeps_empty_boxes_and_takes_half_precision():
    boxes = torch.tensor([[5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 9, 9], [0, 0, 9, 9.]]).half()
    assert ops.nms(boxes, torch.tensor([.1, .2, .3, .4]).half(), 0.5).tolist() == [3, 1, 0]


@pytest.mark.parametrize('count', [1, 2, 80])
def test_nms_match(count):
    boxes, scores = crowd(count)
    groups = loops.nms_groups(boxes.tolist(), scores.tolist(), lambda a, b: loops.iou(a, b) >= 0.3)
    assert ops.nms_match(torch.cat([boxes, scores[:, None]], 1), 0.3) == groups


DECAYS = [lambda iou: 0 if iou >= 0.3 else 1,
          lambda iou: 1 - iou if iou >= 0.3 else 1,
          lambda iou: math.exp(-iou**2 / 0.5)]


@pytest.mark.parametrize('method', [0, 1, 2])
@pytest.mark.parametrize('count, offset', [(1, 0), (50, 0), (50, 1)])
def test_softnms(method, count, offset):
    boxes, scores = crowd(count)
    expected = loops.soft_nms(boxes.tolist(), scores.tolist(), DECAYS[method], 0.05, offset)
    dets = torch.full((count, 5), -1.)
    indices = softnms(boxes, scores, dets, 0.3, 0.5, 0.05, method, offset)
    assert indices.tolist() == [index for index, _ in expected]
    assert torch.equal(dets[:len(indices), :4], boxes[indices])
    assert dets[:len(indices), 4].tolist() == pytest.approx([score for _, score in expected], abs=1e-6)


def test_softnms_of_nothing():
    assert softnms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 5), 0.3, 0.5, 0.05, 1, 0).tolist() == []
