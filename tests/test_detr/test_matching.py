"""The matcher: right pairs, right costs, one trip to the host, and errors that lead to the image."""

import contextlib
import re
import threading
import time

import mmdet.models.task_modules as mmdet
import numpy as np
import pytest
import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from tiny import base, batch, build, prediction_set, samples
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmparts.detr import matching
from mmparts.detr.matching import BoxL1Cost, FocalCost, GIoUCost, HungarianMatcher, SoftmaxCost
from mmparts.detr.roles import MatchCost
from mmparts.detr.structures import PredictionSet, Targets

CLASSES = 5
COSTS = [dict(type=FocalCost, weight=2.0), dict(type=BoxL1Cost, weight=5.0), dict(type=GIoUCost, weight=2.0)]


def targets_of(*counts: int) -> Targets:
    return Targets.from_samples(samples([(64, 96), (96, 64), (48, 48)][: len(counts)], counts, CLASSES))


def predictions(targets: Targets, layers: int = 2, queries: int = 6, seed: int = 0, **kwargs) -> PredictionSet:
    torch.manual_seed(seed)
    images = len(targets.counts)
    return prediction_set(
        torch.randn(layers, images, queries, CLASSES),
        torch.rand(layers, images, queries, 4) * 0.5 + 0.2,
        targets,
        **kwargs,
    )


class Written(MatchCost):
    """A cost matrix L B N G written out by the test."""

    def __init__(self, values: torch.Tensor):
        self.values = values

    def __call__(self, logits, boxes, labels, targets):
        return self.values


def found(matches) -> set[tuple[int, ...]]:
    return set(zip(matches.layer.tolist(), matches.image.tolist(), matches.query.tolist(), matches.target.tolist()))


@pytest.mark.parametrize('counts', [(2, 3), (3, 0, 1), (0, 0), (6, 9)], ids=str)
@pytest.mark.parametrize('repeat', [1, 2])
def test_every_layer_and_image_is_solved_on_its_own(counts, repeat):
    torch.manual_seed(0)
    targets = targets_of(*counts)
    values = torch.randn(2, len(counts), 6, max(counts))
    matcher = HungarianMatcher([dict(type=Written, values=values)])
    (matches,) = matcher([predictions(targets, repeat=repeat)])

    expected, first = set(), 0
    for image, count in enumerate(counts):
        for layer in range(2):
            cost = values[layer, image, :, :count].numpy()
            pairs = zip(*linear_sum_assignment(np.concatenate([cost] * repeat, axis=1)))
            expected |= {(layer, image, int(query), first + int(column) % count) for query, column in pairs}
        first += count
    assert found(matches) == expected


def test_a_cost_written_by_hand():
    """Greedy would take (query 0, object 0) for 1; the best sum is 2 + 2."""
    values = torch.tensor([[1.0, 2.0, 9.0], [2.0, 9.0, 9.0], [9.0, 9.0, 9.0]]).view(1, 1, 3, 3)[..., :2]
    (matches,) = HungarianMatcher([dict(type=Written, values=values)])([predictions(targets_of(2), 1, 3)])
    assert found(matches) == {(0, 0, 0, 1), (0, 0, 1, 0)}


def test_one_to_many_uses_each_query_once():
    targets = targets_of(2, 1)
    (matches,) = HungarianMatcher(COSTS)([predictions(targets, layers=1, queries=9, repeat=3)])
    assert matches.target.bincount().tolist() == [3, 3, 3]
    assert len(set(zip(matches.image.tolist(), matches.query.tolist()))) == 9


def test_more_objects_than_queries():
    (matches,) = HungarianMatcher(COSTS)([predictions(targets_of(9, 1), layers=1, queries=4)])
    assert matches.image.bincount().tolist() == [4, 1]
    assert len(matches.target.unique()) == 5


def test_sets_of_unequal_sizes_are_matched_as_if_alone():
    targets = targets_of(2, 3)
    sets = [
        predictions(targets, 2, 6),
        predictions(targets.class_agnostic(), 1, 30, seed=1, name='enc'),
        predictions(targets, 2, 12, seed=2, name='o2m', repeat=3),
    ]
    matcher = HungarianMatcher(COSTS)
    together = matcher(sets)
    assert [found(each) for each in together] == [found(matcher([each])[0]) for each in sets]
    assert matcher([]) == []


@pytest.mark.parametrize(
    ('ours', 'theirs'),
    [
        (FocalCost(2.0), mmdet.FocalLossCost(weight=2.0)),
        (SoftmaxCost(1.0), mmdet.ClassificationCost(weight=1.0)),
        (BoxL1Cost(5.0), mmdet.BBoxL1Cost(weight=5.0, box_format='xywh')),
        (GIoUCost(2.0), mmdet.IoUCost(iou_mode='giou', weight=2.0)),
    ],
    ids=lambda cost: type(cost).__name__,
)
def test_costs_are_those_of_mmdet(ours, theirs):
    targets = targets_of(3, 2)
    each = predictions(targets)
    labels, boxes = targets.padded
    cost = ours(each.logits, each.boxes, labels, boxes)
    assert cost.shape == (2, 2, 6, 3)
    for (image, count), (height, width) in zip(enumerate(targets.counts), [(64, 96), (96, 64)]):
        size = torch.tensor([width, height, width, height])
        gt = InstanceData(labels=labels[image, :count], bboxes=bbox_cxcywh_to_xyxy(boxes[image, :count]) * size)
        for layer in range(2):
            pred = InstanceData(
                scores=each.logits[layer, image], bboxes=bbox_cxcywh_to_xyxy(each.boxes[layer, image]) * size
            )
            expected = theirs(pred, gt, img_meta=dict(img_shape=(height, width)))
            assert cost[layer, image, :, :count].allclose(expected, atol=1e-5)


