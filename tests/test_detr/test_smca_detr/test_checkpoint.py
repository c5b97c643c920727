"""Official state dicts of SMCA-DETR, written out from the paper's code base, become our weights."""

import functools
import runpy
from pathlib import Path

import parity
import pytest
import torch

from mmparts.detr.checkpoint import COCO_IDS
from mmparts.engine import WeightsDoNotFit
from mmparts.weights.convert import account, convert

OTHERS = runpy.run_path(str(Path(__file__).parents[1] / 'test_checkpoint.py'))  # DETR's layout, and its sizes
C, DECODER, HEADS = (OTHERS[name] for name in ('C', 'DECODER', 'HEADS'))
LAYER = 'transformer.decoder.layers'


@functools.cache
def build(num_scales: int = 2, num_classes: int = 92):
    return parity.build(
        'smca_detr_r50', 'small', num_classes=num_classes, decoder=dict(spatial_prior=dict(num_scales=num_scales))
    )


def official(num_scales: int = 2) -> dict[str, torch.Tensor]:
    shapes = OTHERS['detr']()
    for layer in range(DECODER):
        shapes.norm(f'{LAYER}.{layer}.norm4')
        shapes.linear(f'{LAYER}.{layer}.point2', HEADS * 2, C)
        if num_scales:
            shapes.linear(f'{LAYER}.{layer}.point3', HEADS * num_scales, C)
    for number, out in enumerate((C, C, 2)):
        shapes.linear(f'{LAYER}.0.point1.layers.{number}', out, C)
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.parametrize('num_scales', range(4))
def test_every_tensor_finds_its_place(num_scales):
    model, state = build(num_scales), official(num_scales)
    made = account(dict(model=state), model).check()
    assert made.layout == 'smca-detr' and not made.dropped
    missing, unexpected = model.load_state_dict(made.state, strict=False)
    assert unexpected == [] and all(name.endswith('num_batches_tracked') for name in missing)
    assert made.num_elements == sum(tensor.numel() for tensor in state.values())


@pytest.mark.parametrize(
    ('ours', 'theirs'),
    [
        ('decoder.layers.1.cross_attn.base.attn.in_proj_weight', f'{LAYER}.1.multihead_attn.in_proj_weight'),
        ('decoder.layers.2.norm_self.weight', f'{LAYER}.2.norm1.weight'),
        ('decoder.layers.2.norm_cross.weight', f'{LAYER}.2.norm2.weight'),
        ('decoder.layers.2.norm_ffn.bias', f'{LAYER}.2.norm3.bias'),
        ('decoder.spatial_prior.layers.2.norm.bias', f'{LAYER}.2.norm4.bias'),
        ('decoder.spatial_prior.layers.1.offset.weight', f'{LAYER}.1.point2.weight'),
        ('decoder.spatial_prior.layers.0.scale.bias', f'{LAYER}.0.point3.bias'),
        ('decoder.spatial_prior.centre.layers.2.bias', f'{LAYER}.0.point1.layers.2.bias'),
        ('queries.pos.weight', 'query_embed.weight'),
        ('head.class_branches.0.weight', 'class_embed.weight'),
        ('head.box_branches.0.layers.1.weight', 'bbox_embed.layers.1.weight'),
    ],
)
def test_places(ours, theirs):
    state = official()
    assert convert(state, build())[ours].equal(state[theirs])


@pytest.mark.parametrize(
    'name',
    [
        f'{LAYER}.0.point1.layers.1.bias',
        f'{LAYER}.2.norm4.weight',
        f'{LAYER}.1.point2.weight',
        f'{LAYER}.1.point3.bias',
        'class_embed.bias',
    ],
)
class TestStrictness:
    def test_missing(self, name):
        state = official()
        del state[name]
        with pytest.raises(WeightsDoNotFit, match=rf'1 missing\.\nmissing:\n  \S+ <- {name}\n'):
            convert(state, build())

    def test_extra(self, name):
        name = name.rpartition('.')[0] + '.extra'
        with pytest.raises(WeightsDoNotFit, match=rf'1 unexpected\.\nunexpected:\n  {name}\n'):
            convert(official() | {name: torch.zeros(1)}, build())

    def test_mis_shaped(self, name):
        state = official()
        state[name] = torch.cat([state[name], state[name]])
        with pytest.raises(WeightsDoNotFit, match=rf'1 (mis-shaped|refused)\.\n\S+:\n  .*{name}'):
            convert(state, build())


def test_the_classes_of_coco_are_picked():
    state = official()
    made = convert(state, build(num_classes=80), classes='coco')
    assert made['head.class_branches.0.weight'].equal(state['class_embed.weight'][COCO_IDS])
    with pytest.raises(WeightsDoNotFit, match='got 92 rows, .* wanted 80: --classes coco .*num_classes=92'):
        convert(state, build(num_classes=80))


@pytest.mark.parametrize(('weights', 'model'), [(1, 2), (2, 3), (2, 0)])
def test_another_type_of_scales_is_refused(weights, model):
    with pytest.raises(WeightsDoNotFit, match='does not fit the config'):
        convert(official(weights), build(model))


def test_detr_and_smca_are_told_apart():
    with pytest.raises(WeightsDoNotFit, match='does not fit the config'):
        convert({name: tensor for name, tensor in official().items() if 'point' not in name}, build())
    with pytest.raises(WeightsDoNotFit, match='does not fit the config'):
        convert(official(), parity.build('detr_r50', 'small'))
