"""COTR-Net, IBIMHAV-Net and TransBridge, of which no code is public: properties that the texts give."""

import pytest
import torch
from segmentors import build, trains

from mmparts.layers.window_attention import WindowAttention
from mmparts.layers.window_grid import WindowGrid
from mmparts.segment.ibimhav_net.attention import PlaceBiasedAttention
from mmparts.segment.trans_bridge.bridge import ShuffledGroupEmbed, shuffled

LEAKY = dict(norm=dict(type='IN', affine=True), act=dict(type='LeakyReLU'))


def cotr_net(**encoder):
    block = dict(type='mmparts.DoubleConv', **LEAKY)
    return dict(
        type='mmparts.Segmentor',
        dims=3,
        in_channels=1,
        num_classes=4,
        encoder=dict(
            type='mmparts.LightTransformerEncoder',
            **{**dict(channels=(8, 8, 16, 16), embed_dims=16, num_heads=2, tokens=(2, 3, 3)), **encoder},
        ),
        decoder=dict(
            type='mmparts.UpDecoder',
            channels=(16, 8, 8, 8),
            level=dict(type='mmparts.ConcatLevel', block=block),
            num_outputs=3,
        ),
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=16),
    )


def ibimhav_net(channels=(8, 8, 16), levels=dict(), **encoder):
    block = dict(type='mmparts.VoxelBlock', num_heads=2, window_size=2, **levels)
    return dict(
        type='mmparts.Segmentor',
        dims=3,
        in_channels=1,
        num_classes=2,
        encoder=dict(
            type='mmparts.VoxelEncoder',
            channels=channels,
            num_heads=(1, 2, 2),
            windows=(True,) * 3,
            window_size=2,
            **levels,
            **encoder,
        ),
        decoder=dict(type='mmparts.UpDecoder', level=dict(type='mmparts.ConcatLevel', block=block)),
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=4),
    )


def trans_bridge(**bridge):
    return dict(
        type='mmparts.Segmentor',
        in_channels=3,
        encoder=dict(type='mmparts.ConvEncoder', channels=(8, 8, 16, 16), block=dict(type='mmparts.ResidualConv')),
        bottleneck=dict(
            type='mmparts.LevelBridge', **{**dict(embed_dims=16, num_layers=2, num_heads=2, groups=2), **bridge}
        ),
        decoder=dict(type='mmparts.UpDecoder'),
        head=dict(type='mmparts.RegionHead', regions=dict(ventricle=(1,))),
        terms=[dict(type='mmparts.SoftDiceTerm'), dict(type='mmparts.BinaryCrossEntropyTerm')],
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=8),
    )


@pytest.mark.parametrize(
    ('cfg', 'sizes', 'classes'),
    [
        (cotr_net(), [(32, 48, 40), (30, 33, 64)], 4),
        (cotr_net(stem_stride=(1, 2, 2), with_cp=True), [(16, 48, 32), (15, 33, 20)], 4),
        (ibimhav_net(), [(12, 16, 9), (8, 11, 20)], 2),
        (trans_bridge(), [(48, 40), (30, 64)], 2),
    ],
)
def test_trains_at_sizes_that_are_no_cubes(cfg, sizes, classes):
    trains(build(cfg), sizes, num_classes=classes)


@pytest.mark.parametrize(
    ('make', 'switch', 'size'),
    [
        (cotr_net, dict(positions=False), (1, 32, 48, 32)),
        (cotr_net, dict(transformers=False), (1, 32, 48, 32)),
        (ibimhav_net, dict(levels=dict(in_queries=False)), (1, 8, 12, 16)),
        (ibimhav_net, dict(levels=dict(relative=False)), (1, 8, 12, 16)),
        (ibimhav_net, dict(levels=dict(windows=False)), (1, 8, 12, 16)),
        (trans_bridge, dict(shuffle=False), (3, 32, 48)),
        (trans_bridge, dict(bridged=False), (3, 32, 48)),
    ],
)
def test_switches_of_ablations_change_the_output(make, switch, size):
    if 'windows' in switch.get('levels', {}):
        without = make()
        without['encoder']['windows'] = (False,) * 3
        without['decoder']['level']['block']['windows'] = False
    else:
        without = make(**switch)
    whole, without = build(make()).eval(), build(without).eval()
    without.load_state_dict(whole.state_dict(), strict=False)
    image = torch.randn(1, *size)
    with torch.no_grad():
        assert not torch.allclose(whole(image), without(image), atol=1e-3)


