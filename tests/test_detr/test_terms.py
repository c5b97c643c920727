"""Loss terms against loops over layers, images, queries and classes."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmdet.models.losses import L1Loss
from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps
from tiny import prediction_set, samples

from mmparts.detr import terms
from mmparts.detr.boxes import giou
from mmparts.detr.structures import Matches, Targets
from mmparts.detr.terms import BoxL1Term, FocalTerm, GIoUTerm, SoftmaxTerm

CLASSES, LAYERS, QUERIES = 4, 2, 6
NUM_BOXES = torch.tensor(3.0)


@pytest.fixture
def case():
    """Two layers of predictions with different matches in each; the second image has one object, the first two."""
    torch.manual_seed(0)
    targets = Targets.from_samples(samples(counts=(2, 1), num_classes=CLASSES))
    predictions = prediction_set(
        torch.randn(LAYERS, 2, QUERIES, CLASSES, requires_grad=True),
        (torch.rand(LAYERS, 2, QUERIES, 4) * 0.4 + 0.2).requires_grad_(),
        targets,
    )
    matches = Matches(
        *torch.tensor([(0, 0, 4, 0), (0, 0, 1, 1), (0, 1, 1, 2), (1, 0, 0, 1), (1, 0, 5, 0), (1, 1, 3, 2)]).T
    )
    return predictions, matches


def nothing() -> Matches:
    return Matches(*torch.zeros(4, 0, dtype=torch.long))


def one_hot(predictions, matches) -> torch.Tensor:
    target = torch.zeros(predictions.logits.shape)
    for layer, image, query, index in zip(*(part.tolist() for part in (*matches.where, matches.target))):
        target[layer, image, query, predictions.targets.labels[index]] = 1
    return target


def test_focal_term_is_the_one_hot_form(case):
    predictions, matches = case
    target = one_hot(predictions, matches)
    for layer, loss in enumerate(FocalTerm(weight=2.0)(predictions, matches, NUM_BOXES)):
        expected = 0.0
        for logit, hot in zip(predictions.logits[layer].flatten().tolist(), target[layer].flatten().tolist()):
            p = 1 / (1 + math.exp(-logit))
            expected += -0.25 * (1 - p) ** 2 * math.log(p) if hot else -0.75 * p**2 * math.log(1 - p)
        assert loss.item() == pytest.approx(2 * expected / 3, rel=1e-5)
        theirs = py_sigmoid_focal_loss(predictions.logits[layer], target[layer], reduction='sum')
        assert loss.item() == pytest.approx(2 * theirs.item() / 3, rel=1e-5)


def test_focal_gradient_is_that_of_the_one_hot_form(case):
    predictions, matches = case
    (ours,) = torch.autograd.grad(FocalTerm()(predictions, matches, NUM_BOXES).sum(), predictions.logits)
    loss = py_sigmoid_focal_loss(predictions.logits, one_hot(predictions, matches), reduction='sum') / NUM_BOXES
    (theirs,) = torch.autograd.grad(loss, predictions.logits)
    assert ours.allclose(theirs, atol=1e-6)


def test_focal_term_survives_extreme_logits(case):
    predictions, matches = case
    logits = (predictions.logits * 1e4).detach().requires_grad_()
    predictions.found['logits'] = logits
    loss = FocalTerm()(predictions, matches, NUM_BOXES)
    loss.sum().backward()
    assert loss.isfinite().all() and logits.grad.isfinite().all()


def test_softmax_term_weighs_no_object_less(case):
    predictions, matches = case
    labels = torch.full((LAYERS, 2, QUERIES), CLASSES - 1)  # the last row of the logits
    predictions.targets.labels = predictions.targets.labels % (CLASSES - 1)
    for layer, image, query, index in zip(*(part.tolist() for part in (*matches.where, matches.target))):
        labels[layer, image, query] = predictions.targets.labels[index]
    weights = torch.ones(CLASSES)
    weights[-1] = 0.1
    losses = SoftmaxTerm(weight=3.0, no_object_weight=0.1)(predictions, matches, NUM_BOXES)
    for layer, loss in enumerate(losses):
        expected = F.cross_entropy(predictions.logits[layer].flatten(0, 1), labels[layer].flatten(), weights)
        assert loss.item() == pytest.approx(3 * expected.item(), rel=1e-5)


def test_softmax_term_of_two_processes_is_that_of_one(case, monkeypatch):
    """With `sync_norm`, the mean of the losses of two processes with an image each is that of both images."""
    predictions, matches = case
    predictions = prediction_set(torch.randn(LAYERS, 2, QUERIES, CLASSES + 1), predictions.boxes, predictions.targets)
    counts, totals = predictions.targets.counts, []

    def process(image: int) -> torch.Tensor:
        own = matches.image == image
        targets = Targets.from_samples(predictions.targets.samples[image : image + 1])
        found = prediction_set(predictions.logits[:, [image]], predictions.boxes[:, [image]], targets)
        places = matches.layer[own], matches.image[own] * 0, matches.query[own], matches.target[own] - counts[0] * image
        return SoftmaxTerm(sync_norm=True)(found, Matches(*places), NUM_BOXES)

    monkeypatch.setattr(terms, 'reduce_mean', lambda total: totals.append(total) or total)
    alone = [process(image) for image in range(2)]
    monkeypatch.setattr(terms, 'reduce_mean', lambda total: sum(totals) / 2)
    whole = SoftmaxTerm()(predictions, matches, NUM_BOXES)
    torch.testing.assert_close(sum(map(process, range(2))) / 2, whole)
    assert not torch.allclose(sum(alone) / 2, whole)


def test_box_terms(case):
    predictions, matches = case
    l1 = BoxL1Term(weight=5.0)(predictions, matches, NUM_BOXES)
    iou = GIoUTerm(weight=2.0)(predictions, matches, NUM_BOXES)
    for layer in range(LAYERS):
        here = matches.layer == layer
        boxes = predictions.boxes[layer, matches.image[here], matches.query[here]]
        objects = predictions.targets.boxes[matches.target[here]]
        expected = L1Loss(reduction='sum')(boxes, objects) * 5 / 3
        assert l1[layer].item() == pytest.approx(expected.item(), rel=1e-5)
        overlaps = bbox_overlaps(bbox_cxcywh_to_xyxy(boxes), bbox_cxcywh_to_xyxy(objects), 'giou', is_aligned=True)
        assert iou[layer].item() == pytest.approx((1 - overlaps).sum().item() * 2 / 3, rel=1e-5)


@pytest.mark.parametrize(
    'term', [FocalTerm(), SoftmaxTerm(), BoxL1Term(), GIoUTerm()], ids=lambda term: type(term).__name__
)
class TestEveryTerm:
    def test_layers_do_not_mix(self, term, case):
        predictions, matches = case
        both = term(predictions, matches, NUM_BOXES)
        for layer in range(LAYERS):
            here = matches.layer == layer
            alone = prediction_set(
                predictions.logits[layer : layer + 1], predictions.boxes[layer : layer + 1], predictions.targets
            )
            part = Matches(
                torch.zeros(int(here.sum()), dtype=torch.long),
                matches.image[here],
                matches.query[here],
                matches.target[here],
            )
            assert term(alone, part, NUM_BOXES).allclose(both[layer])

    def test_order_of_matches_does_not_matter(self, term, case):
        predictions, matches = case
        order = torch.randperm(6)
        shuffled = Matches(*(part[order] for part in (*matches.where, matches.target)))
        assert term(predictions, shuffled, NUM_BOXES).allclose(term(predictions, matches, NUM_BOXES))

    def test_no_objects(self, term, case):
        predictions, _ = case
        predictions.targets = Targets.from_samples(samples(counts=(0, 0)))
        loss = term(predictions, nothing(), torch.tensor(1.0))
        loss.sum().backward()
        boxes = isinstance(term, (BoxL1Term, GIoUTerm))
        assert loss.shape == (LAYERS,) and loss.isfinite().all() and (loss == 0).all() == boxes
        trained = predictions.boxes if boxes else predictions.logits
        assert trained.grad.isfinite().all()  # zero, but there: DDP waits for it

    def test_no_queries(self, term, case):
        predictions, _ = case
        predictions.found = {word: found[:, :, :0] for word, found in predictions.found.items() if found is not None}
        loss = term(predictions, nothing(), torch.tensor(1.0))
        assert loss.requires_grad and loss.tolist() == [0.0, 0.0]


@pytest.mark.parametrize('term', [FocalTerm(), SoftmaxTerm()], ids=['focal', 'softmax'])
def test_queries_that_are_not_valid_cost_nothing(term, case):
    predictions, matches = case
    predictions.targets.labels = predictions.targets.labels % (CLASSES - 1)
    valid = torch.ones(2, QUERIES, dtype=torch.bool)
    valid[:, 2] = False  # matched in no layer
    predictions.group.valid = valid
    loss = term(predictions, matches, NUM_BOXES)
    (gradient,) = torch.autograd.grad(loss.sum(), predictions.logits)
    assert not gradient[:, :, 2].any() and gradient[:, :, [0, 1, 3, 4, 5]].abs().sum(-1).all()

    rest = [0, 1, 3, 4, 5]
    fewer = prediction_set(predictions.logits[:, :, rest], predictions.boxes[:, :, rest], predictions.targets)
    moved = Matches(matches.layer, matches.image, matches.query - (matches.query > 2).long(), matches.target)
    assert term(fewer, moved, NUM_BOXES).allclose(loss)


def test_giou_is_that_of_mmdet_and_broadcasts():
    torch.manual_seed(0)
    first, second = torch.rand(7, 4), torch.rand(5, 4)
    theirs = bbox_overlaps(bbox_cxcywh_to_xyxy(first), bbox_cxcywh_to_xyxy(second), 'giou')
    assert giou(first[:, None], second).allclose(theirs, atol=1e-5)


def test_giou_of_special_boxes():
    box = torch.tensor([0.5, 0.5, 0.2, 0.2])
    assert giou(box, box).item() == pytest.approx(1)
    apart = giou(torch.tensor([0.25, 0.5, 0.1, 0.1]), torch.tensor([0.75, 0.5, 0.1, 0.1]))
    assert apart.item() == pytest.approx(-(0.06 - 0.02) / 0.06, rel=1e-4)
    point = torch.tensor([0.5, 0.5, 0.0, 0.0], requires_grad=True)
    overlap = giou(point, point.detach())
    overlap.backward()
    assert overlap.isfinite() and point.grad.isfinite().all()
