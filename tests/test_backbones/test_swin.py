import pytest
import torch
from mmdet.models.backbones.swin import SwinTransformer as MMDetSwin
from mmdet.models.backbones.swin import swin_converter
from mmdet.models.necks import ChannelMapper
from parity import reference

from mmparts.backbones import Swin
from mmparts.registry import MODELS
from mmparts.weights.convert import convert

# Head widths are 8, so every stage has several heads.
SMALL = dict(embed_dims=16, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16))


def randomise(model, seed=0):
    """Norms and biases too, so that a swapped one shows."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model


def images(*size, batch=2, seed=0):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def timm_twin(size, window_size, arch=SMALL, num_classes=10):
    """timm's model with random weights, in eval mode."""
    return randomise(
        reference('timm.models.swin_transformer').SwinTransformer(
            img_size=size,
            window_size=window_size,
            embed_dim=arch['embed_dims'],
            depths=arch['depths'],
            num_heads=arch['num_heads'],
            num_classes=num_classes,
        )
    ).eval()


@pytest.mark.parametrize(
    ('arch', 'window_size', 'expected'),
    [
        ('tiny', 7, 28_288_354),
        ('small', 7, 49_606_258),
        ('base', 7, 87_768_224),
        ('large', 7, 196_532_476),
        ('base', 12, 87_903_584),
        ('large', 12, 196_735_516),
    ],
)
def test_classifiers_have_the_published_number_of_parameters(arch, window_size, expected):
    with torch.device('meta'):
        model = Swin(arch, window_size, num_classes=1000)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


@pytest.mark.parametrize(('window_size', 'size'), [(7, (224, 224)), (7, (224, 448)), (12, (384, 384)), (4, (256, 128))])
def test_logits_and_features_equal_timms(window_size, size):
    theirs = timm_twin(size, window_size)
    classifier = Swin(SMALL, window_size, num_classes=10).eval()
    classifier.load_state_dict(convert(theirs.state_dict(), classifier))
    backbone = Swin(SMALL, window_size).eval()
    backbone.load_state_dict(convert(theirs.state_dict(), backbone), strict=False)

    x = images(*size)
    with torch.no_grad():
        torch.testing.assert_close(classifier(x), theirs(x), atol=1e-5, rtol=0)
        stages = theirs.forward_intermediates(x, intermediates_only=True)
        for i, (ours, stage) in enumerate(zip(backbone(x), stages)):
            norm = backbone.get_submodule(f'norm{i}')
            expected = norm(stage.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_swin_tiny_equals_timms_at_full_width():
    arch = dict(embed_dims=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24))
    theirs = timm_twin(224, 7, arch, num_classes=1000)
    ours = Swin('tiny', num_classes=1000).eval()
    ours.load_state_dict(convert(theirs.state_dict(), ours))

    x = images(224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=0)


def test_windows_shrink_to_a_small_map_as_in_timm():
    """At 112 pixels the last stage is 4x4: timm makes a smaller table, which is the middle of ours."""
    ours = randomise(Swin(SMALL, 7, num_classes=10)).eval()
    theirs = timm_twin(112, 7)
    state = {}
    for name, tensor in ours.state_dict().items():
        stage = int(name.split('.')[1]) if name.startswith('layers') else 0
        if name.endswith('bias_table') and stage == 3:
            tensor = tensor.view(13, 13, -1)[3:-3, 3:-3].flatten(0, 1)
        name = name.replace(f'layers.{stage}.downsample', f'layers.{stage + 1}.downsample').replace('head.', 'head.fc.')
        state[name] = tensor
    theirs.load_state_dict(state)

    x = images(112, 112)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize(('window_size', 'size'), [(7, (273, 330)), (4, (150, 131))])
def test_odd_sizes_equal_mmdets(window_size, size):
    """The detection fork pads to windows and to even maps; mmdet follows it."""
    ours = randomise(Swin(SMALL, window_size)).eval()
    theirs = MMDetSwin(embed_dims=16, depths=SMALL['depths'], num_heads=SMALL['num_heads'], window_size=window_size)
    theirs.train(False)
    state = {name.removeprefix('backbone.'): tensor for name, tensor in swin_converter(ours.state_dict()).items()}
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith('relative_position_index') for name in missing)

    x = images(*size)
    with torch.no_grad():
        for mine, other in zip(ours(x), theirs(x)):
            torch.testing.assert_close(mine, other, atol=1e-5, rtol=0)


