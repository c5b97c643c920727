"""Official state dicts of Cell-DETR, written out from the paper's code base, become our weights."""

import functools

import pytest
import tiny
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmparts.engine import WeightsDoNotFit
from mmparts.registry import MODELS
from mmparts.weights.convert import account, convert

C, FFN, HEADS, QUERIES, CLASSES = 128, 512, 8, 12, 2
COUNTS = {'a': 3_986_191, 'b': 5_346_036, 'a sigmoid': 3_225_158, 'b sigmoid': 4_455_451}  # of the official code
MASKS = 'head.mask_branch.mask_decoder'
BUFFERS = ('running_mean', 'running_var', 'num_batches_tracked')
variants = pytest.mark.parametrize('variant', COUNTS)


class Shapes(dict):
    """Official name -> shape; B's bricks where asked for."""

    def __init__(self, variant: str):
        super().__init__()
        self.b = variant.startswith('b')

    def linear(self, name, into, out):
        self.update({f'{name}.weight': (out, into), f'{name}.bias': (out,)})

    def norm(self, name, channels, tracked=True):
        self.update({f'{name}.{part}': (channels,) for part in ('weight', 'bias')})
        if tracked:
            self.update({f'{name}.{part}': () if 'num' in part else (channels,) for part in BUFFERS})

    def plain(self, name, into, out, kernel):
        self.update({f'{name}.weight': (out, into, kernel, kernel), f'{name}.bias': (out,)})

    def conv(self, name, into, out, kernel):
        self.plain(name, into, out, kernel)
        if self.b:
            self.plain(f'{name}.conv_offset_mask', into, 3 * kernel**2, kernel)

    def act(self, name):
        if self.b:
            self.update({f'{name}.weight_numerator': (6,), f'{name}.weight_denominator': (4,)})

    def block(self, name, into, mid, out):
        for number, (before, after) in zip((0, 3), ((into, mid), (mid, out))):
            self.conv(f'{name}.main_mapping.{number}', before, after, 3)
            self.norm(f'{name}.main_mapping.{number + 1}', after)
            self.act(f'{name}.main_mapping.{number + 2}')
        if into != out:
            self.conv(f'{name}.residual_mapping', into, out, 1)

    def net(self, name, widths):
        for number, (into, out) in enumerate(zip(widths, widths[1:])):
            self.linear(f'{name}.{2 * number}', into, out)
            if out != widths[-1]:
                self.act(f'{name}.{2 * number + 1}')

    def layer(self, name, attentions, norms):
        for attention in attentions:
            inner = f'{name}.{attention}'
            self.update({f'{inner}.in_proj_weight': (3 * C, C), f'{inner}.in_proj_bias': (3 * C,)})
            self.linear(f'{inner}.out_proj', C, C)
        self.linear(f'{name}.linear1', C, FFN)
        self.act(f'{name}.activation')
        self.linear(f'{name}.linear2', FFN, C)
        for number in range(norms):
            self.norm(f'{name}.norm{number + 1}', C, tracked=False)


def official(variant: str) -> dict[str, torch.Tensor]:
    shapes = Shapes(variant)
    shapes.conv('backbone.input_convolution.0', 1, 64, 7)
    for number, (into, out) in enumerate(((1, 64), (64, 128), (128, 256), (256, 256))):
        shapes.block(f'backbone.blocks.{number}', into, into, out)
    shapes.plain('convolution_mapping', 256, C, 1)
    shapes.update(query_positions=(QUERIES, C), row_embedding=(50, C // 2), column_embedding=(50, C // 2))
    for number in range(3):
        shapes.layer(f'transformer.encoder.layers.{number}', ['self_attn'], norms=2)
    for number in range(2):
        shapes.layer(f'transformer.decoder.layers.{number}', ['self_attn', 'multihead_attn'], norms=3)
    shapes.norm('transformer.decoder.norm', C, tracked=False)
    shapes.net('class_head', (C, 64, CLASSES + 1))
    shapes.net('bounding_box_head.layers', (C, 64, 16, 4))
    shapes.linear('segmentation_attention_head.layer_box_embedding', C, C)
    shapes.plain('segmentation_attention_head.layer_image_encoding', C, C, 1)
    for number, (into, out, skip) in enumerate(((C + HEADS, 128, 256), (128, 64, 128), (64, 32, 64))):
        name = f'segmentation_head.blocks.{number}'
        wide = out if shapes.b else out // 2
        shapes.block(name, into, wide, wide)
        shapes.conv(f'{name}.feature_mapping', skip, wide, 1)
        if shapes.b:
            shapes.plain(f'{name}.pixel_adaptive_convolution', out, out, 5)
    final(shapes, *((32, 32, 32, 1, 1) if 'sigmoid' in variant else (32 * QUERIES, 192, 48, 32, QUERIES)))
    random = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}


def final(shapes: Shapes, into: int, mid: int, out: int, narrow: int, maps: int):
    name = 'segmentation_head.final_block'
    shapes.block(name, into, mid, out)
    shapes.conv(f'{name}.final_mapping.0', out, narrow, 3)
    shapes.act(f'{name}.final_mapping.1')
    shapes.conv(f'{name}.final_mapping.2', narrow, maps, 1)


@functools.cache
def build(variant: str, as_published: bool = True):
    cfg = Config.fromfile(tiny.CONFIGS / 'cell_detr' / f'cell-detr_{variant[0]}_1xb10-200e_yeast.py').model
    cfg.as_published = as_published
    if 'sigmoid' in variant:
        cfg.head.branches.masks.mask_decoder.output = dict(type='mmparts.SeparateOutput')
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg).eval()


