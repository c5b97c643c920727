"""The head: names of losses, and predictions turned into detections."""

import math

import pytest
import torch
from mmdet.structures import DetDataSample
from tiny import base, batch, build, prediction_set, samples

from mmparts.detr.head import SetPredictionHead, in_every_layer
from mmparts.detr.matching import HungarianMatcher
from mmparts.detr.roles import LossTerm
from mmparts.detr.selection import BestClassSelection, TopKSelection
from mmparts.detr.structures import QueryGroup
from mmparts.layers.deformable import DeformableAttention
from mmparts.registry import build_part


def head(**kwargs) -> SetPredictionHead:
    kwargs = {'select': dict(type=TopKSelection), 'num_classes': 3, 'embed_dims': 16, 'num_layers': 4, **kwargs}
    return SetPredictionHead([], dict(type=HungarianMatcher, costs=[]), **kwargs)


@pytest.mark.parametrize('size_bias', [0.0, -2.0])
def test_boxes_start_at_their_reference(size_bias):
    """All of the first layer's deltas are zero but for the size bias, which later layers of their own do not have."""
    part = head(size_bias=size_bias, share_branches=False)
    hidden, references = [torch.randn(2, 5, 16)] * 4, [torch.rand(2, 5, 4)] * 4
    boxes = part(hidden, references)['boxes']
    assert boxes[1].allclose(references[1], atol=1e-5)
    expected = torch.logit(references[0]) + torch.tensor([0.0, 0.0, size_bias, size_bias])
    assert boxes[0].allclose(expected.sigmoid(), atol=1e-5)


def test_absolute_boxes_start_at_random():
    boxes = head(size_bias=None)([torch.randn(2, 5, 16)], [None])['boxes']
    assert boxes.std() > 1e-3


@pytest.mark.parametrize(('no_object', 'rows', 'probability'), [(False, 3, 0.01), (True, 4, None)])
def test_sigmoid_classes_start_unlikely(no_object, rows, probability):
    logits = head(no_object=no_object)([torch.zeros(2, 5, 16)], [None])['logits']
    assert logits.shape == (1, 2, 5, rows)
    if probability:
        assert logits.sigmoid().allclose(torch.tensor(probability), atol=1e-4)


@pytest.mark.parametrize('name', ['detr_r50', 'deformable_detr_r50', 'dab_detr_r50', 'dino_r50'])
def test_encoder_and_decoder_start_as_the_papers_codes(name):
    """Xavier on every matrix, but for the deformable attentions, which have a start of their own."""
    cfg = base(name)
    for part in (cfg.encoder, cfg.decoder):
        built = build_part(part, embed_dims=256, num_levels=cfg.num_levels)
        own = [each for each in built.modules() if isinstance(each, DeformableAttention)]
        apart = {id(parameter) for each in own for parameter in each.parameters()}
        apart.add(id(getattr(built, 'level_embed', None)))  # drawn from a normal distribution
        matrices = [each for each in built.parameters() if each.dim() == 2 and id(each) not in apart]
        assert matrices
        for matrix in matrices:
            bound = math.sqrt(6 / sum(matrix.shape))
            assert 0.95 * bound < matrix.abs().max() <= bound


@pytest.mark.parametrize(('share', 'copies'), [(True, 1), (False, 4)])
def test_branches_are_shared_or_each_layer_has_its_own(share, copies):
    part = head(share_branches=share)
    assert len({id(part.class_branch(layer)) for layer in range(4)}) == copies
    assert len({id(part.box_branch(layer)) for layer in range(4)}) == copies


@pytest.mark.parametrize(
    ('name', 'groups'),
    [('detr_r50', ['']), ('deformable_detr_refine_twostage_r50', ['', 'enc_']), ('dino_r50', ['', 'dn_', 'enc_'])],
)
def test_losses_are_named_as_mmdet_names_them(name, groups):
    model = build(base(name)).train()
    expected = {f'{group}loss_{term}' for group in groups for term in ('cls', 'bbox', 'iou')}
    expected |= {f'd0.{key}' for key in expected if not key.startswith('enc')}
    assert set(model(**batch(model), mode='loss')) == expected


class Normaliser(LossTerm):
    """Reports the number by which losses are divided."""

    name = 'loss_by'

    def forward(self, predictions, matches, num_boxes):
        return num_boxes.expand(len(predictions.logits))


@pytest.mark.parametrize(('counts', 'match', 'denoising'), [((3, 1), 4, 4 * 3), ((0, 0), 1, 1 * 10)])
def test_losses_are_divided_by_the_objects_of_the_batch(counts, match, denoising):
    """Each object counts once for every copy among the denoising queries: 10 // 3 copies, or 10 of no objects."""
    model = build(base('dino_r50', head=dict(terms=[dict(type=Normaliser)]))).train()
    losses = model(**batch(model, counts=counts), mode='loss')
    assert {name: value.item() for name, value in losses.items()} == {
        'loss_by': match,
        'd0.loss_by': match,
        'enc_loss_by': match,
        'dn_loss_by': denoising,
        'd0.dn_loss_by': denoising,
    }


