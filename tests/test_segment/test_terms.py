"""Loss terms against MONAI's losses and sums by hand."""

import pytest
import torch
import torch.nn.functional as F
from parity import reference

from mmparts.segment.structures import Target
from mmparts.segment.terms import (
    BinaryCrossEntropyTerm,
    CrossEntropyTerm,
    DenseFocalTerm,
    GeneralisedDiceTerm,
    SoftDiceTerm,
)

SIZES = [(7, 6), (4, 5, 3)]


def case(size, regions=False, classes=4, seed=0):
    """Logits B K *size, and the truth both as a target and dense."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, *size, generator=generator)
    if regions:
        maps = torch.randint(2, (2, classes, *size), generator=generator)
        return logits, Target(maps, regions=True), maps.float()
    labels = torch.randint(classes, (2, *size), generator=generator)
    return logits, Target(labels), F.one_hot(labels, classes).movedim(-1, 1).float()


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('activation', ['softmax', 'sigmoid'])
@pytest.mark.parametrize('squared', [False, True])
@pytest.mark.parametrize('over_batch', [False, True])
@pytest.mark.parametrize('background', [False, True])
def test_soft_dice_is_monais(size, activation, squared, over_batch, background):
    monai = reference('monai.losses')
    logits, target, dense = case(size, activation == 'sigmoid')
    theirs = monai.DiceLoss(
        include_background=background,
        softmax=activation == 'softmax',
        sigmoid=activation == 'sigmoid',
        squared_pred=squared,
        batch=over_batch,
        smooth_nr=0.5,
        smooth_dr=0.25,
    )
    ours = SoftDiceTerm(activation, squared, over_batch, background, 0.5, 0.25)
    assert torch.allclose(ours(logits, target, {}), theirs(logits, dense), atol=1e-6)


def test_dice_of_the_papers_by_hand():
    logits, target, dense = case((6, 5))
    p = logits.softmax(1)
    product, total = (p * dense).sum((0, 2, 3)), (p + dense).sum((0, 2, 3))
    transbts = SoftDiceTerm(over_batch=True, background=False, smooth_nr=0, class_sum=True)
    assert torch.allclose(transbts(logits, target, {}), (1 - 2 * product / (total + 1e-5))[1:].sum())
    nnformer = SoftDiceTerm(over_batch=True, background=False, from_zero=True)
    assert torch.allclose(nnformer(logits, target, {}), -((2 * product + 1e-5) / (total + 1e-5))[1:].mean())


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('over_batch', [False, True])
def test_generalised_dice_is_monais(size, over_batch):
    monai = reference('monai.losses')
    logits, target, dense = case(size)
    theirs = monai.GeneralizedDiceLoss(softmax=True, batch=over_batch, smooth_nr=0.5, smooth_dr=0.25)
    ours = GeneralisedDiceTerm(over_batch=over_batch, smooth_nr=0.5, smooth_dr=0.25)
    assert torch.allclose(ours(logits, target, {}), theirs(logits, dense), atol=1e-6)


def test_an_absent_class_decides_generalised_dice_unless_told_otherwise():
    logits = torch.randn(1, 3, 8, 8)
    target = Target((logits[:, 1] > 0).long())  # class 2 is nowhere
    official = GeneralisedDiceTerm(over_batch=True, background=False, eps=1e-5, smooth_nr=0, smooth_dr=0, absent='eps')
    assert official(logits, target, {}) > 0.999
    assert GeneralisedDiceTerm(background=False)(logits, target, {}) < 0.9


@pytest.mark.parametrize('weights', [None, [0.5, 1.0, 2.0, 0.1]])
def test_cross_entropy_leaves_ignored_pixels_out(weights):
    logits, target, _ = case((6, 5))
    labels = target.maps.clone()
    labels[:, :2] = 255
    theirs = F.cross_entropy(logits, labels, None if weights is None else torch.tensor(weights), ignore_index=255)
    assert torch.allclose(CrossEntropyTerm(weights)(logits, Target(labels), {}), theirs)
    nothing = CrossEntropyTerm(weights)(logits.requires_grad_(), Target(torch.full_like(labels, 255)), {})
    assert nothing == 0 and nothing.requires_grad


def test_binary_cross_entropy_leaves_ignored_pixels_out():
    logits, target, dense = case((6, 5), regions=True)
    maps = target.maps.clone()
    maps[:, :, :2] = 255
    theirs = F.binary_cross_entropy_with_logits(logits[:, :, 2:], dense[:, :, 2:], pos_weight=torch.tensor(3.0))
    assert torch.allclose(BinaryCrossEntropyTerm(3.0)(logits, Target(maps, regions=True), {}), theirs)


@pytest.mark.parametrize('size', SIZES)
def test_focal_is_monais(size):
    monai = reference('monai.losses')
    logits, target, dense = case(size, regions=True)
    ours = DenseFocalTerm('sigmoid', gamma=1.5, alpha=0.3)
    assert torch.allclose(ours(logits, target, {}), monai.FocalLoss(gamma=1.5, alpha=0.3)(logits, dense), atol=1e-6)
    logits, target, dense = case(size)
    # MONAI takes the mean over pixels before it sums over samples and classes
    theirs = monai.FocalLoss(gamma=1.5, use_softmax=True, reduction='sum')(logits, dense)
    assert torch.allclose(DenseFocalTerm('softmax', gamma=1.5)(logits, target, {}), theirs / 2, atol=1e-6)


@pytest.mark.parametrize('term', [SoftDiceTerm(), SoftDiceTerm(squared=True, over_batch=True), GeneralisedDiceTerm()])
def test_ignored_pixels_do_not_count(term):
    """The same whatever stands there: equal to the loss of the part that has a truth."""
    logits, target, _ = case((6, 5))
    labels = target.maps.clone()
    labels[:, :2] = 255
    part = term(logits[:, :, 2:], Target(labels[:, 2:]), {})
    assert torch.allclose(term(logits, Target(labels), {}), part, atol=1e-6)
