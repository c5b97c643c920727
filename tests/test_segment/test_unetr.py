"""UNETR and Swin UNETR: MONAI's weights both ways, counts, sizes, three merge orders."""

import pytest
import torch
from parity import reference
from segmentors import both_ways, build, count, randomise, trains

from mmparts.segment.swin_unetr.weights import SwinUNETRLayout
from mmparts.segment.unetr.weights import UNETRLayout

DATA = dict(type='mmparts.SegmentPreprocessor', size_divisor=16)
SMALL = dict(embed_dims=16, num_layers=4, num_heads=2, mlp_dims=32, taps=(1, 2, 3), image_size=(32, 48, 64))


def unetr(in_channels=4, num_classes=3, decoder={}, **encoder):
    return dict(
        type='mmparts.Segmentor',
        dims=3,
        in_channels=in_channels,
        num_classes=num_classes,
        encoder=dict(type='mmparts.TokenEncoder', **encoder),
        decoder=dict(type='mmparts.UNETRDecoder', **decoder),
        data_preprocessor=DATA,
    )


def swin_unetr(in_channels=4, num_classes=3, **encoder):
    return dict(
        type='mmparts.Segmentor',
        dims=3,
        in_channels=in_channels,
        num_classes=num_classes,
        encoder=dict(type='mmparts.MergingSwin', **encoder),
        decoder=dict(type='mmparts.SwinUNETRDecoder'),
        data_preprocessor=DATA,
    )


def test_counts():
    assert count(unetr(image_size=128)) == 102_449_715
    assert count(unetr(1, 14, image_size=96)) == 92_784_046
    assert count(swin_unetr()) == 62_191_941
    assert count(swin_unetr(conv=True)) == 72_767_301


def test_patches_of_another_size_have_another_number_of_levels():
    small = dict(embed_dims=16, num_layers=3, num_heads=2, mlp_dims=32, image_size=(16, 24, 16), patch_size=8)
    model = build(unetr(taps=(0, 1), decoder=dict(feature_dims=4), **small))
    assert len(model.decoder.ups) == 3
    trains(model, [(16, 24, 16), (16, 8, 9)])
    with pytest.raises(ValueError, match='4 maps at strides 8x8x8, .* 4 at 16: taps and patch_size of the encoder'):
        build(unetr(taps=(0, 1, 2), **small))


@pytest.mark.parametrize('conv', [True, False])
@pytest.mark.parametrize('residual', [True, False])
def test_parity_unetr(conv, residual):
    nets = reference('monai.networks.nets')
    theirs = nets.UNETR(
        2, 3, (32, 48, 64), 4, 16, 32, 2, norm_name='instance', conv_block=conv, res_block=residual, dropout_rate=0.0
    )
    theirs.vit.blocks = theirs.vit.blocks[:4]
    theirs.vit.hidden_states_out = None
    randomise(theirs)
    # four blocks stand for twelve: the taps move with them
    forward = theirs.vit.forward

    def tapped(x):
        out, hidden = forward(x)
        return out, [hidden[0], None, None, hidden[1], None, None, hidden[2], None, None, hidden[3]]

    theirs.vit.forward = tapped
    ours = build(unetr(2, 3, dict(feature_dims=4, conv=conv, residual=residual), **{**SMALL, 'taps': (1, 2, 3)})).eval()
    both_ways(UNETRLayout, theirs, ours)
    image = torch.randn(1, 2, 32, 48, 64)
    with torch.no_grad():
        assert torch.allclose(ours(image), theirs(image), atol=1e-5)


def test_parity_of_the_linear_patch_projection():
    nets = reference('monai.networks.nets')
    theirs = randomise(nets.UNETR(2, 3, (16, 32, 16), 4, 16, 32, 2, proj_type='perceptron'))
    ours = build(unetr(2, 3, dict(feature_dims=4), embed_dims=16, num_heads=2, mlp_dims=32, image_size=(16, 32, 16)))
    made = UNETRLayout.convert(theirs.state_dict(), ours)
    assert not made.missing and not made.refused and not made.unexpected
    ours.load_state_dict(made.state)
    image = torch.randn(2, 2, 16, 32, 16)
    with torch.no_grad():
        assert torch.allclose(ours.eval()(image), theirs(image), atol=1e-5)


