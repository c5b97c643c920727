"""SMCA-DETR: Gaussians and attention against loops over single numbers, and what holds of the models built on them."""

import math

import pytest
import torch
from mmengine.config import Config
from tiny import (
    CONFIGS,
    assert_comes_back,
    at_own_size,
    base,
    batch,
    build,
    tiny,
    total,
    unmoved_by_two_steps,
    without_gradient,
)
from torch import nn

from mmparts.analysis.complexity import Parameters, build_on_meta
from mmparts.detr.attention import DenseCrossAttention
from mmparts.detr.dab_detr.attention import ConditionalCrossAttention
from mmparts.detr.smca_detr.encoder import MultiScaleEncoder
from mmparts.detr.smca_detr.gaussian import GaussianCrossAttention, GaussianPrior
from mmparts.detr.structures import ImageSizes, Memory, QueryGroup, Targets, stride

DIMS, HEADS, QUERIES = 16, 2, 3
ONE, TWO = [(3, 5)], [(4, 6), (2, 3)]
MODELS_OF_PAPER = ['smca_detr_r50', 'smca_detr_multiscale_r50']
SMALL = sorted(path.name for path in (CONFIGS / 'smca_detr').glob('*_small_*.py'))


def random_weights(part: nn.Module, std: float = 0.3) -> nn.Module:
    torch.manual_seed(0)
    for parameter in part.parameters():
        nn.init.normal_(parameter, std=std)
    return part.eval()


def memory(shapes=tuple(ONE), padded: bool = True) -> Memory:
    """Two images; with padding, the second has one column less of cells in the coarsest level."""
    torch.manual_seed(1)
    feats, pos = ([torch.randn(2, DIMS, *shape) for shape in shapes] for _ in range(2))
    keeps = [torch.ones(2, *shape, dtype=torch.bool) for shape in shapes]
    for level, keep in enumerate(reversed(keeps)):
        keep[1, :, -(2**level) :] = False
    made = Memory.from_levels(feats, pos, keeps if padded else None)
    step = 32 // 2 ** (len(shapes) - 1)
    height, width = (step * size for size in shapes[0])
    made.images = ImageSizes((height, width), ((height, width - 7), (height - 3, width - 32)))
    return made


def inputs(shapes=tuple(ONE), padded: bool = True, **kwargs):
    """A prior part, an attention part, and what the latter is called with."""
    torch.manual_seed(2)
    content, pos, reference = torch.randn(2, QUERIES, DIMS), torch.randn(2, QUERIES, DIMS), torch.rand(2, QUERIES, 2)
    prior = random_weights(GaussianPrior(DIMS, HEADS, num_layers=2, num_levels=len(shapes), **kwargs))
    given = prior(content, pos, 1)
    entered = torch.randn_like(content)  # attention to the memory sees another content than the prior
    return prior, (content, pos), (entered, pos, reference, memory(shapes, padded), given)


def log_gaussian(prior, state, reference, mem: Memory, b: int, n: int, h: int, level: int, i: int, j: int) -> float:
    """Of one cell (i, j), straight from the official code's description: cells of 32 pixels at integer places."""
    part, levels, scales = prior.layers[1], len(mem.shapes), prior.num_scales
    content, pos = state
    query = part.norm(content[b, n] + pos[b, n])
    cell = 32 / 2 ** (levels - 1 - level)
    height, width = mem.images.valid[b]
    which = h * levels + level
    x = reference[b, n, 0].item() * width / cell + part.offset(query)[2 * which].item()
    y = reference[b, n, 1].item() * height / cell + part.offset(query)[2 * which + 1].item()
    s = [] if scales == 0 else part.scale(query)[scales * which : scales * (which + 1)].tolist()
    dx, dy = x - i, y - j
    if prior.divide:
        s = [1 / max(abs(each), 0.1) for each in s]
    if scales == 0:
        return -(dx**2 + dy**2) / 8
    if scales == 1:
        return -(s[0] ** 2) * (dx**2 + dy**2) / 8
    log = s[0] ** 2 * dx**2 + s[1] ** 2 * dy**2
    return -(log + (s[2] ** 2 * dx**2 * dy**2 if scales == 3 else 0)) / 8


