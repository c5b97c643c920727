"""ViT and what its arguments make of it, against timm and transformers with the same weights."""

import re
from functools import partial

import pytest
import torch
from parity import close, randomise, reference

from mmparts.backbones import ViT, ViTLayout
from mmparts.registry import MODELS

SMALL = dict(embed_dims=64, num_layers=3, num_heads=4)
HF = dict(hidden_size=64, num_hidden_layers=3, num_attention_heads=4)
TIMM = dict(embed_dim=64, depth=3, num_heads=4)
LIMIT = 2e-5


def images(*size, batch=2, seed=0):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def filled(theirs, **kwargs) -> ViT:
    """Ours with the weights of theirs, through the layout, every tensor accounted for."""
    ours = ViT(**{'arch': SMALL, **kwargs}).eval()
    state = theirs.state_dict()
    assert ViTLayout.matches(set(state))
    made = ViTLayout.convert(state, ours)
    assert not (made.missing or made.refused or made.unexpected or made.initialised), made
    ours.load_state_dict(made.state)
    return ours


def both(theirs):
    torch.manual_seed(0)
    randomise(theirs)
    return theirs.eval()


COUNTS = [
    ('tiny', 16, 224, 5_717_416),
    ('small', 16, 224, 22_050_664),
    ('base', 32, 224, 88_224_232),
    ('base', 16, 224, 86_567_656),
    ('base', 16, 384, 86_859_496),
    ('base', 32, 384, 88_297_192),
    ('large', 32, 224, 306_535_400),
    ('large', 16, 224, 304_326_632),
    ('large', 16, 384, 304_715_752),
    ('huge', 14, 224, 632_045_800),
]


@pytest.mark.parametrize(('arch', 'patch', 'size', 'expected'), COUNTS)
def test_classifiers_have_the_published_number_of_parameters(arch, patch, size, expected):
    with torch.device('meta'):
        model = ViT(arch, patch, size, out='class')
    assert sum(each.numel() for each in model.parameters()) + 1000 * (model.channels[0] + 1) == expected


@pytest.mark.parametrize('size', [(64, 64), (96, 64)])
@torch.no_grad()
def test_equals_timms(size):
    module = reference('timm.models.vision_transformer')
    theirs = both(module.VisionTransformer(img_size=64, patch_size=16, num_classes=0, dynamic_img_size=True, **TIMM))
    ours = filled(theirs, image_size=64, resize='timm', out_indices=(0, 2))
    x = images(*size)
    first, last = theirs.forward_intermediates(x, indices=[0, 2], norm=True, intermediates_only=True)
    for mine, other in zip(ours(x), (first, last)):
        close('map', mine, other, LIMIT)
    close('class token', filled(theirs, image_size=64, resize='timm', out='class')(x)[0], theirs(x), LIMIT)


@torch.no_grad()
def test_registers_layer_scale_and_rows_without_a_class_equal_timms():
    module = reference('timm.models.vision_transformer')
    kwargs = dict(img_size=56, patch_size=14, num_classes=0, init_values=1e-5, reg_tokens=4, no_embed_class=True)
    theirs = both(module.VisionTransformer(**kwargs, **TIMM))
    ours = filled(theirs, image_size=56, patch_size=14, layer_scale=1e-5, num_registers=4, out='class')
    x = images(56, 56)
    close('class token', ours(x)[0], theirs(x), LIMIT)


@torch.no_grad()
def test_mean_before_the_norm_equals_timms():
    module = reference('timm.models.vision_transformer')
    theirs = both(module.VisionTransformer(img_size=64, num_classes=0, global_pool='avg', **TIMM))
    x = images(64, 64)
    close('mean', filled(theirs, image_size=64, out='mean-first')(x)[0], theirs(x), LIMIT)


@torch.no_grad()
def test_mean_without_a_class_token_is_that_of_the_normed_patches():
    ours = randomised(ViT(SMALL, image_size=64, class_token=False, out='mean'))
    dense = ViT(SMALL, image_size=64, class_token=False).eval()
    dense.load_state_dict(ours.state_dict())
    x = images(64, 64)
    assert ours.class_token is None and ours.class_position is None
    close('mean', ours(x)[0], dense(x)[0].mean((2, 3)), LIMIT)


def randomised(model):
    torch.manual_seed(0)
    randomise(model)
    return model.eval()


@torch.no_grad()
def test_equals_transformers():
    transformers = reference('transformers')
    config = transformers.ViTConfig(**HF, intermediate_size=256, image_size=64, layer_norm_eps=1e-6)
    theirs = both(transformers.ViTModel(config, add_pooling_layer=False))
    x = images(64, 64)
    ours = filled(theirs, image_size=64, out='class')
    close('class token', ours(x)[0], theirs(x).last_hidden_state[:, 0], LIMIT)


