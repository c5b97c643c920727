"""TransUNet: counts, the stem's short pooling, standardised weights, official names and the ViT's npz file."""

import pytest
import torch
import torch.nn.functional as F
from segmentors import build, converts, count, official_names, official_state, on_meta, trains

from mmparts.segment.trans_unet.hybrid import StandardisedConv, TransUNetStem
from mmparts.segment.trans_unet.weights import HybridViTLayout, TransUNetLayout


def trans_unet(size=14, num_classes=9, encoder={}, num_skips=None, **bottleneck):
    return dict(
        type='mmparts.Segmentor',
        num_classes=num_classes,
        encoder=dict(type='mmparts.TransUNetStem', **encoder),
        bottleneck=dict(type='mmparts.TokenBottleneck', size=size, **bottleneck),
        decoder=dict(
            type='mmparts.UpDecoder',
            stem=[dict(type='mmparts.DoubleConv', num_convs=1, out_channels=512)],
            channels=(256, 128, 64, 16),
            num_skips=num_skips,
            level=dict(
                type='mmparts.ConcatLevel', up=dict(type='mmparts.InterpolateUp', align_corners=True), skip_first=False
            ),
        ),
        head=dict(type='mmparts.SoftmaxHead', kernel_size=3),
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=16),
    )


def small(**changes):
    cfg = trans_unet(
        size=6,
        num_classes=3,
        encoder=dict(depths=(1, 2, 1), width=32),
        embed_dims=16,
        num_layers=2,
        num_heads=2,
        mlp_dims=24,
    )
    cfg['decoder']['stem'][0].update(out_channels=16)
    cfg['decoder'].update(channels=(8, 8, 4, 4), **changes)
    return cfg


def vit():
    cfg = trans_unet()
    cfg.pop('bottleneck')
    cfg['encoder'] = dict(
        type='mmparts.TokenEncoder', dims=2, image_size=224, taps=(), qkv_bias=True, norm_eps=1e-6, dropout=0.1
    )
    return cfg


def test_counts():
    assert count(trans_unet()) == 105_277_081
    assert count(trans_unet(size=32)) == 105_912_985
    assert count(vit()) == 91_674_201


def test_trains():
    trains(build(small()), [(90, 96), (64, 77)])
    trains(build(small(num_skips=1)), [(64, 64), (48, 64)])


def test_the_skip_alone_is_filled_up():
    stem = TransUNetStem(3, (1, 1, 1), 32).eval()
    image = torch.randn(1, 3, 96, 64)
    with torch.no_grad():
        maps = stem(image)
        assert [tuple(each.shape[1:]) for each in maps] == [(32, 48, 32), (128, 24, 16), (256, 12, 8), (512, 6, 4)]
        assert not maps[1][:, :, 23].any() and not maps[1][..., 15].any()  # 23 and 15 places after the pooling
        short = maps[1][:, :, :23, :15]
        assert torch.allclose(stem.stages[1][0](short)[:, :, :12, :8], maps[2])
    with pytest.raises(ValueError, match='image 90x64 is not a multiple of 16; pad to 96x64'):
        stem.check_size((90, 64))


def test_filters_have_mean_0_and_deviation_1():
    conv = StandardisedConv(3, 4, 3, bias=False)
    seen = conv(torch.eye(27).view(27, 3, 3, 3)).view(27, 4)  # every place of a filter by itself
    assert torch.allclose(seen.mean(0), torch.zeros(4), atol=1e-6)
    variance = conv.weight.flatten(1).var(1, correction=0)
    assert torch.allclose(seen.var(0, correction=0), variance / (variance + 1e-5), atol=1e-5)


def test_the_decoder_by_hand():
    """A level: twice the size with the corners kept, joined behind it the skip, two convolutions with norm and ReLU."""
    model = build(small()).eval()
    level = model.decoder.levels[0]
    x, skip = torch.randn(1, 16, 3, 4), torch.randn(1, 256, 6, 8)
    with torch.no_grad():
        up = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=True)
        expected = torch.cat([up, skip], dim=1)
        for step in level.block:
            expected = F.relu(step.norm(F.conv2d(expected, step.conv.weight, padding=1)))
        assert torch.allclose(level(x, skip), expected, atol=1e-6)


def test_official_names():
    model = build(small())
    assert len(official_names(TransUNetLayout, on_meta(trans_unet()))) == 409
    table = 'transformer.embeddings.position_embeddings'
    state, ours = converts(TransUNetLayout, model, {table: (1, 36, 16)})
    q, k, v = (state[f'transformer.encoder.layer.1.attn.{name}.weight'] for name in ('query', 'key', 'value'))
    assert ours['bottleneck.blocks.1.attn.part.in_proj_weight'].equal(torch.cat([q, k, v]))
    assert ours['bottleneck.positions.grid'].equal(state[table].view(6, 6, 16))


def test_the_npz_file_of_the_hybrid_vit():
    model = build(small())
    heads, dims, wide = 2, 8, 16
    shapes = {}
    for ours, names in HybridViTLayout.convert({}, model).sources.items():
        tensor = model.state_dict()[ours]
        for name in names:
            if name.endswith('kernel') and tensor.ndim == 4:
                shapes[name] = tuple(tensor.shape[i] for i in (2, 3, 1, 0))
            elif 'gn' in name:
                shapes[name] = (1, 1, 1, len(tensor))
            elif 'Dense' in name and name.endswith('kernel'):
                shapes[name] = tuple(tensor.t().shape)
            elif 'out/kernel' in name:
                shapes[name] = (heads, dims, wide)
            elif 'Attention' in name and name.endswith('kernel'):
                shapes[name] = (wide, heads, dims)
            elif 'Attention' in name and 'out' not in name:
                shapes[name] = (heads, dims)
    shapes['Transformer/posembed_input/pos_embedding'] = (1, 26, wide)  # a class token and 5 x 5 places
    known = {name: value for name, value in official_state(HybridViTLayout, model, shapes).items() if '/' in name}
    made = HybridViTLayout.convert({**known, 'head/kernel': torch.zeros(1), 'cls': torch.zeros(1)}, model)
    assert not made.missing and not made.refused and not made.unexpected, made
    assert {name.split('.')[0] for name in made.initialised} == {'decoder', 'head'}

    image = torch.randn(1, 3, 96, 96)
    base = 'Transformer/encoderblock_0/MultiHeadDotProductAttention_1'
    model.load_state_dict(made.state, strict=False)
    model.eval()
    with torch.no_grad():
        # einsum on the stored kernels is the projection of ours
        tokens = torch.randn(1, 36, wide)
        query, _, _ = model.bottleneck.blocks[0].attn.part.project(tokens)
        expected = torch.einsum('bnc,chd->bnhd', tokens, known[f'{base}/query/kernel']) + known[f'{base}/query/bias']
        assert torch.allclose(query, expected.flatten(2), atol=1e-5)
        out = model.bottleneck.blocks[0].attn.part.out_proj(expected.flatten(2))
        theirs = torch.einsum('bnhd,hdc->bnc', expected, known[f'{base}/out/kernel']) + known[f'{base}/out/bias']
        assert torch.allclose(out, theirs, atol=1e-5)
        corner = known['Transformer/posembed_input/pos_embedding'][0, 1]
        assert torch.allclose(model.bottleneck.positions.grid[0, 0], corner)
        assert model(image).shape == (1, 3, 96, 96)
