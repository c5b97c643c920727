"""ViT-Adapter: counts, the published names, and a plain form of its forward pass written from the sheet of the code."""

import pytest
import torch
import torch.nn.functional as F
from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch
from parity import close, randomise

from mmparts.backbones import ViT, ViTAdapter
from mmparts.layers.map_attention import MapAttention
from mmparts.layers.relative_bias import RelativeBiasTable
from mmparts.weights.convert import account

SMALL = dict(type='mmparts.ViT', arch=dict(embed_dims=48, num_layers=4, num_heads=3), image_size=64)
PLAIN = dict(SMALL, class_token=False, final_norm=False, layer_scale=1.0, resize='dinov2')
BEIT = dict(SMALL, final_norm=False, layer_scale=0.1, position='relative', biases=(True, False, True))


def images(*size, batch=2, seed=0):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def build(vit=PLAIN, **kwargs):
    torch.manual_seed(0)
    model = ViTAdapter(vit, **kwargs).eval()
    randomise(model)
    return model


def published(arch, num_heads, ratio, size=224):
    vit = dict(type='mmparts.ViT', arch=arch, image_size=size, class_token=False, final_norm=False, layer_scale=1.0)
    with torch.device('meta'):
        return ViTAdapter(vit, num_heads, value_ratio=ratio)


@pytest.mark.parametrize(
    ('arch', 'heads', 'ratio', 'size', 'whole', 'adapter'),
    [
        ('tiny', 6, 1.0, 224, 7_966_640, 2_438_192),
        ('small', 6, 1.0, 224, 27_503_888, 5_830_160),
        ('base', 12, 0.5, 224, 99_495_392, 13_680_608),
        ('large', 16, 0.5, 384, 326_973_632, 23_236_800),
        ('large', 16, 0.5, 224, 326_584_512, 23_236_800),
    ],
)
def test_models_have_the_published_number_of_parameters(arch, heads, ratio, size, whole, adapter):
    """The official position table has a row for a class token that the model does not have."""
    model = published(arch, heads, ratio, size)
    inner = sum(each.numel() for each in model.vit.parameters())
    count = sum(each.numel() for each in model.parameters())
    assert (count + model.vit.embed_dims, count - inner) == (whole, adapter)


def test_beit_large_at_640_has_the_published_number_of_parameters():
    vit = dict(BEIT, arch='large', image_size=640)
    with torch.device('meta'):
        model = ViTAdapter(vit, 16, value_ratio=0.5, add_vit='each')
    assert sum(each.numel() for each in model.parameters()) == 328_756_928


def deform(attn, query, value, shapes, reference):
    """Of one module, by mmcv's plain form: offsets are cells of each level."""
    batch, count, _ = query.shape
    levels, points, heads = attn.num_levels, attn.num_points, attn.num_heads
    offsets = attn.sampling_offsets(query).view(batch, count, heads, levels, points, 2)
    weights = attn.attention_weights(query).view(batch, count, heads, levels * points).softmax(-1)
    sides = torch.tensor([(w, h) for h, w in shapes])
    where = reference[None, :, None, None, None] + offsets / sides[:, None]
    value = attn.value_proj(value).unflatten(-1, (heads, -1))
    weights = weights.view(batch, count, heads, levels, points)
    return attn.output_proj(multi_scale_deformable_attn_pytorch(value, torch.tensor(shapes), where, weights))


def grid(height, width):
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing='ij')
    return torch.stack([x, y], -1).flatten(0, 1)