@pytest.mark.parametrize('gated', [False, True])
@torch.no_grad()
def test_dinov2_equals_transformers(gated):
    transformers = reference('transformers')
    config = transformers.Dinov2Config(
        **HF, image_size=70, patch_size=14, layer_norm_eps=1e-6, use_swiglu_ffn=gated, reshape_hidden_states=True
    )
    theirs = both(transformers.Dinov2Model(config))
    arch = dict(SMALL, mlp_dims=176) if gated else SMALL
    ours = filled(theirs, arch=arch, image_size=70, patch_size=14, layer_scale=1.0, gated_mlp=gated, resize='dinov2')
    x = images(84, 70)
    theirs = theirs(x).last_hidden_state[:, 1:].transpose(1, 2).unflatten(2, (6, 5))
    close('map', ours(x)[0], theirs, LIMIT)


@pytest.mark.parametrize('gated', [False, True])
@torch.no_grad()
def test_dinov3_equals_transformers(gated):
    transformers = reference('transformers')
    config = transformers.DINOv3ViTConfig(
        **HF, intermediate_size=96, image_size=64,
        num_register_tokens=4, use_gated_mlp=gated, hidden_act='silu' if gated else 'gelu', layer_norm_eps=1e-5,
    )  # fmt: skip
    theirs = both(transformers.DINOv3ViTModel(config))
    ours = filled(
        theirs,
        arch=dict(SMALL, mlp_dims=96),
        position='rotary',
        num_registers=4,
        layer_scale=1.0,
        gated_mlp=gated,
        biases=(True, False, True),
        norm_eps=1e-5,
    )
    x = images(64, 96)
    theirs = theirs(x).last_hidden_state[:, 5:].transpose(1, 2).unflatten(2, (4, 6))
    close('map', ours(x)[0], theirs, LIMIT)


@pytest.mark.parametrize('name', ['timm', 'transformers'])
@torch.no_grad()
def test_beit_equals(name):
    x = images(64, 64)
    if name == 'timm':
        module = reference('timm.models.beit')
        theirs = both(
            module.Beit(
                img_size=64, num_classes=0, init_values=0.1, use_abs_pos_emb=False, **TIMM, use_rel_pos_bias=True
            )
        )
        expected = theirs(x)
    else:
        transformers = reference('transformers')
        config = transformers.BeitConfig(
            **HF, intermediate_size=256, image_size=64,
            use_relative_position_bias=True, use_mean_pooling=True, layer_norm_eps=1e-6,
        )  # fmt: skip
        theirs = both(transformers.BeitModel(config))
        expected = theirs(x).pooler_output
    ours = filled(theirs, **BEIT, out='mean-first')
    close('mean', ours(x)[0], expected, LIMIT)


BEIT = dict(image_size=64, position='relative', biases=(True, False, True), layer_scale=0.1)


@torch.no_grad()
def test_windows_equal_transformers_vitdet():
    """Maps that windows do not divide: normed tokens are padded."""
    transformers = reference('transformers')
    config = transformers.VitDetConfig(
        **HF, image_size=112, pretrain_image_size=64, window_size=3, window_block_indices=[0, 2],
        use_relative_position_embeddings=False,
    )  # fmt: skip
    theirs = both(transformers.VitDetModel(config))
    ours = ViT(
        SMALL, image_size=64, class_token=False, final_norm=False, window_size=3, global_blocks=(1,), resize='dinov2'
    ).eval()
    state = theirs.state_dict()
    names = {name.replace('encoder.layer', 'blocks'): tensor for name, tensor in state.items()}
    names = {name.replace('embeddings.projection', 'patch_embed.proj'): tensor for name, tensor in names.items()}
    names = {name.replace('attention', 'attn'): tensor for name, tensor in names.items()}
    names['pos_embed'] = names.pop('embeddings.position_embeddings')
    made = ViTLayout.convert(names, ours)
    assert not (made.missing or made.refused or made.unexpected)
    ours.load_state_dict(made.state)
    x = images(112, 80)
    close('map', ours(x)[0], theirs(x).last_hidden_state, LIMIT)


@pytest.mark.parametrize('layers', [(), (1, 2, 1)])
@torch.no_grad()
def test_hybrids_equal_timms(layers):
    hybrid, module = reference('timm.models.vision_transformer_hybrid'), reference('timm.models.vision_transformer')
    layer, embed = reference('timm.layers'), hybrid._resnetv2(layers)
    patch = 1 if layers else 8
    theirs = both(
        module.VisionTransformer(
            img_size=96, patch_size=patch, num_classes=0,
            embed_layer=partial(layer.HybridEmbed, backbone=embed, proj=True), **TIMM,
        )
    )  # fmt: skip
    for part in theirs.modules():
        if isinstance(part, torch.nn.GroupNorm):
            part.eps = 1e-6
    ours = filled(
        theirs, image_size=96, patch_size=patch, stem=dict(type='mmparts.HybridResNet', num_blocks=layers), out='class'
    )
    x = images(96, 96)
    close('class token', ours(x)[0], theirs(x), 1e-4)
    assert ours.strides == ((16,) if layers else (32,))


