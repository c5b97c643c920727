"""Official state dicts of H-DETR and Co-DETR, written out from the papers' code bases, become our weights."""

import functools
import runpy
from pathlib import Path

import parity
import pytest
import torch

from mmparts.engine import WeightsDoNotFit
from mmparts.weights.convert import account, convert

# The sizes, layer kinds and the layout that H-DETR builds on.
OTHERS = runpy.run_path(str(Path(__file__).parents[1] / 'test_checkpoint.py'))
C, FFN, QUERIES, ENCODER, DECODER, RESNET = (
    OTHERS[name] for name in ('C', 'FFN', 'QUERIES', 'ENCODER', 'DECODER', 'RESNET')
)
Shapes, deformable_two_stage = OTHERS['Shapes'], OTHERS['deformable_two_stage']
CLASSES, FC = 80, 1024


@functools.cache
def build(base: str, whole: bool = True):
    return parity.build(base, 'small', num_classes=CLASSES, **({} if whole else dict(groups=[])))


@functools.cache
def hybrid():
    return parity.build('h_detr_r50', 'small', groups=[dict(type='mmparts.OneToMany', num=30)])


def co_detr(levels: int, dino: bool) -> dict:
    """mmdet's names of its version 2, which version 3 kept."""
    shapes, net = Shapes(), 'query_head.transformer'
    shapes.resnet50()
    shapes = Shapes({name.replace('backbone.0.body', 'backbone'): shape for name, shape in shapes.items()})
    means = [name for name in shapes if 'running_mean' in name]
    shapes.update({name.replace('running_mean', 'num_batches_tracked'): () for name in means})
    given = [4 * RESNET * 2**stage for stage in range(4)][-(levels - 1) :]
    for level, into in enumerate(given):
        shapes[f'neck.convs.{level}.conv.weight'] = (C, into, 1, 1)
        shapes.norm(f'neck.convs.{level}.gn')
    shapes['neck.extra_convs.0.conv.weight'] = (C, given[-1], 3, 3)
    shapes.norm('neck.extra_convs.0.gn')

    shapes[f'{net}.level_embeds'] = (levels, C)
    for side, layers, norms in (('encoder', ENCODER, 2), ('decoder', DECODER, 3)):
        for layer in range(layers):
            name = f'{net}.{side}.layers.{layer}'
            if side == 'decoder':
                shapes.dense_attention(f'{name}.attentions.0.attn')
            shapes.deformable_attention(f'{name}.attentions.{norms - 2}', levels)
            shapes.linear(f'{name}.ffns.0.layers.0.0', FFN, C)
            shapes.linear(f'{name}.ffns.0.layers.1', C, FFN)
            for norm in range(norms):
                shapes.norm(f'{name}.norms.{norm}')
    shapes.linear(f'{net}.enc_output', C, C)
    shapes.norm(f'{net}.enc_output_norm')
    for index in range(DECODER + 1):
        shapes.linear(f'query_head.cls_branches.{index}', CLASSES, C)
        for linear, out in ((0, C), (2, C), (4, 4)):
            shapes.linear(f'query_head.reg_branches.{index}.{linear}', out, C)
    shapes.conv('query_head.downsample.0', C, C, 3)
    shapes.norm('query_head.downsample.1')

    for head in range(2):
        shapes.linear(f'{net}.aux_pos_trans.{head}', C if dino else 2 * C, 2 * C)
        shapes.norm(f'{net}.aux_pos_trans_norm.{head}', times=1 if dino else 2)
        if not dino:
            shapes.linear(f'{net}.pos_feats_trans.{head}', C, C)
            shapes.norm(f'{net}.pos_feats_norm.{head}')
    if dino:
        shapes[f'{net}.query_embed.weight'] = (QUERIES, C)
        shapes['query_head.label_embedding.weight'] = (CLASSES, C)
        shapes.norm(f'{net}.decoder.norm')
        shapes.linear(f'{net}.decoder.ref_point_head.0', C, 2 * C)
        shapes.linear(f'{net}.decoder.ref_point_head.2', C, C)
    else:
        shapes['query_head.query_embedding.weight'] = (QUERIES, C)
        shapes[f'{net}.head_pos_embed.weight'] = (2, 1)
        shapes.linear(f'{net}.pos_trans', 2 * C, 2 * C)
        shapes.norm(f'{net}.pos_trans_norm', times=2)

    shapes.conv('rpn_head.rpn_conv', C, C, 3)
    shapes.conv('rpn_head.rpn_cls', 9, C, 1)
    shapes.conv('rpn_head.rpn_reg', 9 * 4, C, 1)
    shapes.linear('roi_head.0.bbox_head.shared_fcs.0', FC, 7 * 7 * C)
    shapes.linear('roi_head.0.bbox_head.shared_fcs.1', FC, FC)
    shapes.linear('roi_head.0.bbox_head.fc_cls', CLASSES + 1, FC)
    shapes.linear('roi_head.0.bbox_head.fc_reg', CLASSES * 4, FC)
    for kind in ('cls', 'reg'):
        shapes[f'bbox_head.0.{kind}_convs.0.conv.weight'] = (C, C, 3, 3)
        shapes.norm(f'bbox_head.0.{kind}_convs.0.gn')
    for kind, out in (('cls', CLASSES), ('reg', 4), ('centerness', 1)):
        shapes.conv(f'bbox_head.0.atss_{kind}', out, C, 3)
    shapes.update({f'bbox_head.0.scales.{level}.scale': () for level in range(levels + 1)})
    return shapes


