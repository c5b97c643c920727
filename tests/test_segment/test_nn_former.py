"""nnFormer: counts of three data sets, skip attention by the formula, the colliding index, ACDC's odd depth, names."""

import pytest
import torch
import torch.nn.functional as F
from segmentors import build, converts, count, official_names, on_meta, trains
from windows import rolled_attention

from mmparts.segment.nn_former.encoder import CollidingWindowAttention, ConvMerging, colliding_rows
from mmparts.segment.nn_former.weights import NNFormerLayout

SYNAPSE = dict(num_heads=(6, 12, 24, 48), stem_strides=((2, 2, 2), (1, 2, 2)))
WINDOWS = ((3, 5, 5), (3, 5, 5), (7, 10, 10), (3, 5, 5))
ACDC = dict(
    stem_strides=((1, 2, 2), (1, 2, 2)),
    merge_strides=((1, 2, 2), (2, 2, 2), (2, 2, 2)),
    merge_paddings=(None, None, (0, 1, 1)),
    windows=WINDOWS,
)
SMALL = dict(embed_dims=12, depths=(2, 1, 1, 1), num_heads=(1, 2, 2, 4), windows=(3, 3, 4, 2))


def nn_former(num_outputs=1, encoder={}, decoder={}, patch_size=4, in_channels=4, num_classes=4):
    return dict(
        type='mmparts.Segmentor',
        dims=3,
        in_channels=in_channels,
        num_classes=num_classes,
        encoder=dict(type='mmparts.VolumeFormerEncoder', **encoder),
        decoder=dict(type='mmparts.SkipAttentionDecoder', num_outputs=num_outputs, **decoder),
        head=dict(type='mmparts.PatchHead', patch_size=patch_size),
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor'),
    )


def small(num_outputs=1, encoder={}, **decoder):
    levels = dict(depths=(2, 1, 1), num_heads=(2, 2, 4), windows=(3, 3, 4))
    return nn_former(num_outputs, {**SMALL, **encoder}, {**levels, **decoder}, in_channels=1)


def test_counts():
    assert count(nn_former()) == 37_606_726
    assert count(nn_former(3)) == 37_754_190
    synapse = nn_former(3, dict(SYNAPSE, embed_dims=192), patch_size=(2, 4, 4), in_channels=1, num_classes=14)
    assert count(synapse) == 150_054_210
    acdc = nn_former(1, ACDC, dict(num_heads=(3, 6, 12), windows=WINDOWS[:3]), (1, 4, 4), in_channels=1)
    assert count(acdc) == 37_160_200


@pytest.mark.parametrize('index', ['offset', 'colliding'])
def test_trains_at_any_size(index):
    model = build(small(3, dict(index=index, with_cp=True), index=index))
    losses = trains(model, [(37, 33, 41), (32, 40, 33)])
    assert set(losses) == {'loss_ce', 'd1.loss_ce', 'd2.loss_ce'}


def test_the_coarser_outputs_are_half_and_a_quarter_as_large():
    model = build(small(3)).eval()
    with torch.no_grad():
        logits = model.outputs(torch.randn(1, 1, 32, 64, 32))[0]
    assert [tuple(each.shape[2:]) for each in logits] == [(32, 64, 32), (16, 32, 16), (8, 16, 8)]


def test_skip_attention_is_the_formula():
    """One norm for both maps; queries are the normed map itself; one window, so that no cutting is needed."""
    model = build(small()).eval()
    block = model.decoder.levels[0][0]
    x, skip = torch.randn(2, 1, 3, 4, 4, 48).unbind()
    from mmparts.layers.window_grid import WindowGrid

    with torch.no_grad():
        got = block(x, skip, WindowGrid.of((3, 4, 4), (4, 4, 4), False))
        queries, keys = (block.norm1(each).flatten(1, 3) for each in (x, skip))
        key, value = F.linear(keys, block.attn.kv.weight, block.attn.kv.bias).chunk(2, dim=-1)
        heads = [each.unflatten(-1, (4, 12)).transpose(1, 2) for each in (queries, key, value)]
        index = block.attn.rows((3, 4, 4)).reshape(48, 48)
        bias = block.attn.relative_position_bias_table[index].permute(2, 0, 1)
        weights = (heads[0] @ heads[1].transpose(-1, -2) / 12**0.5 + bias).softmax(-1)
        out = block.attn.proj((weights @ heads[2]).transpose(1, 2).flatten(2)).view(x.shape)
        expected = x + skip + out
        expected = expected + block.mlp(block.norm2(expected))
    assert torch.allclose(got, expected, atol=1e-5)