@pytest.mark.parametrize(('order', 'name'), [('merging', 'merging'), ('lexicographic', 'mergingv2')])
@pytest.mark.parametrize('conv', [False, True])
def test_parity_swin_unetr(order, name, conv):
    nets = reference('monai.networks.nets')
    theirs = randomise(
        nets.SwinUNETR(
            2,
            3,
            depths=(2, 1, 1, 1),
            num_heads=(1, 2, 2, 4),
            window_size=5,
            feature_size=12,
            downsample=name,
            use_v2=conv,
        )
    )
    size = dict(embed_dims=12, depths=(2, 1, 1, 1), num_heads=(1, 2, 2, 4), window_size=5)
    ours = build(swin_unetr(2, 3, merge_order=order, index='corner', conv=conv, **size)).eval()
    both_ways(SwinUNETRLayout, theirs, ours)
    image = torch.randn(1, 2, 32, 64, 96)
    with torch.no_grad():
        expected, got = theirs(image), ours(image)
    assert torch.allclose(got, expected, atol=1e-4 * expected.abs().max())


def test_merge_orders_differ_as_they_must():
    """'lexicographic' is 'merging' with the neighbours of norm and reduction in another order; 'legacy' is neither."""
    size = dict(embed_dims=12, depths=(2, 1, 1, 1), num_heads=(1, 2, 2, 4), window_size=2)
    models = {
        name: build(swin_unetr(2, 3, merge_order=name, **size)).eval()
        for name in ('merging', 'lexicographic', 'legacy')
    }
    image = torch.randn(1, 2, 64, 32, 32)
    with torch.no_grad():
        outputs = {name: model(image) for name, model in models.items()}
        assert not torch.allclose(outputs['merging'], outputs['lexicographic'], atol=1e-3)
        assert not torch.allclose(outputs['merging'], outputs['legacy'], atol=1e-3)

        order = [
            models['merging'].encoder.stages[0].downsample.order.index(each)
            for each in models['lexicographic'].encoder.stages[0].downsample.order
        ]
        for stage in models['merging'].encoder.stages:
            merge = stage.downsample
            for weight in (merge.norm.weight, merge.norm.bias, merge.reduction.weight):
                parts = weight.data.unflatten(-1, (8, -1))
                weight.data = parts[..., order, :].flatten(-2)
        models['lexicographic'].load_state_dict(models['merging'].state_dict())
        assert torch.allclose(models['lexicographic'](image), outputs['merging'], atol=1e-4)


def test_a_shrunken_window_looks_up_true_offsets():
    """Where a map is smaller than the window, the corner of the full index gives other rows of the bias table."""
    size = dict(embed_dims=12, depths=(2, 1, 1, 1), num_heads=(1, 2, 2, 4), window_size=5)
    ours = build(swin_unetr(2, 3, **size)).eval()
    corner = build(swin_unetr(2, 3, index='corner', **size)).eval()
    image = torch.randn(1, 2, 64, 32, 32)
    with torch.no_grad():
        assert not torch.allclose(ours(image), corner(image), atol=1e-4)
        for name, table in ours.named_parameters():
            if name.endswith('bias_table'):
                table.fill_(0.3)
                corner.get_parameter(name).fill_(0.3)
        assert torch.allclose(ours(image), corner(image), atol=1e-5)


def test_unetr_trains_and_says_what_size_would_be_right():
    model = build(unetr(2, 3, dict(feature_dims=4, num_outputs=2), **SMALL))
    losses = trains(model, [(30, 32, 20), (17, 20, 32)])
    assert set(losses) == {'loss_ce', 'd1.loss_ce'}
    with pytest.raises(ValueError, match='image 32x40x64 is not a multiple of the patches 16x16x16; pad to 32x48x64'):
        model(torch.randn(1, 2, 32, 40, 64))
    model.encoder.resize = False
    with pytest.raises(ValueError, match='learned for 32x48x64'):
        model(torch.randn(1, 2, 32, 32, 64))


@pytest.mark.parametrize('conv', [False, True])
def test_swin_unetr_trains_at_any_size(conv):
    size = dict(embed_dims=8, depths=(2, 1, 1, 1), num_heads=(1, 2, 2, 4), window_size=3, with_cp=conv)
    model = build(swin_unetr(2, 3, conv=conv, **size))
    model.data_preprocessor.size_divisor = 1
    trains(model, [(40, 33, 21), (28, 37, 25)])


def test_gradient_checkpointing_changes_nothing():
    model = build(unetr(2, 3, dict(feature_dims=4), **SMALL))
    image = torch.randn(1, 2, 32, 48, 64)
    gradients = []
    for cp in (False, True):
        model.encoder.blocks.with_cp = cp
        model.zero_grad()
        model(image).square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(*gradients))