CASES = {'co_deformable_detr_r50': co_detr(4, dino=False), 'co_dino_r50': co_detr(5, dino=True)}
every = pytest.mark.parametrize('base', CASES)


def random(shapes: dict) -> dict:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@every
def test_every_tensor_finds_its_place(base):
    model, state = build(base), random(CASES[base])
    made = account(dict(state_dict=state), model).check()
    assert made.layout == 'co-detr' and not made.dropped and not made.initialised
    assert set(made.state) == {name for name in model.state_dict() if not name.startswith('data_preprocessor')}
    expanded = 0 if 'dino' in base else 2 * (C - 1)  # one number for all channels of a head's embedding
    assert made.num_elements == sum(tensor.numel() for tensor in state.values()) + expanded


PLACES = [
    ('encoder.layers.1.self_attn.value_proj.weight', 'encoder.layers.1.attentions.0.value_proj.weight'),
    ('encoder.layers.1.norm_ffn.weight', 'encoder.layers.1.norms.1.weight'),
    ('decoder.layers.2.self_attn.in_proj_weight', 'decoder.layers.2.attentions.0.attn.in_proj_weight'),
    ('decoder.layers.2.cross_attn.attn.output_proj.bias', 'decoder.layers.2.attentions.1.output_proj.bias'),
    ('decoder.layers.2.norm_self.weight', 'decoder.layers.2.norms.0.weight'),
    ('decoder.layers.2.norm_cross.weight', 'decoder.layers.2.norms.1.weight'),
    ('decoder.layers.2.ffn.3.bias', 'decoder.layers.2.ffns.0.layers.1.bias'),
    ('groups.-1.embeddings.1.box.weight', 'aux_pos_trans.1.weight'),
    ('head.class_branches.1.bias', 'query_head.cls_branches.1.bias'),
    ('head.box_branches.2.layers.2.bias', 'query_head.reg_branches.2.4.bias'),
    ('queries.box_branch.layers.1.weight', 'query_head.reg_branches.3.2.weight'),
    ('queries.class_branch.weight', 'query_head.cls_branches.3.weight'),
    ('groups.-1.heads.0.rpn_head.rpn_cls.bias', 'rpn_head.rpn_cls.bias'),
    ('groups.-1.heads.0.roi_head.bbox_head.fc_reg.weight', 'roi_head.0.bbox_head.fc_reg.weight'),
    ('groups.-1.heads.1.head.atss_centerness.bias', 'bbox_head.0.atss_centerness.bias'),
]


@every
def test_places(base):
    state, model = random(CASES[base]), build(base)
    made, last = convert(state, model), len(model.groups) - 1
    for ours, theirs in PLACES:
        theirs = theirs if theirs in state else f'query_head.transformer.{theirs}'
        assert made[ours.replace('-1', str(last))].equal(state[theirs]), ours
    if 'deformable' in base:
        embedding = state['query_head.transformer.head_pos_embed.weight']
        assert made['groups.0.embeddings.1.head'].equal(embedding[1:].expand(1, C))


@every
@pytest.mark.parametrize(
    'name',
    [
        'query_head.transformer.aux_pos_trans.1.weight',
        'rpn_head.rpn_reg.bias',
        'bbox_head.0.scales.3.scale',
        'query_head.reg_branches.3.4.weight',
    ],
)
def test_strictness(base, name):
    state = random(CASES[base])
    tensor = state.pop(name)
    with pytest.raises(WeightsDoNotFit, match=rf'1 missing\.\nmissing:\n  \S+ <- {name}\n'):
        convert(state, build(base))
    with pytest.raises(WeightsDoNotFit, match=rf'1 unexpected\.\nunexpected:\n  {name}.more\n'):
        convert({**state, name: tensor, f'{name}.more': tensor}, build(base))
    with pytest.raises(WeightsDoNotFit, match=r'1 (mis-shaped|refused)\.\n'):
        convert({**state, name: torch.zeros(3, 5)}, build(base))


@every
def test_without_what_only_trains(base):
    made = account(random(CASES[base]), build(base, whole=False)).check()
    assert 'the model has no collaborative heads' in made.dropped.values()


@pytest.mark.parametrize('other', CASES)
def test_the_other_variant_is_refused(other):
    with pytest.raises(WeightsDoNotFit, match='does not fit the config'):
        convert(random(CASES[next(name for name in CASES if name != other)]), build(other))


def h_detr(rows: int) -> dict:
    """Two-stage Deformable DETR, with one table of learned content; copies are equal."""
    state = random({**deformable_two_stage(), 'query_embed.weight': (rows, C)})
    return {
        name: state[name.removeprefix('transformer.decoder.')] if '_embed.' in name else tensor
        for name, tensor in state.items()
    }


def test_h_detr_has_one_table_for_both_groups():
    state = h_detr(QUERIES + 30)
    made = account(state, hybrid()).check()
    assert made.layout == 'deformable-detr'
    assert torch.cat([made.state['queries.content.weight'], made.state['groups.0.content.weight']]).equal(
        state['query_embed.weight']
    )
    assert all(reason.startswith('copy of ') for reason in made.dropped.values())


def test_h_detr_without_its_group_is_refused():
    with pytest.raises(WeightsDoNotFit, match='got 20 rows, the model has 50 in its matching queries and groups'):
        convert(h_detr(QUERIES), hybrid())
    with pytest.raises(WeightsDoNotFit, match=r'unexpected:\n  query_embed.weight'):
        convert(h_detr(QUERIES + 30), parity.build('h_detr_r50', 'small', queries=dict(mixed_selection=False)))
