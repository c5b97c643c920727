"""VT-UNet: counts, a fusion block against rolled windows, the position code, quirks, official names."""

import math

import pytest
import torch
from segmentors import build, converts, count, official_names, on_meta, trains
from windows import clamped, rolled_attention, rolled_heads

from mmparts.layers.position import sine_code
from mmparts.segment.vt_unet.weights import VTUNetLayout

SIZES = dict(depths=(2, 2, 1, 1), num_heads=(1, 2, 2, 4), window_size=3)


def vt_unet(embed_dims, encoder={}, decoder={}, in_channels=4, **sizes):
    return dict(
        type='mmparts.Segmentor',
        dims=3,
        in_channels=in_channels,
        encoder=dict(type='mmparts.VolumeEncoder', embed_dims=embed_dims, **sizes, **encoder),
        decoder=dict(type='mmparts.FusionDecoder', **sizes, **decoder),
        head=dict(type='mmparts.RegionHead', regions=dict(ET=(3,), TC=(2, 3), WT=(1, 2, 3)), bias=False),
        terms=[dict(type='mmparts.SoftDiceTerm', squared=True), dict(type='mmparts.BinaryCrossEntropyTerm')],
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor'),
    )


@pytest.mark.parametrize(('width', 'parameters'), [(48, 5_386_908), (72, 11_794_428), (96, 20_757_084)])
def test_counts(width, parameters):
    assert count(vt_unet(width)) == parameters


@pytest.mark.parametrize('quirk', [False, True])
def test_a_fusion_block_is_the_formula(quirk):
    index = 'corner' if quirk else 'offset'
    cfg = vt_unet(12, dict(index=index), dict(index=index, double_scale=quirk, alpha=0.3), in_channels=1, **SIZES)
    model = build(cfg).eval()
    image = torch.randn(1, 1, 8, 32, 28)  # 2 x 8 x 7 tokens: a window that shrinks, and padding
    with torch.no_grad():
        memory = model.encoder(image).extras['memory'][0]
        x = torch.randn(1, 2, 8, 7, 12)
        encoded = model.encoder.patch_embed(image)

        expected = x
        for number, (theirs, ours) in enumerate(zip(model.encoder.stages[0].blocks, model.decoder.levels[-1].blocks)):
            window, shift = clamped((2, 8, 7), (3, 3, 3), (number,) * 3)
            kept = rolled_heads(theirs.norm1(encoded), theirs.attn, window, shift)[1:]
            how = dict(window=(3, 3, 3), shifted=(number,) * 3, corner=quirk)
            encoded = encoded + rolled_attention(theirs.norm1(encoded), theirs.attn, **how)
            encoded = encoded + theirs.mlp(theirs.norm2(encoded))

            normed = ours.norm1(expected)
            twice = 1 / math.sqrt(12) if quirk else 1.0
            own = expected + rolled_attention(normed, ours.attn, **how)
            cross = expected + rolled_attention(normed, ours.attn, memory=kept, scale=twice, **how)
            own, cross = (each + ours.mlp(ours.norm2(each)) for each in (own, cross))
            code = ours.mlp(ours.norm2(sine_code((2, 8, 7), 12)))
            expected = 0.7 * own + 0.3 * cross + code
        got = model.decoder.fuse(model.decoder.levels[-1].blocks, x, memory)
    assert torch.allclose(got, expected, atol=1e-5)


def test_the_position_code_by_hand():
    code = sine_code((2, 3, 4), 14)
    width = 6  # 2 ceil(14 / 6)
    rates = [10000 ** (-2 * i / width) for i in range(3)]
    whole = [f(place * rate) for place in (1, 2, 3) for f in (math.sin, math.cos) for rate in rates]
    assert torch.allclose(code[1, 2, 3], torch.tensor(whole)[:14], atol=1e-6)


def test_trains_at_any_size():
    trains(build(vt_unet(12, in_channels=1, **SIZES)), [(9, 33, 61), (16, 64, 40)], num_classes=4)


def test_losses_of_an_absent_region():
    """The Dice of a region that is nowhere is 1 - 1 / (sum p^2 + 1)."""
    from mmparts.segment.structures import Target
    from mmparts.segment.terms import SoftDiceTerm

    term = SoftDiceTerm('sigmoid', squared=True, over_batch=True, smooth_nr=1, smooth_dr=1)
    logits = torch.randn(2, 1, 4, 4, 4)
    loss = term(logits, Target(torch.zeros(2, 1, 4, 4, 4), regions=True), {})
    assert torch.allclose(loss, 1 - 1 / (logits.sigmoid().square().sum() + 1))


def test_official_names():
    model = build(vt_unet(12, in_channels=1, **SIZES))
    assert len(official_names(VTUNetLayout, on_meta(vt_unet(96)))) == 215 - 13  # less the indices
    computed = ['swin_unet.layers.0.blocks.0.attn.relative_position_index']
    state, ours = converts(VTUNetLayout, model, computed=computed)
    assert VTUNetLayout.matches(set(state))
    assert ours['decoder.levels.0.upsample.norm.bias'].equal(state['swin_unet.layers_up.1.upsample.norm.bias'])
