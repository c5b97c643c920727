"""Official state dicts of Mask2Former, written out by their shapes, become weights of mmdet's model."""

import runpy
from pathlib import Path

import pytest
import tiny
import torch
from mmengine.config import Config

from mmparts.analysis.complexity import build_on_meta
from mmparts.engine import WeightsDoNotFit
from mmparts.weights.convert import account, convert

PIXEL, PREDICTOR = 'sem_seg_head.pixel_decoder.', 'sem_seg_head.predictor.'
SMALL = dict(C=32, HEADS=8, LEVELS=3, ENCODER=1, DECODER=3, RESNET=8, QUERIES=20, NARROW=64, WIDE=64)
FULL = dict(C=256, HEADS=8, LEVELS=3, ENCODER=6, DECODER=9, RESNET=64, QUERIES=100, NARROW=1024, WIDE=2048)


def shapes(C, HEADS, LEVELS, ENCODER, DECODER, RESNET, QUERIES, NARROW, WIDE, CLASSES=80) -> dict[str, tuple]:
    """Official name -> shape. detectron2's ResNet and the kinds of layers are those of Mask DINO."""
    kinds = runpy.run_path(str(Path(__file__).with_name('test_checkpoint.py')))
    for function in ('pair', 'norm', 'mlp', 'deformable', 'resnet'):
        kinds[function].__globals__.update(C=C, HEADS=HEADS, LEVELS=LEVELS, RESNET=RESNET)
    pair, norm, mlp, deformable, resnet = (kinds[name] for name in ('pair', 'norm', 'mlp', 'deformable', 'resnet'))

    found = resnet()
    for level, times in enumerate((32, 16, 8)):  # coarsest first
        name = f'{PIXEL}input_proj.{level}'
        found.update(pair(f'{name}.0', C, times * RESNET, 1, 1) | norm(f'{name}.1'))
    found[f'{PIXEL}transformer.level_embed'] = (LEVELS, C)
    for layer in range(ENCODER):
        name = f'{PIXEL}transformer.encoder.layers.{layer}'
        found.update(deformable(f'{name}.self_attn') | norm(f'{name}.norm1') | norm(f'{name}.norm2'))
        found.update(pair(f'{name}.linear1', NARROW, C) | pair(f'{name}.linear2', C, NARROW))
    found.update(pair(f'{PIXEL}mask_features', C, C, 1, 1))
    for name, into, kernel in (('adapter_1', 4 * RESNET, 1), ('layer_1', C, 3)):
        found.update({f'{PIXEL}{name}.weight': (C, into, kernel, kernel), **norm(f'{PIXEL}{name}.norm')})

    for layer in range(DECODER):
        for name in (f'cross_attention_layers.{layer}.multihead_attn', f'self_attention_layers.{layer}.self_attn'):
            name = f'{PREDICTOR}transformer_{name}'
            found.update({f'{name}.in_proj_weight': (3 * C, C), f'{name}.in_proj_bias': (3 * C,)})
            found.update(pair(f'{name}.out_proj', C, C) | norm(f'{name.rpartition(".")[0]}.norm'))
        name = f'{PREDICTOR}transformer_ffn_layers.{layer}'
        found.update(pair(f'{name}.linear1', WIDE, C) | pair(f'{name}.linear2', C, WIDE) | norm(f'{name}.norm'))
    for name, rows in (('query_feat', QUERIES), ('query_embed', QUERIES), ('level_embed', LEVELS)):
        found[f'{PREDICTOR}{name}.weight'] = (rows, C)
    found.update(norm(f'{PREDICTOR}decoder_norm') | pair(f'{PREDICTOR}class_embed', CLASSES + 1, C))
    return found | mlp(f'{PREDICTOR}mask_embed', C) | {'criterion.empty_weight': (CLASSES + 1,)}


@pytest.fixture(scope='module')
def model():
    cfg = tiny.mask2former()
    cfg.backbone.depth = 50
    cfg.panoptic_head.in_channels = [32, 64, 128, 256]
    return tiny.build(cfg)