@pytest.mark.parametrize('size', [(1, 1), (37, 70), (30, 300), (97, 96)])
def test_any_size_gives_maps_of_the_published_strides_and_channels(size):
    model = Swin(SMALL, 7).eval()
    with torch.no_grad():
        outs = model(images(*size))
    assert model.strides == (4, 8, 16, 32) and model.channels == (16, 32, 64, 128)
    assert [out.shape for out in outs] == [
        (2, channels, -(-size[0] // stride), -(-size[1] // stride))
        for channels, stride in zip(model.channels, model.strides)
    ]
    assert all(out.isfinite().all() for out in outs)


def test_an_image_is_seen_the_same_alone_and_in_a_batch():
    model = randomise(Swin(SMALL, 4)).eval()
    x = images(90, 75)
    with torch.no_grad():
        for alone, together in zip(model(x[1:]), model(x)):
            torch.testing.assert_close(alone[0], together[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    'kwargs', [dict(num_classes=3), dict(), dict(out_indices=(1,)), dict(out_indices=(1, 2, 3), with_cp=True)]
)
def test_every_parameter_gets_a_gradient(kwargs):
    model = Swin(SMALL, 4, drop_path=0.0, **kwargs)
    out = model(images(70, 132))
    sum(part.square().sum() for part in (out if isinstance(out, tuple) else [out])).backward()
    assert [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ] == []


def test_checkpointing_changes_no_gradient():
    gradients, state = [], randomise(Swin(SMALL, 4)).state_dict()
    for with_cp in (False, True):
        model = Swin(SMALL, 4, drop_path=0.0, with_cp=with_cp)
        model.load_state_dict(state)
        sum(out.square().sum() for out in model(images(70, 90))).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for plain, checkpointed in zip(*gradients):
        torch.testing.assert_close(plain, checkpointed)


@pytest.mark.parametrize('mode', [torch.no_grad, torch.inference_mode])
def test_the_remembered_bias_follows_size_and_weights(mode):
    model = randomise(Swin(SMALL, 4)).eval()
    small, large = images(64, 64), images(100, 130)
    fresh = [model(x)[-1].detach() for x in (small, large)]  # with gradients nothing is remembered

    with mode():
        for _ in range(2):
            for x, expected in zip((small, large), fresh):
                torch.testing.assert_close(model(x)[-1], expected)
        model.load_state_dict(randomise(Swin(SMALL, 4), seed=5).state_dict())
        changed = model(small)[-1]

    torch.testing.assert_close(changed, model(small)[-1].detach())  # after either mode, gradients still work
    assert (changed - fresh[0]).abs().max() > 1e-2


def test_swapped_in_weights_are_noticed_at_the_next_eval():
    """The EMA hook writes to `.data`, which no version counter sees, and then evaluates."""
    model = randomise(Swin(SMALL, 4)).eval()
    x = images(64, 64)
    with torch.no_grad():
        model(x)
        for parameter in model.parameters():
            parameter.data.mul_(1.5)
        model.eval()
        remembered = model(x)[-1]
    torch.testing.assert_close(remembered, model(x)[-1].detach())


def test_frozen_stages_stay_frozen_and_still():
    model = Swin(SMALL, 4, frozen_stages=2).train()
    frozen = {
        name.split('.blocks')[0].split('.downsample')[0].split('.proj')[0].split('.norm')[0]
        for name, parameter in model.named_parameters()
        if not parameter.requires_grad
    }
    assert frozen == {'patch_embed', 'layers.0', 'layers.1'}
    assert not model.layers[1].training and model.layers[2].training
    sum(out.sum() for out in model(images(40, 40))).backward()


def test_bfloat16_autocast_runs():
    model = Swin(SMALL, 4)
    with torch.autocast('cpu', torch.bfloat16):
        outs = model(images(64, 80))
    sum(out.float().sum() for out in outs).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_stages_nobody_asked_for_are_not_built():
    model = Swin(SMALL, 4, out_indices=(0, 1))
    assert len(model.layers) == 2 and not hasattr(model.layers[1], 'downsample')


def test_mmdets_neck_takes_the_outputs():
    backbone = MODELS.build(dict(type='mmparts.Swin', arch=SMALL, window_size=4, out_indices=(1, 2, 3)))
    neck = ChannelMapper(list(backbone.channels), out_channels=8, kernel_size=1)
    assert [tuple(out.shape[1:]) for out in neck(backbone(images(64, 96)))] == [(8, 8, 12), (8, 4, 6), (8, 2, 3)]


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(arch='huge'), "arch='huge' is unknown; choose from"),
        (dict(arch=dict(embed_dims=16)), 'must hold exactly embed_dims, depths'),
        (dict(arch=dict(embed_dims=16, depths=(2, 2), num_heads=(3, 4))), 'stage 0 .* has width 16, which its 3 heads'),
        (dict(out_indices=(1, 4)), r'out_indices=\(1, 4\) must name stages between 0 and 3'),
    ],
)
def test_bad_arguments_say_what_would_be_right(kwargs, message):
    with pytest.raises(ValueError, match=message):
        Swin(**kwargs)
