"""TransBTS and BiTr-Unet: counts with and without the dead parameters, formulas, official names, the dropout that
stays."""

import pytest
import torch
import torch.nn.functional as F
from segmentors import build, converts, count, official_names, on_meta, trains

from mmparts.segment.bitr_unet.gates import GatedConv
from mmparts.segment.bitr_unet.weights import BiTrUnetLayout
from mmparts.segment.trans_bts.levels import PointwiseLevel
from mmparts.segment.trans_bts.weights import TransBTSLayout

TOKENS = dict(
    type='mmparts.TokenBottleneck',
    num_layers=4,
    num_heads=8,
    mlp_dims=4096,
    embed=dict(type='mmparts.NormActConv'),
    qkv_bias=False,
    attn_dropout=0.1,
    branch_dropout=0.1,
    norm_eps=1e-5,
    out_norm=False,
)


def trans_bts(base=16, tokens={}, **encoder):
    width = 8 * base
    return dict(
        type='mmparts.Segmentor',
        dims=3,
        in_channels=4,
        num_classes=4,
        encoder=dict(type='mmparts.PreActivatedEncoder', base_channels=base, **encoder),
        bottleneck=dict(TOKENS, **{**dict(size=16, embed_dims=512), **tokens}),
        decoder=dict(
            type='mmparts.UpDecoder',
            stem=[
                dict(type='mmparts.DoubleConv', out_channels=width, bias=True),
                dict(type='mmparts.PlusConv', out_channels=width, bias=True),
            ],
            level=dict(type='mmparts.PointwiseLevel'),
        ),
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=8),
    )


def bitr_unet(channels=(16, 32, 64, 128, 256), always=False, coarse={}, fine={}):
    return dict(
        type='mmparts.Segmentor',
        dims=3,
        in_channels=4,
        num_classes=4,
        encoder=dict(
            type='mmparts.ConvEncoder',
            channels=channels,
            stem=[dict(type='mmparts.DroppedConv', out_channels=channels[0], always=always)],
            block=dict(type='mmparts.GatedConv'),
            block_after=dict(type='mmparts.GatedConv', dilation=2),
            after=4,
        ),
        bottleneck=dict(
            type='mmparts.TwoLevelBottleneck',
            coarse=dict(TOKENS, **{**dict(size=8, embed_dims=256), **coarse}),
            fine=dict(TOKENS, **{**dict(size=(16, 16, 8), embed_dims=512, joined=2), **fine}),
        ),
        decoder=dict(type='mmparts.TwoLevelDecoder'),
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=16),
    )


SMALL_TOKENS = dict(embed_dims=16, num_layers=2, num_heads=2, mlp_dims=24)


def small_trans_bts(**encoder):
    return trans_bts(8, dict(SMALL_TOKENS, size=2), depths=(1, 2, 1, 2), **encoder)


def small_bitr_unet(**changes):
    return bitr_unet(
        (4, 4, 8, 8, 16),
        coarse=dict(SMALL_TOKENS, size=2),
        fine=dict(SMALL_TOKENS, size=(4, 4, 2), joined=2),
        **changes,
    )


def test_counts():
    """The official models hold parameters that nothing uses; they are not built here."""
    dead = 512 * 512 + 512 + 2 * 512  # linear_encoding, pre_head_ln
    assert count(trans_bts()) + dead == 32_987_588
    assert count(trans_bts(tokens=dict(num_layers=1, mlp_dims=2048))) + dead == 15_138_244

    unet = (256 * 64 * 27 + 64 + 580 + 686) + 221_248 + 2 * 55_328 + 2 * 13_840 + 6_928 + 16 * 4 + 4
    dead = unet + 512 * 256 + 256 + 2 * 256 + 2 * 512  # Unet.bottom_2, decoder3 to 1, outconv; linear_encoding, norms
    assert count(bitr_unet()) + dead == 45_594_911


@pytest.mark.parametrize('cfg', [small_trans_bts, small_bitr_unet])
def test_trains(cfg):
    trains(build(cfg()), [(16, 24, 32), (15, 32, 24)])


@pytest.mark.parametrize(
    'cfg', [lambda always: small_trans_bts(always_drop=always), lambda always: small_bitr_unet(always=always)]
)
def test_the_dropout_that_stays_in_evaluation_is_an_option(cfg):
    image = torch.randn(1, 4, 16, 32, 32)
    for always in (False, True):
        model = build(cfg(always)).eval()
        with torch.no_grad():
            assert model(image).equal(model(image)) is not always