def plainly(model: ViTAdapter, x: torch.Tensor) -> list[torch.Tensor]:
    """The forward pass of the official code, step by step."""
    height, width = x.shape[2:]
    stem = model.prior.stem(x)
    c2 = model.prior.convs[0](stem)
    c3 = model.prior.convs[1](c2)
    c4 = model.prior.convs[2](c3)
    c1, c2, c3, c4 = (p(c) for p, c in zip(model.prior.projections, (stem, c2, c3, c4)))
    c = torch.cat([each.flatten(2).mT + model.level_embed[i] for i, each in enumerate((c2, c3, c4))], 1)
    shapes = [(height // s, width // s) for s in (8, 16, 32)]
    (rows, columns) = size = shapes[1]
    tokens, prefix = model.vit.embed(x)[0], model.vit.num_prefix
    head, tokens = tokens[:, :prefix], tokens[:, prefix:]
    maps = []

    def extract(part, c, tokens):
        found = deform(
            part.attn, part.query_norm(c), part.value_norm(tokens), [size], torch.cat([grid(*s) for s in shapes])
        )
        c = c + found
        hidden = part.mlp.fc1(part.mlp_norm(c))
        n = rows * columns // 4
        levels = zip(hidden.split([16 * n, 4 * n, n], 1), shapes)
        hidden = torch.cat([part.mlp.conv(h.mT.unflatten(2, s)).flatten(2).mT for h, s in levels], 1)
        return c + part.mlp.fc2(F.gelu(hidden))

    for i, (injector, extractor) in enumerate(zip(model.injectors, model.extractors)):
        found = deform(injector.attn, injector.query_norm(tokens), injector.value_norm(c), shapes, grid(*size))
        tokens = torch.cat([head, tokens + injector.gamma * found], 1)
        tokens = model.vit.blocks[i](tokens, size=size)
        head, tokens = tokens[:, :prefix], tokens[:, prefix:]
        c = extract(extractor, c, tokens)
        if i == 3:
            for part in model.extra:
                c = extract(part, c, tokens)
        maps.append(tokens.mT.unflatten(2, size))

    n = rows * columns // 4
    c2, c3, c4 = (part.mT.unflatten(2, s) for part, s in zip(c.split([16 * n, 4 * n, n], 1), shapes))
    outs = [model.up(c2) + c1, c2, c3, c4]
    maps = maps if model.add_vit == 'each' else maps[-1:] * 4
    scaled = [
        F.interpolate(m, scale_factor=s, mode='bilinear', align_corners=False) for m, s in zip(maps, (4, 2, 1, 0.5))
    ]
    return [norm(o + m) for norm, o, m in zip(model.norms, outs, scaled)]


@pytest.mark.parametrize('vit', [PLAIN, BEIT, dict(PLAIN, window_size=3, window_pad='qkv', global_blocks=(3,))])
@pytest.mark.parametrize('add_vit', ['last', 'each'])
@torch.no_grad()
def test_equals_the_official_forward_pass(vit, add_vit):
    model = build(vit, add_vit=add_vit, value_ratio=0.5, injector_scale=0.5)
    x = images(64, 96)
    for mine, other in zip(model(x), plainly(model, x)):
        close('map', mine, other, 1e-4)


@torch.no_grad()
def test_both_output_forms_differ_but_in_the_coarsest_map():
    last, each = build(add_vit='last'), build(add_vit='each')
    each.load_state_dict(last.state_dict())
    x = images(64, 64)
    same = [a.allclose(b) for a, b in zip(last(x), each(x))]
    assert same == [False, False, False, True]


@torch.no_grad()
def test_without_injection_the_transformer_is_what_it_was():
    model, bare = build(), ViT(**{k: v for k, v in PLAIN.items() if k != 'type'}).eval()
    for injector in model.injectors:
        injector.gamma.zero_()
    bare.load_state_dict(model.vit.state_dict())
    seen = []
    model.vit.blocks[-1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    x = images(64, 96)
    model(x)
    close('map', model.vit.to_map(seen[0], (4, 6)), bare(x)[0], 1e-5)


@pytest.mark.parametrize('pad', ['qkv', 'tokens'])
@torch.no_grad()
def test_windows_equal_loops(pad):
    """Zeros stand in the projections, or in the tokens; nothing is masked."""
    torch.manual_seed(0)
    attn = MapAttention(8, 2, window_size=3, pad=pad, relative=RelativeBiasTable(2, (3, 3)))
    randomise(attn)
    x = torch.randn(1, 20, 8)
    out = attn(x, size=(4, 5))
    table = torch.zeros(1, 6, 6, 8)
    table[:, :4, :5] = x.view(1, 4, 5, 8)
    project = lambda t: F.linear(t, attn.in_proj_weight, attn.in_proj_bias)  # noqa: E731
    inside = torch.zeros(6, 6, 1)
    inside[:4, :5] = 1
    expected = torch.zeros(6, 6, 8)
    for top in (0, 3):
        for left in (0, 3):
            window = project(table[0, top : top + 3, left : left + 3])
            if pad == 'qkv':
                window = window * inside[top : top + 3, left : left + 3]
            q, k, v = (part.reshape(9, 2, 4).transpose(0, 1) for part in window.chunk(3, -1))
            weights = (q @ k.mT / 2 + attn.relative()).softmax(-1)
            expected[top : top + 3, left : left + 3] = (weights @ v).transpose(0, 1).reshape(3, 3, 8)
    close('windows', out.view(4, 5, 8), attn.out_proj(expected[:4, :5]), 1e-5)


BLOCK = {
    'attn.norm': 'norm1', 'mlp.norm': 'norm2', 'mlp.part': 'mlp', 'attn.scale': 'gamma1', 'mlp.scale': 'gamma2',
    'attn.part.in_proj_': 'attn.qkv.', 'attn.part.out_proj': 'attn.proj',
}  # fmt: skip


def official_state(model: ViTAdapter) -> dict[str, torch.Tensor]:
    """The names of the releases, written out for four blocks of one interaction each."""
    state = {}
    for name, tensor in model.state_dict().items():
        parts = name.split('.')
        if parts[0] == 'vit':
            name = '.'.join(parts[1:])
            if name == 'position.grid':
                state['pos_embed'] = torch.cat([torch.zeros(1, tensor.shape[-1]), tensor.flatten(0, 1)])[None]
                continue
            for ours, theirs in BLOCK.items():
                name = name.replace(ours, theirs)
        elif parts[0] == 'prior':
            index = int(parts[2])
            if parts[1] == 'stem':
                name = f'spm.stem.{3 * index + (parts[3] == "bn")}.{parts[4]}'
            elif parts[1] == 'convs':
                name = f'spm.conv{index + 2}.{int(parts[3] == "bn")}.{parts[4]}'
            else:
                name = f'spm.fc{index + 1}.{parts[3]}'
        elif parts[0] in ('injectors', 'extractors', 'extra'):
            name = '.'.join(parts[2:]).replace('mlp.conv', 'ffn.dwconv.dwconv').replace('mlp', 'ffn')
            name = name.replace('value_norm', 'feat_norm')
            where = {'injectors': f'{parts[1]}.injector', 'extractors': f'{parts[1]}.extractor'}
            name = f'interactions.{where.get(parts[0], f"3.extra_extractors.{parts[1]}")}.{name}'
        elif parts[0] == 'norms':
            name = f'norm{int(parts[1]) + 1}.{parts[2]}'
        state[f'backbone.{name}'] = tensor
    state['backbone.pos_embed'] = state.pop('pos_embed')
    return state | {'decode_head.conv_seg.weight': torch.zeros(2, 2), 'backbone.cls_token': torch.zeros(1, 1, 48)}


def test_published_names_fill_the_model():
    theirs, ours = build(), build()
    for parameter in ours.parameters():
        parameter.data.zero_()
    made = account(official_state(theirs), ours).check()
    assert made.layout == 'vit-adapter' and not made.initialised
    assert set(made.dropped) == {'decode_head.conv_seg.weight', 'backbone.cls_token'}
    ours.load_state_dict(made.state)
    assert all(a.equal(b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values()))


@pytest.mark.parametrize('vit', [dict(PLAIN, drop_path=0.1, with_cp=True), BEIT])
def test_every_parameter_gets_a_gradient(vit):
    model = build(vit, injector_scale=0.1).train()
    sum((out * torch.randn_like(out)).sum() for out in model(images(64, 32, batch=4))).backward()
    assert not [name for name, each in model.named_parameters() if each.grad is None or not each.grad.abs().sum() > 0]


def test_layer_ids():
    model = build()
    assert model.num_layer_ids == 6
    ids = {name: model.layer_id(name) for name, _ in model.named_parameters()}
    assert ids['vit.patch_embed.proj.weight'] == 0 and ids['vit.blocks.3.mlp.norm.bias'] == 4
    assert ids['injectors.0.gamma'] == ids['level_embed'] == 5


@pytest.mark.parametrize(
    ('vit', 'kwargs', 'words'),
    [
        (dict(PLAIN, patch_size=14), {}, 'patches of 14 pixels'),
        (SMALL, {}, 'final_norm=False'),
        (dict(PLAIN, num_registers=2), {}, 'registers'),
        (PLAIN, dict(num_interactions=3), '4 blocks, which 3 interactions do not divide'),
        (PLAIN, dict(add_vit='all'), "add_vit='all'"),
        (PLAIN, dict(num_interactions=2, add_vit='each'), 'needs 4 interactions'),
    ],
)
def test_what_does_not_go_is_refused(vit, kwargs, words):
    with pytest.raises(ValueError, match=words):
        ViTAdapter(vit, **kwargs)


def test_sizes_that_are_no_multiple_are_refused():
    with pytest.raises(ValueError, match='image 70x96 is not a multiple of 32; pad to 96x96'):
        build()(images(70, 96))