def test_costs_are_float32_under_autocast():
    each = predictions(targets_of(2, 1))
    each.found['logits'] = each.logits.bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        assert HungarianMatcher(COSTS).cost(each).dtype == torch.float32


@pytest.mark.parametrize(('part', 'value'), [('logits', torch.nan), ('boxes', torch.nan), ('boxes', torch.inf)])
def test_diverged_predictions_name_the_image(part, value):
    each = predictions(targets_of(2, 3), name='dn')
    getattr(each, part)[1, 1, 4] = value
    with pytest.raises(FloatingPointError, match=re.escape('image_1.png')) as error:
        HungarianMatcher(COSTS)([each])
    assert 'image_0' not in str(error.value)
    assert '3 of 36 ' in str(error.value) and "'dn'" in str(error.value) and 'layers [1]' in str(error.value)


def test_diverged_predictions_are_matched_last_on_request():
    each = predictions(targets_of(2, 3))
    each.boxes[:, 1, :3] = torch.nan
    (matches,) = HungarianMatcher(COSTS, on_non_finite='warn')([each])
    assert len(matches.query) == 2 * 5
    assert matches.query[matches.image == 1].min() == 3
    each.boxes[:] = torch.nan
    (matches,) = HungarianMatcher(COSTS, on_non_finite='warn')([each])
    assert len(matches.query) == 2 * 5


def test_padding_columns_may_be_anything():
    """The first image has no third object, whatever its cost says."""
    values = torch.zeros(2, 2, 6, 3)
    values[:, 0, :, 2] = torch.nan
    (matches,) = HungarianMatcher([dict(type=Written, values=values)])([predictions(targets_of(2, 3))])
    assert len(matches.query) == 2 * 5


def test_the_choice_on_divergence_is_checked():
    with pytest.raises(ValueError, match="'raise' or 'warn', got 'ignore'"):
        HungarianMatcher(COSTS, on_non_finite='ignore')


class Trips(TorchDispatchMode):
    """Counts copies from the pretended device to the host, and copies to it that wait."""

    def __init__(self):
        super().__init__()
        self.to_host = self.waiting_to_device = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._to_copy.default:
            self.to_host += (args[0].device.type, out.device.type) == ('meta', 'cpu')
            waits = not (kwargs or {}).get('non_blocking')
            self.waiting_to_device += waits and (args[0].device.type, out.device.type) == ('cpu', 'meta')
        return out


@pytest.mark.parametrize('name', ['detr_r50', 'deformable_detr_r50', 'deformable_detr_refine_twostage_r50', 'dino_r50'])
def test_a_step_waits_for_the_device_once(name, monkeypatch):
    """A whole training step up to its losses, on a pretended device: "meta", as a torch for CPUs knows no other.

    Fake tensors know their device but hold no numbers: what would have to wait for a number of the device (`item`,
    `nonzero`, a boolean index) raises. The one array that the matcher fetches is made up.
    """
    monkeypatch.setattr(torch.Tensor, 'numpy', lambda self: np.random.default_rng(0).random(self.shape))
    monkeypatch.setattr(torch, 'from_numpy', torch.as_tensor)
    monkeypatch.setattr(torch, 'autocast', lambda *args, **kwargs: contextlib.nullcontext())
    model = build(base(name)).train()
    data = batch(model)
    with FakeTensorMode(allow_non_fake_inputs=True), Trips() as trips:
        model.to('meta')
        for sample in data['data_samples']:
            sample.gt_instances = sample.gt_instances.to('meta')
        trips.to_host = trips.waiting_to_device = 0
        losses = model(torch.rand(data['inputs'].shape, device='meta'), data['data_samples'], mode='loss')
    assert all(value.device.type == 'meta' for value in losses.values())
    assert trips.to_host == 1
    assert trips.waiting_to_device == 0


@pytest.mark.parametrize('threads', [1, 3])
def test_threads_find_the_same(threads, monkeypatch):
    targets = targets_of(3, 0, 2)
    sets = [predictions(targets, 3), predictions(targets, 1, 9, seed=1, repeat=2)]
    matcher = HungarianMatcher(COSTS)
    expected = [found(each) for each in matcher(sets)]

    solvers = set()

    def solve(matrix):
        solvers.add(threading.current_thread().name)
        time.sleep(0.01)
        return linear_sum_assignment(matrix)

    before = torch.get_num_threads()
    monkeypatch.setattr(matching, 'NUMBERS_FOR_THREADS', 0)
    monkeypatch.setattr(matching, 'linear_sum_assignment', solve)
    try:
        torch.set_num_threads(threads)
        assert [found(each) for each in matcher(sets)] == expected
    finally:
        torch.set_num_threads(before)
    assert len(solvers) == threads


def test_matches_lie_on_the_host_too():
    """Of several sets each has its own, so that nobody need ask the device which image a match is of."""
    targets = targets_of(2, 0, 3)
    for matches in HungarianMatcher(COSTS)([predictions(targets), predictions(targets, layers=1, seed=1)]):
        assert matches.on_host.equal(torch.stack([*matches.where, matches.target]))
