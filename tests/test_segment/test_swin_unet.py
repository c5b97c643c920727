"""Swin-Unet: counts, windows against rolled ones with masks, any size, official names, Swin-T in both ways."""

import torch
from segmentors import build, converts, count, official_names, on_meta, trains
from windows import rolled_attention

from mmparts.segment.swin_unet.weights import SwinClassifierLayout, SwinUnetLayout

SIZES = dict(depths=(2, 2, 1, 1), num_heads=(1, 2, 2, 4), window_size=3)


def swin_unet(embed_dims=96, num_classes=9, decoder={}, **sizes):
    return dict(
        type='mmparts.Segmentor',
        num_classes=num_classes,
        encoder=dict(type='mmparts.InputsSwin', embed_dims=embed_dims, **sizes),
        decoder=dict(type='mmparts.ExpandDecoder', **sizes, **decoder),
        head=dict(type='mmparts.SoftmaxHead', bias=False),
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor'),
    )


def test_counts():
    assert count(swin_unet()) == 27_168_900
    assert count(swin_unet(depths=(2, 2, 6, 2))) == 41_380_836


def test_trains_at_any_size():
    trains(build(swin_unet(8, 3, **SIZES)), [(90, 61), (64, 77)])
    trains(build(swin_unet(8, 3, with_cp=True, **SIZES)), [(64, 64), (48, 64)])


def test_windows_are_the_official_ones():
    model = build(swin_unet(8, 3, **SIZES)).eval()
    blocks = model.encoder.stages[1].blocks
    x = torch.randn(2, 8, 10, 16)
    with torch.no_grad():
        expected = x
        for index, block in enumerate(blocks):
            expected = expected + rolled_attention(block.norm1(expected), block.attn, (3, 3), (index % 2, index % 2))
            expected = expected + block.mlp(block.norm2(expected))
        assert torch.allclose(model.encoder.stages[1](x), expected, atol=1e-5)


def test_skips_are_what_enters_the_stages():
    model = build(swin_unet(8, 3, **SIZES)).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        maps = model.encoder(image)
        assert torch.allclose(maps[0].movedim(1, -1), model.encoder.patch_embed(image))
        assert [tuple(each.shape[1:]) for each in maps] == [(8, 16, 16), (16, 8, 8), (32, 4, 4), (64, 2, 2)]


def test_official_names():
    model = build(swin_unet(8, 3, **SIZES))
    assert len(official_names(SwinUnetLayout, on_meta(swin_unet()))) == 238 - 14 - 6  # less indices and masks
    computed = ['swin_unet.layers.0.blocks.1.attn_mask', 'swin_unet.layers.0.blocks.0.attn.relative_position_index']
    state, ours = converts(SwinUnetLayout, model, computed=computed)
    assert ours['decoder.levels.0.downsample.expand.weight'].equal(
        state['swin_unet.layers_up.1.upsample.expand.weight']
    )
    assert ours['decoder.joins.2.bias'].equal(state['swin_unet.concat_back_dim.3.bias'])
    assert SwinUnetLayout.matches(set(state))


def test_a_classifier_fills_both_ways():
    model = build(swin_unet(8, 3, **SIZES))
    names = {name for name in model.encoder.state_dict()}
    state = {name.replace('stages', 'layers'): torch.rand_like(model.encoder.state_dict()[name]) for name in names}
    extra = {'layers.2.blocks.5.norm1.weight': torch.zeros(1), 'head.weight': torch.zeros(1)}
    made = SwinClassifierLayout.convert({**state, **extra}, model)
    assert not made.missing and not made.refused and not made.unexpected, made
    assert set(made.dropped) == set(extra)
    table = 'blocks.1.attn.relative_position_bias_table'
    assert made.state[f'decoder.levels.2.{table}'].equal(made.state[f'encoder.stages.0.{table}'])
    assert made.state[f'decoder.levels.1.{table}'].equal(made.state[f'encoder.stages.1.{table}'])