def cells(mem: Memory):
    """(token, level, x, y)"""
    grid = ((level, i, j) for level, (h, w) in enumerate(mem.shapes) for j in range(h) for i in range(w))
    return ((token, *place) for token, place in enumerate(grid))


@pytest.mark.parametrize('shapes', [ONE, TWO], ids=['one level', 'two levels'])
@pytest.mark.parametrize(('num_scales', 'divide'), [(0, False), (1, False), (2, False), (3, False), (2, True)])
def test_attention_and_gaussians_against_loops(shapes, num_scales, divide):
    prior, state, args = inputs(shapes, num_scales=num_scales, divide=divide)
    content, pos, reference, mem, given = args
    part = random_weights(GaussianCrossAttention(DIMS, HEADS))
    project = part.base.attn.project(content + pos, mem.tokens + mem.pos, mem.tokens)
    query, key, value = (x.unflatten(-1, (HEADS, -1)) for x in project)
    gate = torch.ones(2, QUERIES, 1)
    if len(shapes) > 1:
        gate = prior.layers[1].gate(prior.layers[1].norm(sum(state))).softmax(-1)

    out = torch.zeros(2, QUERIES, HEADS, DIMS // HEADS)
    maps, gaussians = (torch.zeros(2, HEADS, QUERIES, len(mem.tokens[0])) for _ in range(2))
    for b in range(2):
        for n in range(QUERIES):
            for h in range(HEADS):
                scores = {}
                for token, level, i, j in cells(mem):
                    if not mem.keep[b, token]:
                        continue
                    log = log_gaussian(prior, state, reference, mem, b, n, h, level, i, j)
                    gaussians[b, h, n, token] = math.exp(log) * gate[b, n, level]
                    product = (query[b, n, h] @ key[b, token, h]).item() / math.sqrt(DIMS // HEADS)
                    scores.setdefault(level, {})[token] = math.exp(product + log)
                for level, of_level in scores.items():
                    for token, score in of_level.items():
                        maps[b, h, n, token] = gate[b, n, level] * score / sum(of_level.values())
                        out[b, n, h] += maps[b, h, n, token] * value[b, token, h]

    assert part(*args).allclose(part.base.out_proj(out.flatten(2)), atol=1e-5)
    assert part.weights(*args).allclose(maps, atol=1e-5)
    assert part.gaussians(*args).allclose(gaussians, atol=1e-5)


@pytest.mark.parametrize('num_scales', range(4))
def test_gaussians_start_round_and_two_cells_wide(num_scales):
    prior = GaussianPrior(DIMS, HEADS, num_scales=num_scales)(*(torch.randn(1, 1, DIMS) for _ in range(2)), 0)
    assert prior.fall.allclose(torch.full_like(prior.fall, 1 / 8))  # exp(-d^2 / (2 * 2^2))
    assert (prior.mixed is None) == (num_scales < 3)


@pytest.mark.parametrize('attention', [DenseCrossAttention, ConditionalCrossAttention])
@pytest.mark.parametrize('num_scales', [1, 2, 3])
@pytest.mark.parametrize('padded', [True, False])
def test_without_modulation_it_is_the_attention_it_stands_on(attention, num_scales, padded):
    prior, _, (content, pos, reference, mem, _) = inputs(padded=padded, num_scales=num_scales)
    part = random_weights(GaussianCrossAttention(DIMS, HEADS, base=dict(type=attention)))
    if attention is ConditionalCrossAttention:
        pos = torch.cat([pos, pos.flip(1)], dim=-1)
    given = prior(content, pos, 1)
    assert not part(content, pos, reference, mem, given).allclose(part.base(content, pos, None, mem), atol=1e-3)
    nn.init.zeros_(prior.layers[1].scale.weight), nn.init.zeros_(prior.layers[1].scale.bias)
    given = prior(content, pos, 1)
    assert part(content, pos, reference, mem, given).allclose(part.base(content, pos, None, mem), atol=1e-5)
    assert part.weights(content, pos, reference, mem, given).allclose(
        part.base.weights(content, pos, None, mem), atol=1e-5
    )


def test_a_model_without_modulation_is_a_detr():
    """All scales 0 and all centres in the middle: the same boxes and classes as DETR with the same weights."""
    ours = build(base('smca_detr_r50')).eval()
    prior = ours.decoder.spatial_prior
    for part in (*(layer.scale for layer in prior.layers), prior.centre.layers[-1]):
        nn.init.zeros_(part.weight), nn.init.zeros_(part.bias)
    detr = build(
        base('smca_detr_r50', decoder=dict(cross_attn=dict(type='mmparts.DenseCrossAttention'), spatial_prior=None))
    ).eval()
    weights = {
        name.replace('cross_attn.base.', 'cross_attn.'): value
        for name, value in ours.state_dict().items()
        if 'spatial_prior' not in name
    }
    detr.load_state_dict(weights)
    data = batch(ours)
    with torch.no_grad():
        one, other = ours(**data, mode='tensor'), detr(**data, mode='tensor')
    assert one['logits'].allclose(other['logits'], atol=1e-5) and one['boxes'].allclose(other['boxes'], atol=1e-5)


def test_boxes_start_from_the_centres():
    model = build(base('smca_detr_r50')).eval()
    nn.init.normal_(model.decoder.spatial_prior.centre.layers[-1].bias, std=2.0)
    for parameter in model.head.box_branches[0].layers[-1].parameters():
        nn.init.zeros_(parameter)
    data = batch(model)
    with torch.no_grad():
        boxes = model(**data, mode='tensor')['boxes']
        pos, prior = model.queries.pos.weight, model.decoder.spatial_prior
        centres = prior.centre(prior.layers[0].norm(pos)).sigmoid()
    assert centres.std() > 0.01
    assert boxes[..., :2].allclose(centres.expand(2, 2, -1, -1), atol=1e-5) and (boxes[..., 2:] == 0.5).all()


@pytest.mark.parametrize(
    ('pixels', 'shape', 'expected'),
    [
        ((800, 1333), (25, 42), 32),
        ((100, 64), (4, 2), 32),
        ((100, 64), (7, 4), 16),
        ((801, 961), (13, 16), 64),
        ((518, 518), (37, 37), 14),
    ],
)
def test_strides_are_read_from_the_features(pixels, shape, expected):
    assert stride(pixels, shape) == expected


def test_centres_count_pixels_of_the_image_not_cells():
    """An image of 100x70 pixels in a batch of 128x96: as in the official code, 70 / 32 cells wide, not 3."""
    model = build(base('smca_detr_r50')).eval()
    data = batch(model, sizes=((100, 70), (128, 96)))
    extents = model.encode(data['inputs'], data['data_samples']).extents
    assert extents.tolist() == [[[70 / 32, 100 / 32]], [[3.0, 4.0]]]
    data = batch(model, sizes=((100, 70),))
    assert model.encode(data['inputs'], data['data_samples']).extents.tolist() == [[[70 / 32, 100 / 32]]]


class Patches(nn.Module):
    """A pyramid of patches: unlike a ResNet, it does not carry padding into the cells beside it."""

    def __init__(self, strides=(16, 32), **kwargs):
        super().__init__()
        self.strides, self.channels = strides, (8,) * len(strides)
        self.levels = nn.ModuleList(nn.Conv2d(3, 8, step, step) for step in strides)

    def init_weights(self):
        pass

    def forward(self, images):
        return tuple(level(images) for level in self.levels)


@pytest.mark.parametrize('name', MODELS_OF_PAPER)
def test_an_image_alone_and_in_a_batch(name):
    strides = (32,) if name == 'smca_detr_r50' else (16, 32)
    model = build(
        base(
            name,
            backbone=dict(_delete_=True, type=Patches, strides=strides),
            neck=dict(norm_cfg=None),
            num_levels=len(strides),
        )
    ).eval()
    (height, width), large = (64, 96), (96, 160)
    together = batch(model, sizes=((height, width), large))
    alone = dict(inputs=together['inputs'][:1, :, :height, :width].clone(), data_samples=together['data_samples'][:1])
    together['inputs'][0, :, height:] = torch.randn(3, large[0] - height, large[1])
    together['inputs'][0, :, :, width:] = torch.randn(3, large[0], large[1] - width)
    with torch.no_grad():
        first, second = model(**alone, mode='tensor'), model(**together, mode='tensor')
    assert first['logits'].allclose(second['logits'][:, :1], atol=1e-4)
    assert first['boxes'].allclose(second['boxes'][:, :1], atol=1e-5)
    assert first['boxes'].std() > 0.01


@pytest.mark.parametrize('name', MODELS_OF_PAPER)
def test_images_of_a_batch_do_not_mix(name):
    """Gates of one image are not another's."""
    model = build(base(name)).eval()
    for layer in model.decoder.spatial_prior.layers:
        if layer.gate is not None:
            nn.init.normal_(layer.gate.weight, std=3.0)
    data = batch(model, sizes=((64, 96), (96, 128), (96, 64)), counts=(1, 0, 2))
    order = [2, 0, 1]
    with torch.no_grad():
        first = model(**data, mode='tensor')
        second = model(data['inputs'][order], [data['data_samples'][index] for index in order], mode='tensor')
    assert first['boxes'][:, order].allclose(second['boxes'], atol=1e-4)
    assert first['logits'][:, order].allclose(second['logits'], atol=1e-4)


def reference_block(layer: nn.Module, levels: list[torch.Tensor], pos: list[torch.Tensor], across: bool):
    """A block on the tokens S C of each level of one image, by torch's own attention."""
    attn = nn.MultiheadAttention(DIMS, HEADS, batch_first=True).eval()
    attn.load_state_dict(layer.self_attn.state_dict())
    groups = [range(len(levels))] if across else [[level] for level in range(len(levels))]
    found = []
    for group in groups:
        tokens, place = (torch.cat([part[level] for level in group])[None] for part in (levels, pos))
        tokens = layer.norm_attn(tokens + attn(tokens + place, tokens + place, tokens)[0])
        tokens = layer.norm_ffn(tokens + layer.ffn(tokens))
        found += tokens[0].split([len(levels[level]) for level in group])
    return found


@pytest.mark.parametrize('across', [None, (0, 3), ()])
def test_encoder_blocks_image_by_image(across):
    encoder = random_weights(
        MultiScaleEncoder(DIMS, num_layers=4, across=across, num_heads=HEADS, ffn_channels=24, num_levels=2)
    )
    torch.manual_seed(0)
    feats = [torch.randn(2, DIMS, *shape) for shape in TWO]
    valid = [[(4, 6), (2, 3)], [(2, 4), (1, 2)]]  # of each image, in each level
    keeps = [torch.zeros(2, *shape, dtype=torch.bool) for shape in TWO]
    for image, sizes in enumerate(valid):
        for keep, (h, w) in zip(keeps, sizes):
            keep[image, :h, :w] = True
    made = encoder(feats, keeps)

    for image, sizes in enumerate(valid):
        levels, places = [], []
        for feat, keep, embed, (h, w) in zip(feats, keeps, encoder.level_embed, sizes):
            levels.append(feat[image, :, :h, :w].flatten(1).T)
            place = encoder.positional_encoding(~keep[image : image + 1, :h, :w])[0]
            places.append(place.flatten(1).T + embed)
        for number, layer in enumerate(encoder.layers):
            levels = reference_block(layer, levels, places, number in ((2,) if across is None else across))
        for tokens, keep, level in zip(made.tokens.split([24, 6], dim=1), keeps, levels):
            assert tokens[image, keep[image].flatten()].allclose(level, atol=1e-4)


def test_blocks_that_are_not_there_are_named():
    with pytest.raises(ValueError, match=r'across=\[5\]: the encoder has blocks 0 to 4'):
        MultiScaleEncoder(across=(5,))


def counted(name: str, **changes) -> Parameters:
    cfg = Config.fromfile(CONFIGS / 'smca_detr' / name)
    cfg.merge_from_dict(dict(model=changes))
    return Parameters.of(build_on_meta(cfg))


@pytest.mark.parametrize(
    'name', ['smca-detr_r50_8xb2-50e_coco.py', 'smca-detr_r50_8xb2-108e_coco.py', 'smca-detr_r50-dc5_8xb2-50e_coco.py']
)
def test_parameter_count_is_the_official_one(name):
    parameters = counted(name, num_classes=92)  # it takes the 92 rows of DETR's classes for sigmoids
    assert (parameters.as_papers_count, parameters.trainable) == (41_760_482, 41_538_082)


@pytest.mark.parametrize(('num_scales', 'outputs'), [(0, 0), (1, 8), (3, 24)])
def test_scales_of_the_other_types(num_scales, outputs):
    changed = counted(
        'smca-detr_r50_8xb2-50e_coco.py', num_classes=92, decoder=dict(spatial_prior=dict(num_scales=num_scales))
    )
    assert 41_760_482 - changed.as_papers_count == 6 * 257 * (16 - outputs)


def test_parameter_count_of_several_levels():
    """Nobody published one for the paper's model; this is the sum of its parts, by hand."""
    attention, feed_forward, norm = 4 * 256 * 257, 256 * 1024 * 2 + 1024 + 256, 512
    backbone, neck = 23_454_912, 256 * (1024 + 1 + 2048 + 1 + 9 * 2048 + 1) + 3 * norm
    encoder = 5 * (attention + feed_forward + 2 * norm) + 3 * 256
    prior = norm + 257 * (48 + 48 + 3)
    decoder = 6 * (2 * attention + feed_forward + 3 * norm + prior) + norm + 2 * 256 * 257 + 257 * 2
    head = 257 * 80 + 2 * 256 * 257 + 257 * 4
    found = counted('smca-detr-multiscale_r50_8xb2-50e_coco.py').as_papers_count
    assert found == backbone + neck + encoder + decoder + head + 300 * 256


@pytest.mark.parametrize('num_scales', range(4))
@pytest.mark.parametrize('name', MODELS_OF_PAPER)
def test_every_parameter_learns(name, num_scales):
    model = build(base(name, decoder=dict(spatial_prior=dict(num_scales=num_scales)))).train()
    total(model(**batch(model), mode='loss')).backward()
    assert not without_gradient(model)
    assert not [key for key, value in model.decoder.spatial_prior.named_parameters() if not value.grad.any()]


@pytest.mark.parametrize('name', MODELS_OF_PAPER)
@pytest.mark.parametrize(('counts', 'dtype'), [((0, 0), None), ((300, 2), None), ((3, 0), torch.bfloat16)])
def test_any_number_of_objects(name, counts, dtype):
    model = build(base(name)).train()
    with torch.autocast('cpu', dtype, enabled=dtype is not None):
        losses = model(**batch(model, counts=counts), mode='loss')
    total(losses).backward()
    assert all(value.isfinite() for value in losses.values())
    assert not without_gradient(model)


@pytest.mark.parametrize('num_scales', [2, 3])
def test_bfloat16_keeps_gaussians_in_place(num_scales):
    """On a map of 100x100 cells, in whose corner squares of coordinates are far beyond the digits of a bfloat16."""
    prior = GaussianPrior(DIMS, HEADS, num_layers=2, num_scales=num_scales)
    part, mem = GaussianCrossAttention(DIMS, HEADS), memory([(100, 100)], padded=False)
    content, pos = torch.randn(2, QUERIES, DIMS), torch.randn(2, QUERIES, DIMS)
    args = (content, pos, torch.full((2, QUERIES, 2), 0.95), mem, prior(content, pos, 1))
    with torch.no_grad():
        full = part(*args)
        with torch.autocast('cpu', torch.bfloat16):
            mixed = part(*args)
    assert (full - mixed).abs().max() < 0.02 * full.std()


def test_float32_is_exact_in_the_corner_of_a_large_map():
    """The Gaussians as channels against the Gaussians written out, in float64."""
    prior, part, mem = GaussianPrior(DIMS, HEADS, num_layers=2), GaussianCrossAttention(DIMS, HEADS), memory([(84, 84)])
    content, pos = torch.randn(2, QUERIES, DIMS), torch.randn(2, QUERIES, DIMS)
    args = (content, pos, torch.full((2, QUERIES, 2), 0.99), mem, prior(content, pos, 1))
    weights = part.weights(*args).double()
    value = part.base.attn.project(content, mem.tokens, mem.tokens)[2].unflatten(-1, (HEADS, -1)).transpose(1, 2)
    expected = (weights @ value.double()).transpose(1, 2).flatten(2).float()
    assert part(*args).allclose(part.base.out_proj(expected), atol=1e-4)


def test_recomputing_layers_changes_nothing():
    def gradients(with_cp):
        model = build(
            base(
                'smca_detr_multiscale_r50',
                decoder=dict(with_cp=with_cp, dropout=0.0),
                encoder=dict(with_cp=with_cp, dropout=0.0),
            )
        ).train()
        total(model(**batch(model), mode='loss')).backward()
        return model.decoder.spatial_prior.layers[1].offset.weight.grad

    assert gradients(True).allclose(gradients(False), atol=1e-6)


GAUSSIAN = dict(type='mmparts.GaussianCrossAttention', _delete_=True)


@pytest.mark.parametrize('name', ['dab_detr_r50', 'dn_detr_r50'])
def test_it_stands_on_the_anchors_of_others(name):
    """DAB-DETR that looks around its anchors; denoising queries train beside it and change nothing for the others."""
    model = build(
        base(
            name,
            decoder=dict(
                spatial_prior=dict(type='mmparts.GaussianPrior', centre=False),
                cross_attn=dict(GAUSSIAN, base=dict(type='mmparts.ConditionalCrossAttention')),
            ),
        )
    ).train()
    data = batch(model)
    total(model(**data, mode='loss')).backward()
    assert not without_gradient(model)

    model.eval()
    with torch.no_grad():
        memory = model.encode(data['inputs'], data['data_samples'])
        match, _ = model.queries(memory, model.head)
        alone = model.decode([match], memory)['boxes']
        for group in model.groups:
            beside = model.decode([match, group(match, memory, Targets.from_samples(data['data_samples']))], memory)
            assert beside['boxes'].shape[2] > alone.shape[2]
            assert beside['boxes'][:, :, : match.size].allclose(alone, atol=1e-6)
        for layer in model.decoder.spatial_prior.layers:
            layer.scale.bias += 5
        assert not model.decode([match], memory)['boxes'].allclose(alone, atol=1e-4)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ValueError, match='DenseCrossAttention and spatial_prior=.* do not go together'):
        build(base('smca_detr_r50', decoder=dict(cross_attn=dict(type='mmparts.DenseCrossAttention'))))
    with pytest.raises(ValueError, match='GaussianCrossAttention and spatial_prior=None do not go together'):
        build(base('detr_r50', decoder=dict(cross_attn=dict(type='mmparts.GaussianCrossAttention'))))
    with pytest.raises(ValueError, match='num_scales is 0, 1, 2 or 3, got 4'):
        GaussianPrior(num_scales=4)
    group = QueryGroup('match', torch.zeros(1, 2, 256), pos=torch.zeros(1, 2, 256))
    with pytest.raises(ValueError, match=r"GaussianPrior\(centre=False\); got 'match' with them"):
        GaussianPrior().reference(torch.rand(1, 2, 4), group.content, [group])
    with pytest.raises(ValueError, match="'match' without them"):
        GaussianPrior(centre=False).reference(None, group.content, [group])
    content = torch.zeros(2, QUERIES, DIMS)
    with pytest.raises(ValueError, match='GaussianPrior has 3 levels, the encoder gives 2'):
        GaussianCrossAttention(DIMS, HEADS)(
            content,
            content,
            torch.rand(2, QUERIES, 2),
            memory(TWO),
            GaussianPrior(DIMS, HEADS, num_levels=3)(content, content, 0),
        )


@pytest.mark.parametrize('name', SMALL)
def test_small_configs_train_predict_and_come_back(name, tmp_path):
    """At their own size: a step moves every parameter, and saved weights predict the same in a fresh model."""
    torch.manual_seed(0)
    model = at_own_size(f'smca_detr/{name}').train()
    data = batch(model, counts=(3, 2))
    assert not unmoved_by_two_steps(model, data)
    assert_comes_back(model, at_own_size(f'smca_detr/{name}'), data, tmp_path / 'weights.pth')


def test_the_snippet_of_the_readme_builds(tmp_path):
    text = (CONFIGS / 'smca_detr' / 'README.md').read_text()
    code = text.split('```python\n')[1].split('```')[0].replace("'../_base_", f"'{CONFIGS}/_base_")
    (tmp_path / 'config.py').write_text(code)
    assert isinstance(
        build(tiny(Config.fromfile(tmp_path / 'config.py'))).decoder.layers[0].cross_attn, GaussianCrossAttention
    )