def test_a_level_by_hand():
    level = build(dict(type='mmparts.PointwiseLevel', in_channels=8, skip_channels=4, out_channels=4)).eval()
    x, skip = torch.randn(1, 8, 3, 4, 5), torch.randn(1, 4, 6, 8, 10)
    up = F.conv_transpose3d(level.narrow(x), level.up.conv.weight, level.up.conv.bias, stride=2)
    expected = level.fuse(torch.cat([skip, up], dim=1))
    inner = expected
    for step in level.block:
        inner = F.relu(step.norm(step.conv(inner)))
    assert torch.allclose(level(x, skip), expected + inner, atol=1e-6)
    assert isinstance(level, PointwiseLevel)


def test_gates_by_hand():
    block = GatedConv(4, 8, dilation=2)
    x = torch.randn(2, 4, 5, 6, 7)
    made = block.convs(x)
    assert made.shape[2:] == x.shape[2:]
    mlp = block.channel_gate.mlp
    gated = made * torch.sigmoid(mlp(made.mean((2, 3, 4))) + mlp(made.amax((2, 3, 4))))[..., None, None, None]
    pair = torch.stack([gated.amax(1), gated.mean(1)], dim=1)
    places = torch.sigmoid(F.relu(F.conv3d(pair, block.place_gate.conv.weight, padding=3)))
    assert places.min() >= 0.5
    assert torch.allclose(block(x), gated * places, atol=1e-6)
    block.place_gate.signed = True
    assert not torch.allclose(block(x), gated * places, atol=1e-3)


def test_two_neighbours_of_the_last_axis_make_a_token():
    model = build(small_bitr_unet()).eval()
    part = model.bottleneck.fine
    x = torch.randn(1, 8, 4, 4, 4)
    embedded = part.embed(x)
    seen = []
    part.blocks.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    part([x])
    tokens = embedded.movedim(1, -1).reshape(1, 32, 16) + part.positions.grid.reshape(1, 32, 16)
    assert torch.allclose(seen[0], tokens, atol=1e-6)
    with pytest.raises(ValueError, match='2 neighbours'):
        part([torch.randn(1, 8, 4, 4, 3)])


def test_official_names_of_trans_bts():
    model = build(small_trans_bts())
    assert len(official_names(TransBTSLayout, on_meta(trans_bts()))) == 226 - 4  # the official keys less the dead ones
    dead = ['linear_encoding.weight', 'linear_encoding.bias', 'pre_head_ln.weight', 'pre_head_ln.bias']
    table = 'position_encoding.position_embeddings'
    state, ours = converts(TransBTSLayout, model, {table: (1, 8, 16)}, dead)
    assert TransBTSLayout.matches(set(state)) and not BiTrUnetLayout.matches(set(state))
    assert ours['encoder.levels.3.1.0.gn.weight'].equal(state['Unet.EnBlock4_2.bn1.weight'])
    assert ours['decoder.levels.2.up.conv.bias'].equal(state['DeUp2.conv2.bias'])
    assert ours['bottleneck.blocks.1.mlp.part.fc2.bias'].equal(state['transformer.net.3.fn.fn.net.3.bias'])


def test_official_names_of_bitr_unet():
    model = build(small_bitr_unet())
    dead = ['linear_encoding.weight', 'linear_encoding.bias', 'Unet.outconv.weight', 'Unet.outconv.bias']
    dead += [f'pre_head_ln{suffix}.{kind}' for suffix in ('', '_4') for kind in ('weight', 'bias')]
    convs = [f'Unet.decoder{i}.ConvBnRelu{j}' for i in (1, 2, 3) for j in (1, 2)] + ['Unet.bottom_2.0']
    dead += [f'{conv}.conv.{kind}' for conv in convs for kind in ('weight', 'bias')]
    dead += [f'Unet.bottom_2.1.ChannelGate.mlp.{i}.{kind}' for i in (1, 3) for kind in ('weight', 'bias')]
    dead += ['Unet.bottom_2.1.SpatialGate.spatial.conv.weight']
    shapes = {
        'position_encoding.position_embeddings': (1, 8, 16),
        'position_encoding_4.position_embeddings': (1, 32, 16),
    }
    state, ours = converts(BiTrUnetLayout, model, shapes, dead)
    assert len(official_names(BiTrUnetLayout, on_meta(bitr_unet()))) == 336 - len(dead)
    assert BiTrUnetLayout.matches(set(state)) and not TransBTSLayout.matches(set(state))
    assert ours['decoder.narrow.weight'].equal(state['Cat4.conv1.weight'])
    assert ours['decoder.levels.0.fuse.weight'].equal(state['DeUp4.conv3.weight'])
