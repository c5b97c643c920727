"""How references move, and which layers a layer's box loss trains."""

import math

import pytest
import torch

from mmparts.detr.boxes import move
from mmparts.detr.decoder import QueryDecoder
from mmparts.detr.head import SetPredictionHead
from mmparts.detr.mask_dino.head import InitialPredictionDecoder
from mmparts.detr.matching import HungarianMatcher
from mmparts.detr.references import FixedReference, IterativeRefinement, LookForwardTwice
from mmparts.detr.selection import TopKSelection
from mmparts.detr.structures import Memory, QueryGroup, Run

DIMS, LAYERS = 16, 4


def test_without_reference_the_delta_is_the_box():
    delta = torch.randn(2, 5, 4)
    assert move(delta, None, 1e-5).equal(delta.sigmoid())


def test_a_point_moves_only_the_centre():
    delta, point = torch.randn(2, 5, 4), torch.rand(2, 5, 2)
    box = move(delta, point, 1e-5)
    assert box[..., 2:].allclose(delta[..., 2:].sigmoid())
    assert box[..., :2].allclose((delta[..., :2] + torch.logit(point)).sigmoid(), atol=1e-6)


def test_a_box_that_does_not_move_stays():
    box = torch.rand(2, 5, 4) * 0.9 + 0.05
    assert move(torch.zeros(2, 5, 4), box, 1e-5).allclose(box, atol=1e-6)
    assert move(torch.full((2, 5, 4), 0.1), box, 1e-5).gt(box).all()


@pytest.mark.parametrize('eps', [1e-5, 1e-3])
@pytest.mark.parametrize('edge', [0.0, 1.0, -0.5, 1.5])
def test_a_saturated_reference_can_still_move(eps, edge):
    delta = torch.zeros(1, 4, requires_grad=True)
    bound = math.log(1 / eps)  # 11.51 and 6.91
    reference = torch.full((1, 4), edge)
    box = move(delta, reference, eps)
    assert box.allclose(torch.tensor(-bound if edge <= 0 else bound).sigmoid().expand(1, 4))
    box.sum().backward()
    assert delta.grad.isfinite().all() and (delta.grad > 0).all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('reference', [None, torch.rand(1, 2), torch.rand(1, 4)], ids=['absolute', 'point', 'box'])
def test_boxes_are_float32_whatever_the_branch_gives(dtype, reference):
    assert move(torch.zeros(1, 4, dtype=dtype), reference, 1e-5).dtype == torch.float32


def decoded(rule: type, coordinates: int = 4, kind: type = QueryDecoder):
    """A head with branches of its own for each of four layers, the decoder, and what they make of three queries."""
    torch.manual_seed(0)
    head = SetPredictionHead(
        [],
        dict(type=HungarianMatcher, costs=[]),
        dict(type=TopKSelection),
        num_classes=3,
        embed_dims=DIMS,
        num_layers=LAYERS,
        share_branches=False,
    )
    decoder = kind(DIMS, LAYERS, num_heads=2, ffn_channels=16, num_levels=1, reference_update=dict(type=rule)).eval()
    for parameter in [*head.parameters(), *decoder.parameters()]:
        parameter.data += 0.1 * torch.randn_like(parameter)
    feat = torch.randn(2, DIMS, 3, 4)
    group = QueryGroup('match', torch.randn(2, 3, DIMS), torch.rand(2, 3, coordinates), pos=torch.randn(2, 3, DIMS))
    hidden, references = decoder([group], Memory.from_levels([feat], [feat], None), [Run(group.size)], head)
    return head, decoder, references, head(hidden, references)['boxes']


@pytest.mark.parametrize(
    ('rule', 'further_back'), [(FixedReference, 0), (IterativeRefinement, 0), (LookForwardTwice, 1)]
)
def test_which_branches_a_layers_box_trains(rule, further_back):
    """Its own; when looking forward twice also the one before, whose box it started from; never any further."""
    for layer in range(LAYERS):
        head, _, _, boxes = decoded(rule)
        boxes[layer].sum().backward()
        trained = [
            index
            for index in range(LAYERS)
            if any(
                parameter.grad is not None and parameter.grad.any() for parameter in head.box_branch(index).parameters()
            )
        ]
        assert trained == list(range(max(layer - further_back, 0), layer + 1))


@pytest.mark.parametrize('rule', [FixedReference, IterativeRefinement, LookForwardTwice])
def test_every_layer_is_trained_through_the_queries(rule):
    _, decoder, _, boxes = decoded(rule)
    boxes[-1].sum().backward()
    assert all(parameter.grad is not None for parameter in decoder.parameters())


@pytest.mark.parametrize('kind', [QueryDecoder, InitialPredictionDecoder])
def test_the_box_of_a_layer_is_what_enters_the_next(kind, monkeypatch):
    """Also where the head is told what entered the first layer, too."""
    entered, forward = [], QueryDecoder.forward

    def noted(*args):
        hidden, references = forward(*args)
        entered.extend(references)
        return hidden, references

    monkeypatch.setattr(QueryDecoder, 'forward', noted)
    boxes = decoded(IterativeRefinement, kind=kind)[-1]
    assert len(boxes) == LAYERS + (kind is InitialPredictionDecoder)
    torch.testing.assert_close(boxes[-LAYERS:-1], torch.stack(entered[1:]))


def test_fixed_references_stay():
    reference = torch.rand(2, 3, 4)
    assert FixedReference()(None, None, reference, 1e-5) == (reference, reference)


def test_refinement_does_not_start_a_graph_and_looking_twice_keeps_one():
    branch, hidden = torch.nn.Linear(DIMS, 4), torch.randn(2, 3, DIMS)
    reference = torch.rand(2, 3, 4)
    expected = move(branch(hidden), reference, 1e-5)
    for rule, keeps in ((IterativeRefinement(), False), (LookForwardTwice(), True)):
        entering, kept = rule(branch, hidden, reference, 1e-5)
        assert entering.allclose(expected) and kept.allclose(expected)
        assert not entering.requires_grad and kept.requires_grad == keeps


@pytest.mark.parametrize(('rule', 'later'), [(FixedReference, 2), (IterativeRefinement, 4), (LookForwardTwice, 4)])
def test_a_refined_point_is_a_box(rule, later):
    _, _, references, boxes = decoded(rule, coordinates=2)
    assert [reference.shape[-1] for reference in references] == [2, later, later, later]
    assert boxes.shape == (LAYERS, 2, 3, 4)