@pytest.mark.parametrize(('patch', 'groups'), [(1, 4), (2, 4), (4, 8)])
def test_parameters_of_the_shuffled_embedding(patch, groups):
    embed = ShuffledGroupEmbed(8, 16, patch, groups)
    assert sum(each.numel() for each in embed.parameters()) == patch**2 * 8 * 16 // groups + 16
    assert embed(torch.randn(1, 8, 16, 24)).shape == (1, 16, 16 // patch, 24 // patch)


def test_the_shuffle_is_a_permutation_and_groups_see_the_whole_patch():
    x = torch.arange(12.0).view(1, 12, 1, 1)
    assert shuffled(x, 3).flatten().tolist() == [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]
    embed = ShuffledGroupEmbed(4, 4, 2, groups=2)
    image = torch.randn(1, 4, 2, 2, requires_grad=True)
    embed(image)[0, 0].sum().backward()
    reached = image.grad[0] != 0
    assert reached.sum() == 8  # a group's share of 16 ...
    assert reached.any(0).all()  # ... from all four places of the patch
    with pytest.raises(ValueError, match='groups 3'):
        ShuffledGroupEmbed(4, 4, 2, groups=3)


def test_without_places_it_is_plain_window_attention():
    """Equal to Swin's attention whose bias table is zero."""
    ours = PlaceBiasedAttention(8, 2, (3, 3, 3), in_queries=False)
    for parameter in ours.relative[-1].parameters():
        torch.nn.init.zeros_(parameter)
    plain = WindowAttention(8, 2, (3, 3, 3))
    plain.load_state_dict({**ours.state_dict(), 'relative_position_bias_table': torch.zeros(125, 2)}, strict=False)
    x = torch.randn(1, 7, 6, 4, 8)
    for shifted in (False, True):
        grid = WindowGrid.of((7, 6, 4), (3, 3, 3), shifted)
        windows = grid.partition(x)
        assert torch.allclose(ours(windows, grid), plain(windows, grid), atol=1e-6)


def test_the_relative_term_depends_on_the_difference_of_codes_alone():
    attention = PlaceBiasedAttention(8, 2, (2, 3, 4), place_dims=6)
    grid = WindowGrid.of((2, 3, 4), (2, 3, 4), False)
    bias = attention.bias(grid, torch.float32)[0]
    codes = attention.places.flatten(0, -2)
    for query, key in ((0, 5), (23, 7), (11, 11)):
        assert torch.allclose(bias[:, query, key], attention.relative(codes[query] - codes[key]), atol=1e-6)
    attention.places.data += torch.randn(6)  # all codes moved alike
    assert torch.allclose(attention.bias(grid, torch.float32)[0], bias, atol=1e-5)


def test_codes_start_as_sines_and_learn():
    attention = PlaceBiasedAttention(8, 2, (2, 2, 2), place_dims=6)
    assert attention.places[1, 0, 0].tolist() == pytest.approx([0.84147, 0.5403, 0, 1, 0, 1], abs=1e-4)
    grid = WindowGrid.of((4, 4, 4), (2, 2, 2), True)
    attention(grid.partition(torch.randn(1, 4, 4, 4, 8)), grid).square().sum().backward()
    assert attention.places.grad.abs().sum() > 0


def test_the_bridge_lets_levels_look_at_each_other():
    bridge = build(
        dict(type='mmparts.LevelBridge', in_channels=(4, 4, 8, 8), strides=(2, 4, 8, 16), embed_dims=16, num_heads=2)
    )
    maps = [torch.randn(1, c, 32 // 2**i, 32 // 2**i, requires_grad=True) for i, c in enumerate((4, 4, 8, 8))]
    out = bridge(maps)
    assert out[0] is maps[0]
    out[1].square().sum().backward()
    assert maps[3].grad.abs().sum() > 0 and maps[0].grad is None