def test_windows_are_the_official_ones():
    """Padding after the norm, the shift with its masks, at a map that is no multiple of the window."""
    model = build(small()).eval()
    stage = model.encoder.stages[0]
    x = torch.randn(1, 8, 7, 4, 12)
    with torch.no_grad():
        expected = x
        for index, block in enumerate(stage.blocks):
            expected = expected + rolled_attention(block.norm1(expected), block.attn, (3, 3, 3), (index,) * 3)
            expected = expected + block.mlp(block.norm2(expected))
        assert torch.allclose(stage(x), expected, atol=1e-5)


@pytest.mark.parametrize(('window', 'rows'), [((4, 4, 4), 115), ((8, 8, 8), 547), ((3, 5, 5), 137)])
def test_the_official_index_collides(window, rows):
    assert colliding_rows(window) == rows
    attention = CollidingWindowAttention(4, 1, window)
    assert len(attention.rows(window).unique()) == rows
    right = super(CollidingWindowAttention, attention).rows(window)
    table = 1
    for side in window:
        table *= 2 * side - 1
    assert len(right.unique()) == table == len(attention.relative_position_bias_table)


def test_the_depth_of_acdc_goes_from_7_to_3_and_back():
    sizes = dict(embed_dims=12, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1))
    levels = dict(depths=(1, 1, 1), num_heads=(1, 1, 1), windows=WINDOWS[:3])
    cfg = nn_former(1, {**ACDC, **sizes}, levels, (1, 4, 4), in_channels=1)
    model = build(cfg).eval()
    assert model.encoder.strides == ((1, 4, 4), (1, 8, 8), (2, 16, 16), (4, 32, 32))
    with torch.no_grad():
        maps = model.encoder(torch.randn(1, 1, 14, 64, 64))
        assert [each.shape[2] for each in maps] == [14, 14, 7, 3]
        up = model.decoder.ups[0](maps[-1].movedim(1, -1), (7, 4, 4))
        assert torch.allclose(up[:, 6], model.decoder.ups[0].up.bias.expand_as(up[:, 6]))
        assert model(torch.randn(1, 1, 14, 64, 64)).shape == (1, 4, 14, 64, 64)


def test_official_names():
    model = build(small())
    assert len(official_names(NNFormerLayout, on_meta(nn_former()))) == 246 - 14  # less the indices
    state, ours = converts(
        NNFormerLayout, model, computed=['model_down.layers.0.blocks.0.attn.relative_position_index']
    )
    assert NNFormerLayout.matches(set(state))
    assert ours['encoder.patch_embed.norms.3.weight'].equal(state['model_down.patch_embed.norm.weight'])
    assert ours['encoder.patch_embed.convs.2.bias'].equal(state['model_down.patch_embed.proj2.conv1.bias'])
    deep = {**state, 'final.2.up.weight': state['final.0.up.weight'] + 1, 'final.2.up.bias': state['final.0.up.bias']}
    deep['final.1.up.bias'] = state['final.0.up.bias']
    made = NNFormerLayout.convert(deep, model)
    assert made.state['head.convs.0.weight'].equal(deep['final.2.up.weight'])
    assert set(made.dropped) == {'final.0.up.weight', 'final.0.up.bias', 'final.1.up.bias'}


def test_narrow_maps_merge_in_bfloat16():
    """oneDNN leaves parts of such an output as the memory was."""
    torch.manual_seed(0)
    merge = ConvMerging(48, (2, 2, 2), (0, 1, 1))
    x = torch.randn(2, 24, 3, 2, 48)
    with torch.autocast('cpu', torch.bfloat16):
        merged = merge(x)
    torch.testing.assert_close(merged.float(), merge(x), atol=0.05, rtol=0.05)
