"""BAT: counts, maps that are not square, key points of shapes with corners, gate losses by hand, official names."""

import numpy as np
import pytest
import torch
from segmentors import build, converts, count, official_names, on_meta, trains

from mmparts.segment.bat.bottleneck import AtrousGate, BoundaryGate
from mmparts.segment.bat.key_points import KeyPointTerm, extrema, in_disc, key_point_map, key_points
from mmparts.segment.bat.weights import BATLayout
from mmparts.segment.structures import Target


def bat(encoder={}, decoder={}, terms=(), **bottleneck):
    return dict(
        type='mmparts.Segmentor',
        encoder=dict(
            type='mmdet.ResNet',
            **{
                **dict(depth=50, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), out_indices=(3,), norm_eval=False),
                **encoder,
            },
        ),
        bottleneck=dict(type='mmparts.BoundaryBottleneck', **bottleneck),
        decoder=dict(type='mmparts.ASPPDecoder', **decoder),
        head=dict(type='mmparts.RegionHead', regions=dict(lesion=(1,))),
        terms=[dict(type='mmparts.SoftDiceTerm', squared=True, over_batch=True), *terms],
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=16),
    )


SMALL = dict(embed_dims=16, num_layers=2, num_decoder_layers=2, num_heads=2, mlp_dims=24, cross_dims=12, max_size=20)
TINY = dict(encoder=dict(depth=50, base_channels=4), decoder=dict(channels=8))


def test_counts():
    assert count(bat()) == 46_737_031
    unused = 1_318_912 + 128  # decoder and query: built by the official code without the gate, too, and never used
    assert count(bat(cross_gate=False)) + unused == 46_234_695


@pytest.mark.parametrize('queries', [1, 3])
def test_trains_on_maps_that_are_not_square(queries):
    model = build(bat(terms=[dict(type='mmparts.KeyPointTerm', subsample=1)], num_queries=queries, **SMALL, **TINY))
    losses = trains(model, [(64, 112), (60, 77)], num_classes=2)
    assert set(losses) == {'loss_dice', 'loss_gates'}


def test_with_one_query_attention_has_nothing_to_choose_from():
    ask = build(bat(**SMALL, **TINY)).bottleneck.ask
    for queries in (1, 3):
        ask.zero_grad()
        ask(torch.randn(2, 20, 16), memory=torch.randn(2, queries, 16)).pow(3).mean().backward()
        query, key, value = (float(part.norm()) for part in ask.cross_attn.in_proj_weight.grad.split(16))
        limit = 1e-5 * value
        assert (query > limit) is (key > limit) is (queries > 1)


@pytest.mark.parametrize('gate', [BoundaryGate(8), AtrousGate(8)])
def test_gates_add_what_they_let_through(gate):
    x = torch.randn(2, 8, 9, 7)
    out, mask = gate(x)
    assert mask.shape == (2, 1, 9, 7) and mask.min() > 0 and mask.max() < 1
    assert torch.allclose(out, x * (1 + mask))


def test_columns_come_first_in_the_position_code():
    model = build(bat(**SMALL, **TINY)).eval()
    rows, columns = (axis.weight for axis in model.bottleneck.positions.axes)
    seen = []
    model.bottleneck.layers[0].register_forward_pre_hook(lambda module, args: seen.append(args[1]))
    model(torch.randn(1, 3, 64, 96))
    place = seen[0].view(4, 6, 16)
    assert place[2, 5, :8].equal(columns[5]) and place[2, 5, 8:].equal(rows[2])


def test_corners_of_a_square_are_key_points():
    mask = np.zeros((256, 256), np.uint8)
    mask[60:181, 80:201] = 1
    points = key_points(mask, subsample=1)
    corners = {(60, 80), (60, 200), (180, 80), (180, 200)}
    assert corners <= set(points)
    heat = key_point_map(mask, 1)
    assert all(heat[corner] == 1 for corner in corners)
    assert np.isclose(heat[60, 85], np.exp(-0.5)) and heat[120, 140] == 0
    assert not key_points(np.ones((64, 64), np.uint8)[:8, :8])  # too short an outline


def test_shares_in_a_disc_by_hand():
    mask = (np.random.default_rng(0).random((20, 23)) > 0.5).astype(np.uint8)
    rows, columns = np.mgrid[:20, :23]
    for row, column in ((0, 0), (10, 11), (19, 5)):
        near = (rows - row) ** 2 + (columns - column) ** 2 <= 36
        assert in_disc(mask, 6)[row, column] == mask[near].sum()


def test_extrema_wrap_around_and_are_strict():
    assert extrema([5, 1, 2, 3, 4], 2).tolist() == [0, 1]
    assert extrema([5, 5, 1, 2, 3], 1).tolist() == [2]
    assert not len(extrema([2.0] * 9, 3))


def test_the_loss_of_gates_by_hand():
    mask = torch.zeros(1, 128, 128, dtype=torch.long)
    mask[0, 30:91, 40:101] = 1
    gate = torch.rand(1, 1, 8, 8) * 0.8 + 0.1
    term = KeyPointTerm(subsample=1)
    wanted = term.maps(Target(mask), gate)
    assert wanted.shape == gate.shape and wanted[0, 0, 1, 2] == 1 and wanted[0, 0, 4, 4] == 0
    right = torch.where(wanted > 0, gate, 1 - gate)
    alpha = torch.where(wanted > 0, 0.6, 0.4)
    focal = -(alpha * (1 - right) ** 2 * right.log())
    assert torch.allclose(term(None, Target(mask), dict(gates=[gate, gate])), focal.mean(), atol=1e-6)
    entropy = KeyPointTerm(subsample=1, focal=False)(None, Target(mask), dict(gates=[gate]))
    assert torch.allclose(entropy, -right.log().mean(), atol=1e-6)
    quirk = KeyPointTerm(subsample=1, mean_first=True)(None, Target(mask), dict(gates=[gate]))
    assert torch.allclose(quirk, alpha.mean() * (1 - (-entropy).exp()) ** 2 * entropy, atol=1e-6)
    wide, narrow = (KeyPointTerm(subsample=1, threshold=each).maps(Target(mask), gate).sum() for each in (0.0, 0.5))
    assert wide > narrow
    with pytest.raises(ValueError, match='BoundaryBottleneck'):
        term(None, Target(mask), {})


def test_official_names():
    assert len(official_names(BATLayout, on_meta(bat()))) == 606
    state, ours = converts(BATLayout, build(bat(**SMALL, **TINY)))
    assert BATLayout.matches(set(state))
    assert ours['encoder.layer4.2.conv3.weight'].equal(state['deeplab.resnet.layer5.2.conv3.weight'])
    assert ours['bottleneck.positions.axes.0.weight'].equal(state['row_embedding'])
    assert ours['bottleneck.last_gate.convs.4.bn.bias'].equal(state['BCA.BAG.convs.4.1.bias'])