def test_losses_are_divided_by_the_mean_over_the_processes(monkeypatch):
    """This process has 4 objects, the others so many that the mean is 10."""
    monkeypatch.setattr('mmparts.detr.head.reduce_mean', lambda own: own * 10 / 4)
    model = build(base('dino_r50', head=dict(terms=[dict(type=Normaliser)]))).train()
    losses = model(**batch(model, counts=(3, 1)), mode='loss')
    assert losses['loss_by'] == 10 and losses['dn_loss_by'] == 10 * 3


def test_a_group_that_matches_objects_repeatedly_is_divided_accordingly():
    assert QueryGroup('o2m', torch.zeros(2, 6, 8), repeat=6).copies == 6


def test_known_pairs_hold_in_every_layer():
    known = (torch.tensor([0, 1, 1, 0]), torch.tensor([4, 0, 2, 3]), torch.tensor([7, 8, 9, 7]))
    matches = in_every_layer(prediction_set(torch.zeros(2, 2, 5, 3), torch.zeros(2, 2, 5, 4), None, known=known))
    found = zip(*(index.tolist() for index in (*matches.where, matches.target)))
    pairs = [(0, 3, 7), (0, 4, 7), (1, 0, 8), (1, 2, 9)]
    assert sorted(found) == [(layer, *pair) for layer in range(2) for pair in pairs]


def predicted() -> tuple[dict, list[DetDataSample]]:
    """Two queries in each of two images of 64x96 and 96x64 pixels, which were 128x288 and 192x192 before resizing."""
    boxes = torch.tensor(
        [[[0.5, 0.5, 0.5, 0.25], [0.9, 0.1, 0.4, 0.4]], [[0.25, 0.25, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]]]
    )
    logits = torch.tensor([[[-1.0, 2.0, 1.5], [0.0, -3.0, -4.0]], [[-5.0, -5.0, 4.0], [-6.0, 5.0, -6.0]]])
    earlier = torch.zeros(1, 2, 2, 4), torch.zeros(1, 2, 2, 3)  # only the last layer counts
    return (
        dict(boxes=torch.cat([earlier[0], boxes[None]]), logits=torch.cat([earlier[1], logits[None]])),
        samples(sizes=((64, 96), (96, 64)), counts=(1, 0)),
    )


def test_top_pairs_of_query_and_class():
    raw, images = predicted()
    first, second = head(select=dict(type=TopKSelection, num=3)).predict(raw, images)
    assert first.labels.tolist() == [1, 2, 0]  # the first query twice
    assert first.scores.allclose(torch.tensor([2.0, 1.5, 0.0]).sigmoid())
    assert first.bboxes[0].equal(first.bboxes[1])
    assert second.labels[:2].tolist() == [1, 2]
    assert len(head(select=dict(type=TopKSelection, num=100)).predict(raw, images)[0].scores) == 6


def test_best_class_of_every_query():
    raw, images = predicted()
    raw['logits'][-1, 0, 0, 2] = 9.0  # "no object" is the last row; a query reports its best class all the same
    first, second = head(select=dict(type=BestClassSelection), no_object=True).predict(raw, images)
    assert first.labels.tolist() == [0, 1] and second.labels.tolist() == [1, 0]
    expected = torch.tensor([[0.0, -3.0, -4.0], [-1.0, 2.0, 9.0]]).softmax(-1)[[0, 1], [0, 1]]
    assert first.scores.allclose(expected)


def test_boxes_are_those_of_the_original_image():
    raw, images = predicted()
    first, second = head(select=dict(type=TopKSelection, num=6)).predict(raw, images)
    # (.5, .5, .5, .25) of 288 x 128
    assert first.bboxes[0].allclose(torch.tensor([72.0, 48.0, 216.0, 80.0]), atol=1e-3)
    # (.9, .1, .4, .4) reaches beyond the right and the upper border
    assert first.bboxes[2].allclose(torch.tensor([0.7 * 288, 0.0, 288.0, 0.3 * 128]), atol=1e-3)
    # the whole of 192 x 192, then its upper left quarter
    assert second.bboxes[:2].allclose(torch.tensor([[0.0, 0.0, 192.0, 192.0], [0.0, 0.0, 96.0, 96.0]]), atol=1e-3)


def test_boxes_of_the_resized_image_on_request():
    raw, images = predicted()
    first, _ = head().predict(raw, images, rescale=False)
    assert first.bboxes[0].allclose(torch.tensor([24.0, 24.0, 72.0, 40.0]), atol=1e-3)


def test_best_come_first():
    raw, images = predicted()
    for select in (TopKSelection, BestClassSelection):
        for result in head(select=dict(type=select)).predict(raw, images):
            assert (result.scores.diff() <= 0).all()
