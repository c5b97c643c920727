"""Swin v2 against timm and transformers with the same weights."""

import math

import pytest
import torch
from mmengine.registry import DefaultScope
from parity import close, randomise, reference

from mmparts.backbones import SwinV2
from mmparts.registry import MODELS
from mmparts.weights.convert import account

SMALL = dict(embed_dims=16, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16))
SIZES = dict(embed_dim=16, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16))
LIMIT = 2e-5


def images(*size, batch=2, seed=0):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def classifier(num_classes=10, **kwargs):
    backbone = dict(type='mmparts.SwinV2', out_indices=(3,), drop_path=0.0, **kwargs)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(dict(type='mmparts.Classifier', backbone=backbone, num_classes=num_classes)).eval()


def timm_twin(size, window_size, **kwargs):
    torch.manual_seed(0)
    module = reference('timm.models.swin_transformer_v2')
    kwargs = dict(SIZES, num_classes=10) | kwargs
    model = module.SwinTransformerV2(img_size=size, window_size=window_size, **kwargs).eval()
    randomise(model)
    for name, each in model.named_parameters():
        if name.endswith('logit_scale'):
            each.data.uniform_(1, 6)  # some beyond the clamp, ln 100
    return model


def fill(ours, theirs):
    ours.load_state_dict(account(theirs.state_dict(), ours).check().state, strict=False)
    return ours


COUNTS = [
    ('tiny', 28_347_154, 27_578_154),
    ('small', 49_728_418, 48_959_418),
    ('base', 87_918_816, 86_893_816),
    ('large', 196_739_932, 195_202_932),
    ('huge', 658_027_922, 655_210_922),
    ('g', 1_064_561_996, 1_060_976_996),
    ('giant', 3_001_912_008, 2_997_815_008),
    (dict(embed_dims=352, depths=(2, 2, 18, 2), num_heads=(8, 16, 32, 64)), 657_883_256, 655_066_256),
]


@pytest.mark.parametrize(('arch', 'whole', 'backbone'), COUNTS)
def test_classifiers_have_the_published_number_of_parameters(arch, whole, backbone):
    with torch.device('meta'):
        model = SwinV2(arch, 16, out_indices=(3,))
    count = sum(each.numel() for each in model.parameters())
    assert (count + 1000 * (model.channels[0] + 1), count) == (whole, backbone)


@pytest.mark.parametrize(
    ('size', 'window', 'pretrained'), [(64, 4, None), (128, 8, (4, 4, 4, 2)), ((64, 128), 4, None), (32, 8, None)]
)
@torch.no_grad()
def test_logits_equal_timms(size, window, pretrained):
    """Also with windows other than those of the pre-training, and on a last map of one token."""
    theirs = timm_twin(size, window, **({} if pretrained is None else dict(pretrained_window_sizes=pretrained)))
    ours = fill(classifier(arch=SMALL, window_size=window, pretrained_windows=pretrained), theirs)
    x = images(*((size, size) if isinstance(size, int) else size))
    close('logits', ours(x), theirs(x), LIMIT)


@torch.no_grad()
def test_maps_equal_transformers():
    transformers = reference('transformers')
    config = transformers.Swinv2Config(image_size=64, window_size=4, pretrained_window_sizes=[2, 2, 2, 2], **SIZES)
    torch.manual_seed(0)
    theirs = transformers.Swinv2Model(config, add_pooling_layer=False).eval()
    randomise(theirs)
    ours = fill(SwinV2(SMALL, 4, pretrained_windows=(2, 2, 2, 2), out_indices=(3,)).eval(), theirs)
    x = images(64, 64)
    close('map', ours(x)[0].flatten(2).transpose(1, 2), theirs(x).last_hidden_state, LIMIT)


