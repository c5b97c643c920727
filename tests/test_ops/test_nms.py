"""Non-maximum suppression is the loop in each variant, for crowds of several blocks, ties, empty boxes and no boxes."""

import math

import loops
import pytest
import torch

from mmparts.ops.mmcv.calls import softnms
from mmparts.ops.nms import api as ops


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


@pytest.fixture(autouse=True, params=['numba', 'reference'])
def variant(request):
    if request.param == 'numba':
        pytest.importorskip('numba')
    with ops.NMS.use(request.param), ops.NMS_MATCH.use(request.param), ops.SOFT_NMS.use(request.param):
        yield


@pytest.mark.parametrize('count', [0, 1, 2, 100])
@pytest.mark.parametrize('offset', [0, 1])
def test_nms(count, offset):
    boxes, scores = crowd(count)
    groups = loops.nms_groups(boxes.tolist(), scores.tolist(), lambda a, b: loops.iou(a, b, offset) > 0.5)
    assert ops.nms(boxes, scores, 0.5, offset).tolist() == [group[0] for group in groups]


def test_nms_settles_chains_longer_than_a_block():
    """Each box suppresses the next one, so every other box is kept."""
    left = torch.arange(50.0) * 4
    boxes = torch.stack([left, left * 0, left + 10, left * 0 + 1], 1)
    assert ops.nms(boxes, torch.linspace(1, 0, len(boxes)), 0.4).tolist() == list(range(0, len(boxes), 2))


def test_nms_keeps_empty_boxes_and_takes_half_precision():
    boxes = torch.tensor([[5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 9, 9], [0, 0, 9, 9.0]]).half()
    assert ops.nms(boxes, torch.tensor([0.1, 0.2, 0.3, 0.4]).half(), 0.5).tolist() == [3, 1, 0]


@pytest.mark.parametrize('count', [0, 1, 2, 80])
def test_nms_match(count):
    boxes, scores = crowd(count)
    groups = loops.nms_groups(boxes.tolist(), scores.tolist(), lambda a, b: loops.iou(a, b) >= 0.3)
    assert ops.nms_match(torch.cat([boxes, scores[:, None]], 1), 0.3) == groups


DECAYS = [
    lambda iou: 0 if iou >= 0.3 else 1,
    lambda iou: 1 - iou if iou >= 0.3 else 1,
    lambda iou: math.exp(-(iou**2) / 0.5),
]


@pytest.mark.parametrize('method', [0, 1, 2])
@pytest.mark.parametrize(('count', 'offset'), [(1, 0), (50, 0), (50, 1)])
def test_softnms(method, count, offset):
    boxes, scores = crowd(count)
    expected = loops.soft_nms(boxes.tolist(), scores.tolist(), DECAYS[method], 0.05, offset)
    dets = torch.full((count, 5), -1.0)
    indices = softnms(boxes, scores, dets, 0.3, 0.5, 0.05, method, offset)
    assert indices.tolist() == [index for index, _ in expected]
    assert torch.equal(dets[: len(indices), :4], boxes[indices])
    assert dets[: len(indices), 4].tolist() == pytest.approx([score for _, score in expected], abs=1e-6)


def test_softnms_of_nothing():
    assert softnms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 5), 0.3, 0.5, 0.05, 1, 0).tolist() == []


def test_a_threshold_that_is_met_exactly_suppresses_only_in_matching():
    """A third of the union is inside both; in float32 that is below a third in float64."""
    boxes, scores = torch.tensor([[0, 0, 2, 1], [1, 0, 3, 1.0]]), torch.tensor([1.0, 0.5])
    third = (torch.tensor(1.0) / 3).item()
    for dtype in (torch.float32, torch.float64):
        threshold = third if dtype == torch.float32 else 1 / 3
        assert ops.nms(boxes.to(dtype), scores.to(dtype), threshold).tolist() == [0, 1]
        assert ops.nms_match(torch.cat([boxes, scores[:, None]], 1).to(dtype), threshold) == [[0, 1]]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_variants_agree_on_crowds(dtype):
    boxes, scores = torch.rand(300, 4, dtype=dtype) * 90, torch.rand(300, dtype=dtype)
    boxes[:, 2:] += boxes[:, :2]
    boxes[7], boxes[9] = float('nan'), boxes[8]
    strided = torch.stack([boxes, boxes], 1)[:, 1]
    assert ops.nms(strided, scores, 0.6).tolist() == ops.nms_reference(boxes, scores, 0.6).tolist()
    dets = torch.cat([boxes, scores[:, None]], 1)
    assert ops.nms_match(dets, 0.6) == ops.nms_match_reference(dets, 0.6)
    for method in (0, 1, 2):
        settings = (0.3, 0.5, 0.05, method)
        found, expected = ops.soft_nms(strided, scores, *settings), ops.soft_nms_reference(boxes, scores, *settings)
        assert found[1].tolist() == expected[1].tolist()
        assert torch.allclose(found[0], expected[0], atol=1e-6, equal_nan=True)