@pytest.fixture
def official() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes(**SMALL).items()}


def test_every_tensor_finds_its_place(model, official):
    made = account(dict(model=official), model).check()
    assert made.layout == 'mask2former' and list(made.dropped) == ['criterion.empty_weight']
    missing, unexpected = model.load_state_dict(made.state, strict=False)
    assert not unexpected and all(name.endswith('num_batches_tracked') for name in missing)
    assert made.num_elements == sum(tensor.numel() for tensor in official.values()) - 81


@pytest.mark.parametrize(
    ('ours', 'theirs'),
    [
        ('backbone.layer3.5.bn2.running_var', 'backbone.res4.5.conv2.norm.running_var'),
        ('panoptic_head.pixel_decoder.input_convs.2.gn.bias', f'{PIXEL}input_proj.2.1.bias'),
        ('panoptic_head.pixel_decoder.lateral_convs.0.conv.weight', f'{PIXEL}adapter_1.weight'),
        ('panoptic_head.pixel_decoder.output_convs.0.gn.weight', f'{PIXEL}layer_1.norm.weight'),
        (
            'panoptic_head.pixel_decoder.encoder.layers.0.norms.1.bias',
            f'{PIXEL}transformer.encoder.layers.0.norm2.bias',
        ),
        (
            'panoptic_head.transformer_decoder.layers.1.norms.0.bias',
            f'{PREDICTOR}transformer_cross_attention_layers.1.norm.bias',
        ),
        (
            'panoptic_head.transformer_decoder.layers.1.norms.1.bias',
            f'{PREDICTOR}transformer_self_attention_layers.1.norm.bias',
        ),
        (
            'panoptic_head.transformer_decoder.layers.2.ffn.layers.1.weight',
            f'{PREDICTOR}transformer_ffn_layers.2.linear2.weight',
        ),
        ('panoptic_head.mask_embed.4.bias', f'{PREDICTOR}mask_embed.layers.2.bias'),
        ('panoptic_head.query_feat.weight', f'{PREDICTOR}query_feat.weight'),
    ],
)
def test_places(model, official, ours, theirs):
    assert convert(official, model)[ours].equal(official[theirs])


def test_older_files_have_an_older_name(model, official):
    content = official.pop(f'{PREDICTOR}query_feat.weight')
    made = convert(official | {f'{PREDICTOR}static_query.weight': content}, model)
    assert made['panoptic_head.query_feat.weight'].equal(content)


def test_strictness(model, official):
    name = f'{PREDICTOR}transformer_self_attention_layers.2.norm.weight'
    tensor = official.pop(name)
    with pytest.raises(WeightsDoNotFit, match=rf'1 missing\.\nmissing:\n  \S+ <- {name}\n'):
        convert(official, model)
    with pytest.raises(WeightsDoNotFit, match=r'1 unexpected\.'):
        convert(official | {name: tensor, f'{name}.extra': tensor}, model)
    with pytest.raises(WeightsDoNotFit, match=r'1 mis-shaped\.'):
        convert(official | {name: torch.cat([tensor, tensor])}, model)
    with pytest.raises(WeightsDoNotFit, match='fills a Mask2Former of mmdet, the config builds a mmparts'):
        convert(official | {name: tensor}, tiny.build(tiny.base('mask_dino_r50')))


@pytest.mark.parametrize(('config', 'classes', 'count'), [('coco', 80, 43_970_257), ('coco-panoptic', 133, 43_983_878)])
def test_at_full_size_the_layout_is_the_published_one(config, classes, count):
    model = build_on_meta(Config.fromfile(tiny.CONFIGS / 'mask2former' / f'mask2former_r50_8xb2-lsj-50e_{config}.py'))
    state = {name: torch.zeros(()).expand(shape) for name, shape in shapes(**FULL, CLASSES=classes).items()}
    made = account(state, model).check()
    norms = [name for name in made.state if '.bn' in name or 'downsample.1.' in name]
    assert made.num_elements - sum(made.state[name].numel() for name in norms) == count