@torch.no_grad()
def test_tiny_maps_are_finite_and_any_size_goes():
    model = SwinV2(SMALL, 8).eval()
    for size in ((1, 1), (32, 32), (37, 70), (97, 300)):
        outs = model(images(*size))
        assert [out.shape[2:] for out in outs] == [tuple(-(-side // s) for side in size) for s in model.strides]
        assert all(out.isfinite().all() for out in outs)


def test_every_block_starts_as_the_identity():
    torch.manual_seed(0)
    model = SwinV2(SMALL, 4, drop_path=0.0)
    x = torch.randn(1, 8, 8, 16)
    assert model.layers[0](x).equal(x)
    assert model.layers[0].blocks[0].attn.logit_scale.flatten()[0].item() == pytest.approx(math.log(10))


def test_a_saturated_scale_gets_no_gradient():
    """As published: the clamp of ln 100."""
    model = SwinV2(SMALL, 4, out_indices=(0,))
    randomise(model)
    scale = model.layers[0].blocks[0].attn.logit_scale
    scale.data[:] = torch.tensor([2.0, 5.0]).view(2, 1, 1)
    model(images(32, 32))[0].square().sum().backward()
    assert scale.grad[0].abs() > 0 and scale.grad[1] == 0


@torch.no_grad()
def test_biases_lie_between_0_and_16_and_are_kept_in_eval():
    model = SwinV2(SMALL, 4).eval()
    randomise(model)
    attn = model.layers[0].blocks[0].attn
    calls = []
    attn.cpb_mlp.register_forward_hook(lambda module, inputs, output: calls.append(16 * output.sigmoid()))
    first, second = model(images(64, 64)), model(images(64, 64))
    assert len(calls) == 1 and calls[0].min() > 0 and calls[0].max() < 16
    assert all(a.equal(b) for a, b in zip(first, second))


@torch.no_grad()
def test_sequential_windows_give_the_same():
    whole, few = (SwinV2(SMALL, 4, sequential=count).eval() for count in (0, 3))
    randomise(whole)
    few.load_state_dict(whole.state_dict())
    for a, b in zip(whole(images(70, 90)), few(images(70, 90))):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


@pytest.mark.parametrize('kwargs', [dict(), dict(with_cp=True, extra_norm_every=2), dict(sequential=2)])
def test_every_parameter_gets_a_gradient(kwargs):
    model = SwinV2(SMALL, 4, drop_path=0.0, **kwargs)
    randomise(model)  # blocks are the identity at the start
    sum((out * torch.randn_like(out)).sum() for out in model(images(70, 132))).backward()
    assert not [name for name, each in model.named_parameters() if each.grad is None or not each.grad.abs().sum() > 0]


def test_extra_norms_stand_after_every_sixth_block():
    with torch.device('meta'):
        model = SwinV2('giant', 8, extra_norm_every=6)
    found = [
        (i, j)
        for i, stage in enumerate(model.layers)
        for j, block in enumerate(stage.blocks)
        if hasattr(block, 'norm3')
    ]
    assert found == [(2, j) for j in range(5, 42, 6)]


def test_simmim_checkpoints_fill_the_backbone():
    theirs = timm_twin(64, 4).state_dict()
    state = {f'encoder.{name}': each for name, each in theirs.items() if not name.startswith('head')}
    for stage in (1, 2, 3):  # the official order: a stage ends with its merging
        for name in [name for name in state if name.startswith(f'encoder.layers.{stage}.downsample')]:
            state[name.replace(f'layers.{stage}', f'layers.{stage - 1}')] = state.pop(name)
    state |= {'encoder.mask_token': torch.zeros(1, 1, 16), 'decoder.0.weight': torch.zeros(3, 3)}
    made = account(state, SwinV2(SMALL, 4, out_indices=(0, 3))).check()
    assert {'encoder.mask_token', 'decoder.0.weight'} <= set(made.dropped) and set(made.initialised) == {
        'norm0.weight',
        'norm0.bias',
    }
    made = account(state, SwinV2(SMALL, 4, out_indices=(0, 1))).check()
    assert not any(name.startswith('layers.2') for name in made.state)


def test_layer_ids():
    with torch.device('meta'):
        model = SwinV2(dict(embed_dims=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24)))
    ids = {name: model.layer_id(name) for name, _ in model.named_parameters()}
    assert model.num_layer_ids == 14 and set(ids.values()) == set(range(14))
    assert ids['patch_embed.norm.bias'] == 0 and ids['layers.0.blocks.0.norm1.weight'] == 1
    assert ids['layers.0.downsample.reduction.weight'] == 2 and ids['layers.2.blocks.5.mlp.fc1.weight'] == 10
    assert ids['layers.2.downsample.norm.weight'] == 10 and ids['norm3.weight'] == 13


def test_windows_for_other_stages_are_refused():
    with pytest.raises(ValueError, match=r'\(12, 6\) must name 4'):
        SwinV2(SMALL, 4, pretrained_windows=(12, 6))