def test_r_ti_16_reduces_by_32():
    stem = dict(type='mmparts.HybridResNet', num_blocks=())
    model = ViT(dict(embed_dims=16, num_layers=1, num_heads=2), patch_size=8, stem=stem)
    assert model(images(64, 64))[0].shape == (2, 16, 2, 2) and model.strides == (32,)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(),
        dict(class_token=False, out='mean'),
        dict(position='rotary', num_registers=2, layer_scale=0.1, with_cp=True),
        dict(**BEIT, out='mean-first'),
        dict(class_token=False, window_size=3, global_blocks=(1,), position='relative'),
        dict(class_token=False, window_size=3, window_pad='qkv', final_norm=False),
        dict(out='class+mean', gated_mlp=True),
        dict(patch_size=1, stem=dict(type='mmparts.HybridResNet', num_blocks=(1, 1, 1))),
    ],
)
def test_every_parameter_gets_a_gradient_on_images_of_odd_sizes(kwargs):
    model = ViT(SMALL, **{'image_size': 64, **kwargs})
    (out,) = model(images(70, 101))
    assert out.shape[1] == model.channels[0]
    assert out.ndim == 2 or out.shape[2:] == (5, 7)
    (out * torch.randn_like(out)).sum().backward()
    dead = [name for name, each in model.named_parameters() if each.grad is None or not each.grad.abs().sum() > 0]
    third = ('norm3.weight', 'stem')  # a unit's last norm starts at zero, and what is before it waits for that
    assert [name for name in dead if not (name.startswith('stem.stages') and 'stem' in third)] == []


def test_official_resize_is_corner_aligned():
    """As scipy.ndimage.zoom of order 1 on the grid."""
    scipy = pytest.importorskip('scipy.ndimage')
    model = ViT(SMALL, image_size=64)
    torch.nn.init.normal_(model.position.grid)
    zoomed = scipy.zoom(model.position.grid.detach().numpy(), (7 / 4, 5 / 4, 1), order=1)
    close('positions', model.position((7, 5)).detach(), torch.from_numpy(zoomed), 1e-5)


@pytest.mark.parametrize(
    ('kwargs', 'words'),
    [
        (dict(arch='bse'), "arch='bse'.*base"),
        (dict(arch=dict(embed_dims=10, num_layers=1, num_heads=3)), '3 heads do not divide 10'),
        (dict(arch=dict(embed_dims=10)), 'must hold'),
        (dict(position='rotry'), "position='rotry'.*rotary"),
        (dict(resize='cubic'), "resize='cubic'.*timm"),
        (dict(window_size=14), 'class_token=False'),
        (dict(out_indices=(12,)), 'between 0 and 11'),
        (dict(class_token=False, out='class'), 'needs a class token'),
    ],
)
def test_what_does_not_go_is_refused(kwargs, words):
    with torch.device('meta'), pytest.raises(ValueError, match=words):
        ViT(**kwargs)


@pytest.mark.parametrize(
    ('shape', 'words'),
    [((1, 3, 15, 40), 'image 15x40 is smaller than a patch of 16x16'), ((1, 4, 32, 32), '4 channels.*in_channels=3')],
)
def test_images_that_do_not_go_are_refused(shape, words):
    with pytest.raises(ValueError, match=words):
        ViT(SMALL)(torch.zeros(shape))


@pytest.mark.parametrize(
    ('kwargs', 'words'),
    [
        (dict(arch=dict(SMALL, num_layers=2)), '64 channels in 3 blocks.*64 in 2'),
        (dict(patch_size=32), 'patches of 16.*patch_size=32'),
    ],
)
def test_weights_of_another_vit_are_refused(kwargs, words):
    module = reference('timm.models.vision_transformer')
    state = module.VisionTransformer(img_size=64, num_classes=0, **TIMM).state_dict()
    made = ViTLayout.convert(state, ViT(**{'arch': SMALL, **kwargs}))
    assert made.refused
    assert re.search(words, made.refused['the model'])


@torch.no_grad()
def test_frozen_blocks_stay():
    model = ViT(SMALL, image_size=64, frozen_blocks=3).train()
    assert not any(each.requires_grad for each in model.parameters())
    model = ViT(SMALL, image_size=64, frozen_blocks=1).train()
    still = {
        name.split('.')[0] + name.split('.')[1]
        for name, p in model.named_parameters()
        if p.requires_grad and 'blocks' in name
    }
    assert still == {'blocks1', 'blocks2'} and not model.blocks[0].training and model.blocks[1].training


@pytest.mark.parametrize('num_outs', [4, 5])
def test_simple_pyramid_gives_the_strides_it_says(num_outs):
    backbone = ViT(SMALL, image_size=64, class_token=False)
    neck = MODELS.build(dict(type='mmparts.SimplePyramid', in_channels=[64], out_channels=8, num_outs=num_outs))
    outs = neck(backbone(images(80, 112)))
    sizes = [tuple(out.shape[1:]) for out in outs]
    assert sizes[:4] == [(8, 20, 28), (8, 10, 14), (8, 5, 7), (8, 3, 4)] and len(sizes) == num_outs
    sum(out.square().sum() for out in outs).backward()
    assert all(each.grad is not None for each in neck.parameters())
    with pytest.raises(ValueError, match='4 scales'):
        MODELS.build(dict(type='mmparts.SimplePyramid', in_channels=[64], num_outs=3))