@variants
def test_every_tensor_finds_its_place(variant):
    model, state = build(variant), official(variant)
    assert sum(each.numel() for name, each in state.items() if not name.endswith(BUFFERS)) == COUNTS[variant]
    made = account(state, model).check()
    assert made.layout == 'cell-detr' and not made.dropped and not made.initialised
    model.load_state_dict(made.state)  # strict
    assert made.num_elements == sum(tensor.numel() for tensor in state.values())


@pytest.mark.parametrize(
    ('ours', 'theirs'),
    [
        ('backbone.stem.weight', 'backbone.input_convolution.0.weight'),
        ('backbone.blocks.2.main.4.running_var', 'backbone.blocks.2.main_mapping.4.running_var'),
        ('backbone.blocks.1.shortcut.offset_mask.bias', 'backbone.blocks.1.residual_mapping.conv_offset_mask.bias'),
        ('backbone.blocks.3.main.5.denominator', 'backbone.blocks.3.main_mapping.5.weight_denominator'),
        ('encoder.positional_encoding.rows', 'row_embedding'),
        ('encoder.positional_encoding.columns', 'column_embedding'),
        ('encoder.layers.2.ffn.1.numerator', 'transformer.encoder.layers.2.activation.weight_numerator'),
        (
            'decoder.layers.1.cross_attn.attn.in_proj_weight',
            'transformer.decoder.layers.1.multihead_attn.in_proj_weight',
        ),
        ('decoder.layers.1.norm_cross.bias', 'transformer.decoder.layers.1.norm2.bias'),
        ('queries.pos.weight', 'query_positions'),
        ('neck.skips.0.weight', 'segmentation_head.blocks.2.feature_mapping.weight'),
        ('neck.skips.2.bias', 'segmentation_head.blocks.0.feature_mapping.bias'),
        ('head.box_branches.0.2.weight', 'bounding_box_head.layers.2.weight'),
        ('head.class_branches.0.0.weight', 'class_head.0.weight'),
        (f'{MASKS}.blocks.1.adapt.weight', 'segmentation_head.blocks.1.pixel_adaptive_convolution.weight'),
        (f'{MASKS}.blocks.0.block.main.1.running_mean', 'segmentation_head.blocks.0.main_mapping.1.running_mean'),
        (f'{MASKS}.output.block.main.3.weight', 'segmentation_head.final_block.main_mapping.3.weight'),
        (f'{MASKS}.output.output.2.weight', 'segmentation_head.final_block.final_mapping.2.weight'),
    ],
)
def test_places(ours, theirs):
    state = official('b')
    assert convert(state, build('b'))[ours].equal(state[theirs])


def test_no_object_goes_last():
    """Official classes are no object, trap, cell; ours are trap, cell, no object."""
    state = official('a')
    state['class_head.2.weight'] *= 0
    state['class_head.2.bias'] = torch.tensor([10.0, 20.0, 30.0])
    model = build('a')
    model.load_state_dict(convert(state, model))
    assert model.head.class_branches[0](torch.zeros(1, C)).tolist() == [[20.0, 30.0, 10.0]]


@pytest.mark.parametrize(
    ('variant', 'name'),
    [
        ('a', 'query_positions'),
        ('a', 'segmentation_head.blocks.1.main_mapping.4.running_mean'),
        ('a', 'convolution_mapping.bias'),
        ('a sigmoid', 'segmentation_head.final_block.main_mapping.3.bias'),
        ('b', 'class_head.1.weight_numerator'),
        ('b', 'segmentation_head.blocks.0.pixel_adaptive_convolution.weight'),
    ],
)
class TestStrictness:
    def test_missing(self, variant, name):
        state = official(variant)
        del state[name]
        with pytest.raises(WeightsDoNotFit, match=rf'1 missing\.\nmissing:\n  \S+ <- {name}\n'):
            convert(state, build(variant))

    def test_extra(self, variant, name):
        with pytest.raises(WeightsDoNotFit, match=rf'1 unexpected\.\nunexpected:\n  {name}s\n'):
            convert(official(variant) | {f'{name}s': torch.zeros(1)}, build(variant))

    def test_mis_shaped(self, variant, name):
        state = official(variant)
        state[name] = torch.cat([state[name], state[name]])
        with pytest.raises(WeightsDoNotFit, match=rf'1 mis-shaped\.\nmis-shaped:\n  \S+ <- {name}: got '):
            convert(state, build(variant))


@pytest.mark.parametrize(('weights', 'model'), [('a', 'b'), ('b', 'a'), ('a', 'a sigmoid'), ('b sigmoid', 'b')])
def test_another_variant_is_refused(weights, model):
    with pytest.raises(WeightsDoNotFit, match='does not fit the config'):
        convert(official(weights), build(model))


def test_what_was_not_built_as_published_is_refused():
    with pytest.raises(WeightsDoNotFit, match='model.as_published=True'):
        convert(official('a'), build('a', as_published=False))
    with pytest.raises(WeightsDoNotFit, match='fills a CellMaskBranch of mmparts'):
        convert(official('a'), tiny.build(tiny.base('detr_r50')))
