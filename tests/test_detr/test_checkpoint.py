"""Official state dicts, written out from the papers' code bases, become our weights; anything amiss is named."""

import functools
import re
from argparse import Namespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from parity import build
from tiny import CONFIGS

from mmparts.analysis.fitting_config import fitting
from mmparts.detr.checkpoint import COCO_IDS
from mmparts.engine import WeightsDoNotFit
from mmparts.registry import MODELS, WEIGHT_LAYOUTS
from mmparts.weights.containers import unwrap
from mmparts.weights.convert import account, convert

C, FFN, QUERIES, HEADS, ENCODER, DECODER, RESNET = 64, 96, 20, 4, 2, 3, 8  # the sizes of parity.build('small')
build = functools.cache(build)  # conversions leave models as they are


class Shapes(dict):
    """Official name -> shape, built up by layer kinds."""

    def linear(self, name, out, into):
        self.update({f'{name}.weight': (out, into), f'{name}.bias': (out,)})

    def norm(self, name, times=1):
        self.update({f'{name}.weight': (times * C,), f'{name}.bias': (times * C,)})

    def conv(self, name, out, into, kernel):
        self.update({f'{name}.weight': (out, into, kernel, kernel), f'{name}.bias': (out,)})

    def dense_attention(self, name):
        self.update({f'{name}.in_proj_weight': (3 * C, C), f'{name}.in_proj_bias': (3 * C,)})
        self.linear(f'{name}.out_proj', C, C)

    def deformable_attention(self, name, levels):
        self.linear(f'{name}.sampling_offsets', HEADS * levels * 4 * 2, C)
        self.linear(f'{name}.attention_weights', HEADS * levels * 4, C)
        self.linear(f'{name}.value_proj', C, C)
        self.linear(f'{name}.output_proj', C, C)

    def feed_forward(self, name):
        self.linear(f'{name}.linear1', FFN, C)
        self.linear(f'{name}.linear2', C, FFN)

    def box_head(self, name):
        for layer, out in enumerate((C, C, 4)):
            self.linear(f'{name}.layers.{layer}', out, C)

    def resnet50(self):
        """torchvision's names, with FrozenBatchNorm2d: no counters."""

        def unit(conv, norm, out, into, kernel):
            self[f'backbone.0.body.{conv}.weight'] = (out, into, kernel, kernel)
            for part in ('weight', 'bias', 'running_mean', 'running_var'):
                self[f'backbone.0.body.{norm}.{part}'] = (out,)

        unit('conv1', 'bn1', RESNET, 3, 7)
        into = RESNET
        for stage, blocks in enumerate((3, 4, 6, 3)):
            width = RESNET * 2**stage
            for block in range(blocks):
                name = f'layer{stage + 1}.{block}'
                for number, (out, source, kernel) in enumerate(
                    [(width, into, 1), (width, width, 3), (4 * width, width, 1)], 1
                ):
                    unit(f'{name}.conv{number}', f'{name}.bn{number}', out, source, kernel)
                if block == 0:
                    unit(f'{name}.downsample.0', f'{name}.downsample.1', 4 * width, into, 1)
                into = 4 * width


def detr(pre_norm=False):
    shapes = Shapes()
    shapes.resnet50()
    shapes.conv('input_proj', C, 32 * RESNET, 1)
    shapes['query_embed.weight'] = (QUERIES, C)
    for layer in range(ENCODER):
        name = f'transformer.encoder.layers.{layer}'
        shapes.dense_attention(f'{name}.self_attn')
        shapes.feed_forward(name)
        for norm in ('norm1', 'norm2'):
            shapes.norm(f'{name}.{norm}')
    for layer in range(DECODER):
        name = f'transformer.decoder.layers.{layer}'
        shapes.dense_attention(f'{name}.self_attn')
        shapes.dense_attention(f'{name}.multihead_attn')
        shapes.feed_forward(name)
        for norm in ('norm1', 'norm2', 'norm3'):
            shapes.norm(f'{name}.{norm}')
    if pre_norm:
        shapes.norm('transformer.encoder.norm')
    shapes.norm('transformer.decoder.norm')
    shapes.linear('class_embed', 92, C)
    shapes.box_head('bbox_embed')
    return shapes


def up_detr():
    """In its pre-training: what turns patches into queries, and what tells them from the decoder's output."""
    shapes = detr(pre_norm=True)
    shapes.linear('patch2query', C, 32 * RESNET)
    mlp(shapes, 'feature_align', C, C, 32 * RESNET)
    return shapes


def detr_masks():
    shapes = Shapes({f'detr.{name}': shape for name, shape in detr().items()})
    for part in ('q_linear', 'k_linear'):
        shapes.linear(f'bbox_attention.{part}', C, C)
    widths = [C + 8, C + 8, 128, 64, 32, 16]
    for layer, (into, out) in enumerate(zip(widths, widths[1:]), 1):
        shapes.conv(f'mask_head.lay{layer}', out, into, 3)
        shapes.update({f'mask_head.gn{layer}.weight': (out,), f'mask_head.gn{layer}.bias': (out,)})
    shapes.conv('mask_head.out_lay', 1, widths[-1], 3)
    for number, times in enumerate((16, 8, 4), 1):
        shapes.conv(f'mask_head.adapter{number}', widths[number + 1], times * RESNET, 1)
    return shapes


def detreg(shapes):
    """In its pre-training, whatever the detector: the output of the backbone's second stage is told."""
    mlp(shapes, 'feature_embed', C, C, 8 * RESNET)
    return shapes


def deformable_trunk(levels):
    shapes = Shapes()
    shapes.resnet50()
    for level, times in enumerate((8, 16, 32, 32) if levels > 1 else (32,)):
        shapes.conv(f'input_proj.{level}.0', C, times * RESNET, 3 if level == 3 else 1)
        shapes.norm(f'input_proj.{level}.1')
    shapes['transformer.level_embed'] = (levels, C)
    for layer in range(ENCODER):
        name = f'transformer.encoder.layers.{layer}'
        shapes.deformable_attention(f'{name}.self_attn', levels)
        shapes.feed_forward(name)
        for norm in ('norm1', 'norm2'):
            shapes.norm(f'{name}.{norm}')
    for layer in range(DECODER):
        name = f'transformer.decoder.layers.{layer}'
        shapes.deformable_attention(f'{name}.cross_attn', levels)
        shapes.dense_attention(f'{name}.self_attn')
        shapes.feed_forward(name)
        for norm in ('norm1', 'norm2', 'norm3'):
            shapes.norm(f'{name}.{norm}')
    return shapes


def heads(shapes, count, class_homes, box_homes):
    for index in range(count):
        for home in class_homes:
            shapes.linear(f'{home}class_embed.{index}', 91, C)
        for home in box_homes:
            shapes.box_head(f'{home}bbox_embed.{index}')


def one_stage(shapes):
    shapes['query_embed.weight'] = (QUERIES, 2 * C)
    shapes.linear('transformer.reference_points', 2, C)


def deformable(levels=4):
    shapes = deformable_trunk(levels)
    one_stage(shapes)
    heads(shapes, DECODER, [''], [''])
    return shapes


def deformable_refine():
    shapes = deformable_trunk(4)
    one_stage(shapes)
    heads(shapes, DECODER, [''], ['', 'transformer.decoder.'])
    return shapes


def deformable_two_stage():
    shapes = deformable_trunk(4)
    shapes.linear('transformer.enc_output', C, C)
    shapes.norm('transformer.enc_output_norm')
    shapes.linear('transformer.pos_trans', 2 * C, 2 * C)
    shapes.norm('transformer.pos_trans_norm', times=2)
    heads(shapes, DECODER + 1, ['', 'transformer.decoder.'], ['', 'transformer.decoder.'])
    return shapes


def dino():
    shapes = deformable_trunk(4)
    shapes['transformer.tgt_embed.weight'] = (QUERIES, C)
    shapes.linear('transformer.enc_output', C, C)
    shapes.norm('transformer.enc_output_norm')
    shapes.linear('transformer.enc_out_class_embed', 91, C)
    shapes.box_head('transformer.enc_out_bbox_embed')
    shapes.linear('transformer.decoder.ref_point_head.layers.0', C, 2 * C)
    shapes.linear('transformer.decoder.ref_point_head.layers.1', C, C)
    shapes.norm('transformer.decoder.norm')
    shapes['label_enc.weight'] = (92, C)
    heads(shapes, DECODER, ['', 'transformer.decoder.'], ['', 'transformer.decoder.'])
    return shapes


def mlp(shapes, name, *widths):
    for layer, (into, out) in enumerate(zip(widths, widths[1:])):
        shapes.linear(f'{name}.layers.{layer}', out, into)


def dab(labels=False):
    shapes = Shapes()
    shapes.resnet50()
    shapes.conv('input_proj', C, 32 * RESNET, 1)
    shapes['refpoint_embed.weight'] = (QUERIES, 4)
    mlp(shapes, 'transformer.encoder.query_scale', C, C, C)
    mlp(shapes, 'transformer.decoder.query_scale', C, C, C)
    mlp(shapes, 'transformer.decoder.ref_point_head', 2 * C, C, C)
    mlp(shapes, 'transformer.decoder.ref_anchor_head', C, C, 2)
    for layer in range(ENCODER):
        name = f'transformer.encoder.layers.{layer}'
        shapes.dense_attention(f'{name}.self_attn')
        shapes.feed_forward(name)
        shapes[f'{name}.activation.weight'] = (1,)
        for norm in ('norm1', 'norm2'):
            shapes.norm(f'{name}.{norm}')
    for layer in range(DECODER):
        name = f'transformer.decoder.layers.{layer}'
        projections = [
            'sa_qcontent_proj',
            'sa_qpos_proj',
            'sa_kcontent_proj',
            'sa_kpos_proj',
            'sa_v_proj',
            'self_attn.out_proj',
            'ca_qcontent_proj',
            'ca_kcontent_proj',
            'ca_kpos_proj',
            'ca_v_proj',
            'ca_qpos_sine_proj',
            'cross_attn.out_proj',
        ]
        for projection in projections + ['ca_qpos_proj'] * (layer == 0):
            shapes.linear(f'{name}.{projection}', C, C)
        shapes.feed_forward(name)
        shapes[f'{name}.activation.weight'] = (1,)
        for norm in ('norm1', 'norm2', 'norm3'):
            shapes.norm(f'{name}.{norm}')
    shapes.norm('transformer.decoder.norm')
    shapes.linear('class_embed', 91, C)
    shapes.box_head('bbox_embed')
    shapes.box_head('transformer.decoder.bbox_embed')
    if labels:
        shapes['label_enc.weight'] = (92, C - 1)
    return shapes


def dab_deformable_encoder():
    """DN-DETR's: deformable attention in the encoder, in the decoder that of DAB-DETR to each level on its own."""
    shapes, trunk = dab(labels=True), deformable_trunk(levels=4)
    for name in list(shapes):
        if name.startswith(('transformer.encoder.', 'input_proj.')) or 'activation' in name:
            del shapes[name]
        elif 'decoder.layers' in name and 'cross_attn.out_proj' in name:
            shapes[name.replace('cross_attn.out_proj', 'ca_out_v_proj')] = shapes.pop(name)
    shapes.update({name: shape for name, shape in trunk.items() if not name.startswith('transformer.decoder.')})
    for layer in range(DECODER):
        shapes.linear(f'transformer.decoder.layers.{layer}.lvl_attn', 4, C)
    return shapes


def dab_deformable(labels=False):
    shapes = deformable_trunk(4)
    shapes['refpoint_embed.weight'] = (QUERIES, 4)
    shapes['tgt_embed.weight'] = (QUERIES, C - labels)
    mlp(shapes, 'transformer.decoder.query_scale', C, C, C)
    mlp(shapes, 'transformer.decoder.ref_point_head', 2 * C, C, C)
    heads(shapes, DECODER, [''], ['', 'transformer.decoder.'])
    if labels:
        shapes['label_enc.weight'] = (92, C - 1)
    return shapes


CASES = {  # base config, official shapes, layout, whether all decoder layers share their heads
    'detr': ('detr_r50', detr, 'detr', False),
    'detr-masks': ('detr_masks_r50', detr_masks, 'detr-masks', False),
    'pre-norm': ('up_detr_r50', lambda: detr(pre_norm=True), 'detr', False),
    'up-detr': ('up_detr_pretrain_r50', up_detr, 'detr', False),
    'detreg-detr': ('detreg_pretrain_detr_r50', lambda: detreg(detr(pre_norm=True)), 'detr', False),
    'detreg': ('detreg_pretrain_deformable_r50', lambda: detreg(deformable()), 'deformable-detr', True),
    'single-scale': ('deformable_detr_singlescale_r50', lambda: deformable(levels=1), 'deformable-detr', True),
    'base': ('deformable_detr_r50', deformable, 'deformable-detr', True),
    'refine': ('deformable_detr_refine_r50', deformable_refine, 'deformable-detr', False),
    'two-stage': ('deformable_detr_refine_twostage_r50', deformable_two_stage, 'deformable-detr', False),
    'dino': ('dino_r50', dino, 'dino', True),
    'dab': ('dab_detr_r50', dab, 'dab-detr', True),
    'dab-deformable': ('dab_deformable_detr_r50', dab_deformable, 'dab-deformable-detr', False),
    'dn': ('dn_detr_r50', lambda: dab(labels=True), 'dab-detr', True),
    'dn-deformable-encoder': ('dn_detr_deformable_encoder_r50', dab_deformable_encoder, 'dab-detr', True),
    'dn-deformable': ('dn_deformable_detr_r50', lambda: dab_deformable(labels=True), 'dab-deformable-detr', False),
}


def official(case, seed=0):
    """Random tensors under official names; copies are equal."""
    generator = torch.Generator().manual_seed(seed)
    state = {name: torch.randn(shape, generator=generator) for name, shape in CASES[case][1]().items()}
    for name in state:
        head, home, rest = name.partition('_embed.')
        index, _, rest = rest.partition('.')
        if head.removeprefix('transformer.decoder.') in ('class', 'bbox') and home and index.isdigit():
            first = 0 if CASES[case][3] else index
            state[name] = state[f'{head.removeprefix("transformer.decoder.")}_embed.{first}.{rest}'].clone()
        elif name.startswith('transformer.decoder.bbox_embed.'):
            state[name] = state[name.removeprefix('transformer.decoder.')].clone()
    return state


@pytest.fixture(params=CASES)
def case(request):
    return request.param


def test_every_tensor_finds_its_place(case):
    base, _, layout, _ = CASES[case]
    model, state = build(base, 'small'), official(case)
    made = account(dict(model=state, epoch=49), model).check()
    assert made.layout == layout

    missing, unexpected = model.load_state_dict(made.state, strict=False)
    assert unexpected == [] and set(missing) <= set(made.initialised)
    assert all(name.endswith('num_batches_tracked') for name in made.initialised)
    # By count of numbers nothing is left over but the copies.
    copies = sum(state[name].numel() for name in made.dropped)
    assert all(reason.startswith('copy of ') for reason in made.dropped.values())
    assert made.num_elements == sum(tensor.numel() for tensor in state.values()) - copies


ATTENTION = [
    ('backbone.layer3.5.bn2.running_var', 'backbone.0.body.layer3.5.bn2.running_var'),
    ('encoder.layers.1.self_attn.{attn}', 'transformer.encoder.layers.1.self_attn.{attn}'),
    ('encoder.layers.1.norm_attn.weight', 'transformer.encoder.layers.1.norm1.weight'),
    ('encoder.layers.1.norm_ffn.weight', 'transformer.encoder.layers.1.norm2.weight'),
    ('encoder.layers.1.ffn.0.bias', 'transformer.encoder.layers.1.linear1.bias'),
    ('decoder.layers.2.ffn.3.weight', 'transformer.decoder.layers.2.linear2.weight'),
    ('decoder.layers.2.norm_ffn.bias', 'transformer.decoder.layers.2.norm3.bias'),
    ('decoder.layers.2.self_attn.in_proj_weight', 'transformer.decoder.layers.2.self_attn.in_proj_weight'),
]
DETR = [(ours.format(attn='in_proj_bias'), theirs.format(attn='in_proj_bias')) for ours, theirs in ATTENTION] + [
    ('neck.convs.0.conv.weight', 'input_proj.weight'),
    ('queries.pos.weight', 'query_embed.weight'),
    ('decoder.layers.2.cross_attn.attn.in_proj_weight', 'transformer.decoder.layers.2.multihead_attn.in_proj_weight'),
    ('decoder.layers.2.norm_self.weight', 'transformer.decoder.layers.2.norm1.weight'),
    ('decoder.layers.2.norm_cross.weight', 'transformer.decoder.layers.2.norm2.weight'),
    ('decoder.norm.weight', 'transformer.decoder.norm.weight'),
    ('head.class_branches.0.weight', 'class_embed.weight'),
    ('head.box_branches.0.layers.2.bias', 'bbox_embed.layers.2.bias'),
]
DEFORMABLE = [
    (ours.format(attn='value_proj.weight'), theirs.format(attn='value_proj.weight')) for ours, theirs in ATTENTION
] + [
    ('neck.convs.1.gn.weight', 'input_proj.1.1.weight'),
    ('neck.extra_convs.0.conv.weight', 'input_proj.3.0.weight'),
    ('encoder.level_embed', 'transformer.level_embed'),
    ('decoder.layers.2.cross_attn.attn.value_proj.bias', 'transformer.decoder.layers.2.cross_attn.value_proj.bias'),
    ('decoder.layers.2.norm_self.weight', 'transformer.decoder.layers.2.norm2.weight'),  # so numbered, so used
    ('decoder.layers.2.norm_cross.weight', 'transformer.decoder.layers.2.norm1.weight'),
]
DAB = [
    ('decoder.layers.2.self_attn.query_content.weight', 'transformer.decoder.layers.2.sa_qcontent_proj.weight'),
    ('decoder.layers.1.self_attn.key_pos.bias', 'transformer.decoder.layers.1.sa_kpos_proj.bias'),
    ('decoder.layers.1.self_attn.out_proj.weight', 'transformer.decoder.layers.1.self_attn.out_proj.weight'),
    ('decoder.layers.0.cross_attn.query_pos.weight', 'transformer.decoder.layers.0.ca_qpos_proj.weight'),
    ('decoder.layers.2.cross_attn.query_spatial.weight', 'transformer.decoder.layers.2.ca_qpos_sine_proj.weight'),
    ('decoder.layers.2.cross_attn.value.weight', 'transformer.decoder.layers.2.ca_v_proj.weight'),
    ('decoder.layers.2.cross_attn.out_proj.bias', 'transformer.decoder.layers.2.cross_attn.out_proj.bias'),
    ('decoder.layers.2.norm_self.weight', 'transformer.decoder.layers.2.norm1.weight'),
    ('decoder.layers.2.norm_cross.weight', 'transformer.decoder.layers.2.norm2.weight'),
    ('decoder.layers.2.ffn.1.weight', 'transformer.decoder.layers.2.activation.weight'),
    ('encoder.layers.1.ffn.1.weight', 'transformer.encoder.layers.1.activation.weight'),
    ('encoder.layers.1.self_attn.in_proj_weight', 'transformer.encoder.layers.1.self_attn.in_proj_weight'),
    ('encoder.position_scale.layers.1.weight', 'transformer.encoder.query_scale.layers.1.weight'),
    ('decoder.position.net.layers.0.weight', 'transformer.decoder.ref_point_head.layers.0.weight'),
    ('decoder.position.scale.layers.0.bias', 'transformer.decoder.query_scale.layers.0.bias'),
    ('decoder.position.size.layers.1.bias', 'transformer.decoder.ref_anchor_head.layers.1.bias'),
    ('head.box_branches.0.layers.2.bias', 'transformer.decoder.bbox_embed.layers.2.bias'),
]
PLACES = {
    'dab': DAB,
    'dn': DAB,
    'dn-deformable-encoder': [place for place in DAB if not re.search('cross|ffn|encoder', place[0])]
    + [
        ('encoder.layers.1.self_attn.value_proj.weight', 'transformer.encoder.layers.1.self_attn.value_proj.weight'),
        ('encoder.level_embed', 'transformer.level_embed'),
        ('neck.extra_convs.0.gn.bias', 'input_proj.3.1.bias'),
        ('decoder.layers.2.norm_cross.bias', 'transformer.decoder.layers.2.norm2.bias'),
        ('decoder.layers.2.gate.weight', 'transformer.decoder.layers.2.lvl_attn.weight'),
        ('decoder.layers.1.cross_attn.base.value.bias', 'transformer.decoder.layers.1.ca_v_proj.bias'),
        ('decoder.layers.1.cross_attn.base.out_proj.bias', 'transformer.decoder.layers.1.ca_out_v_proj.bias'),
    ],
    'detr': DETR,
    'detr-masks': [(ours.replace('neck.convs.0.conv', 'neck.level'), f'detr.{theirs}') for ours, theirs in DETR]
    + [
        ('neck.skips.0.weight', 'mask_head.adapter3.weight'),
        ('neck.skips.2.bias', 'mask_head.adapter1.bias'),
        ('head.mask_branch.attention.query.weight', 'bbox_attention.q_linear.weight'),
        ('head.mask_branch.mask_decoder.blocks.0.0.bias', 'mask_head.lay1.bias'),
        ('head.mask_branch.mask_decoder.blocks.4.1.weight', 'mask_head.gn5.weight'),
        ('head.mask_branch.mask_decoder.output.weight', 'mask_head.out_lay.weight'),
    ],
    'pre-norm': DETR + [('encoder.norm.weight', 'transformer.encoder.norm.weight')],
    'up-detr': DETR
    + [
        ('prompt.project.bias', 'patch2query.bias'),
        ('head.embedding_branch.layers.1.weight', 'feature_align.layers.1.weight'),
    ],
    'detreg-detr': DETR + [('head.embedding_branch.layers.0.weight', 'feature_embed.layers.0.weight')],
    'detreg': DEFORMABLE + [('head.embedding_branch.layers.1.bias', 'feature_embed.layers.1.bias')],
    'base': DEFORMABLE + [('queries.point.weight', 'transformer.reference_points.weight')],
    'refine': DEFORMABLE
    + [
        ('head.class_branches.2.bias', 'class_embed.2.bias'),
        ('head.box_branches.1.layers.0.bias', 'transformer.decoder.bbox_embed.1.layers.0.bias'),
    ],
    'two-stage': DEFORMABLE
    + [
        ('queries.class_branch.weight', 'class_embed.3.weight'),
        ('queries.box_branch.layers.1.weight', 'bbox_embed.3.layers.1.weight'),
        ('head.box_branches.2.layers.1.weight', 'bbox_embed.2.layers.1.weight'),
        ('queries.output.weight', 'transformer.enc_output.weight'),
        ('queries.embed_norm.bias', 'transformer.pos_trans_norm.bias'),
    ],
    'dino': DEFORMABLE
    + [
        ('queries.content.weight', 'transformer.tgt_embed.weight'),
        ('queries.class_branch.bias', 'transformer.enc_out_class_embed.bias'),
        ('queries.box_branch.layers.2.weight', 'transformer.enc_out_bbox_embed.layers.2.weight'),
        ('decoder.position.net.2.weight', 'transformer.decoder.ref_point_head.layers.1.weight'),
        ('groups.0.label_embed.weight', 'label_enc.weight'),
        ('head.class_branches.0.weight', 'transformer.decoder.class_embed.2.weight'),
    ],
}


PLACES['dab-deformable'] = DEFORMABLE + [
    ('queries.content.weight', 'tgt_embed.weight'),
    ('decoder.position.net.2.bias', 'transformer.decoder.ref_point_head.layers.1.bias'),
    ('decoder.position.scale.layers.1.weight', 'transformer.decoder.query_scale.layers.1.weight'),
    ('head.class_branches.2.bias', 'class_embed.2.bias'),
    ('head.box_branches.1.layers.0.bias', 'transformer.decoder.bbox_embed.1.layers.0.bias'),
]
PLACES['dn-deformable'] = PLACES['dab-deformable'] + [('groups.0.label_embed.weight', 'label_enc.weight')]


@pytest.mark.parametrize('case', PLACES)
def test_places(case):
    state, made = official(case), convert(official(case), build(CASES[case][0], 'small'))
    assert [(ours, theirs) for ours, theirs in PLACES[case] if not torch.equal(made[ours], state[theirs])] == []


def test_query_embeddings_hold_position_then_content():
    state, made = official('base'), convert(official('base'), build('deformable_detr_r50', 'small'))
    assert torch.equal(
        torch.cat([made['queries.pos.weight'], made['queries.content.weight']], 1), state['query_embed.weight']
    )


@pytest.mark.parametrize('case', ['dab', 'dab-deformable', 'dn', 'dn-deformable'])
def test_anchors_are_centres_and_sizes(case):
    state, made = official(case), convert(official(case), build(CASES[case][0], 'small'))
    assert torch.equal(torch.cat([made['queries.centre'], made['queries.size']], 1), state['refpoint_embed.weight'])
    fixed = convert(state, build.__wrapped__(CASES[case][0], 'small', queries=dict(centres='fixed')))
    assert fixed['queries.centre'].equal(made['queries.centre'])


@pytest.mark.parametrize(
    ('base', 'key'),
    [('dab_detr_r50', 'transformer.patterns.weight'), ('dab_deformable_detr_r50', 'patterns_embed.weight')],
)
def test_patterns(base, key):
    case = next(case for case in CASES if CASES[case][0] == base)
    patterns = {key: torch.randn(3, C)}
    made = convert(official(case) | patterns, build.__wrapped__(base, 'small', queries=dict(num_patterns=3)))
    assert made['queries.patterns.weight'].equal(patterns[key])
    with pytest.raises(WeightsDoNotFit, match=rf'1 unexpected\.\nunexpected:\n  {key}'):
        convert(official(case) | patterns, build(base, 'small'))


def test_the_last_label_is_the_content_of_the_matching_queries():
    state = official('dn')
    made = convert(state, build('dn_detr_r50', 'small'))
    assert torch.equal(
        torch.cat([made['groups.0.label_embed.weight'], made['queries.content.weight']]), state['label_enc.weight']
    )
    made = convert(state, build('dn_detr_r50', 'small', num_classes=80), classes='coco')
    assert torch.equal(made['groups.0.label_embed.weight'], state['label_enc.weight'][COCO_IDS])
    assert torch.equal(made['queries.content.weight'], state['label_enc.weight'][91:])


@pytest.mark.parametrize(
    ('case', 'name'),
    [
        ('detr', 'transformer.decoder.layers.1.norm3.bias'),
        ('detr', 'backbone.0.body.layer4.2.bn3.running_mean'),
        ('detr-masks', 'mask_head.adapter2.weight'),
        ('detr-masks', 'detr.query_embed.weight'),
        ('up-detr', 'patch2query.weight'),
        ('up-detr', 'transformer.encoder.norm.bias'),
        ('detreg', 'feature_embed.layers.1.weight'),
        ('detreg-detr', 'feature_embed.layers.0.bias'),
        ('single-scale', 'input_proj.0.1.weight'),
        ('base', 'class_embed.1.weight'),
        ('refine', 'transformer.decoder.bbox_embed.2.layers.0.bias'),
        ('two-stage', 'class_embed.3.bias'),
        ('two-stage', 'transformer.pos_trans_norm.weight'),
        ('dino', 'label_enc.weight'),
        ('dab', 'transformer.decoder.layers.0.ca_qpos_proj.bias'),
        ('dab', 'transformer.decoder.bbox_embed.layers.1.bias'),
        ('dn-deformable', 'tgt_embed.weight'),
        ('dn-deformable', 'label_enc.weight'),
        ('dn-deformable-encoder', 'transformer.decoder.layers.1.lvl_attn.bias'),
        ('dino', 'transformer.decoder.class_embed.0.bias'),
    ],
)
class TestStrictness:
    def test_missing(self, case, name):
        state = official(case)
        del state[name]
        with pytest.raises(WeightsDoNotFit, match=rf'1 missing\.\nmissing:\n  \S+ <- {name}\n'):
            convert(state, build(CASES[case][0], 'small'))

    def test_extra(self, case, name):
        name = name.rpartition('.')[0] + '.extra'
        with pytest.raises(WeightsDoNotFit, match=rf'1 unexpected\.\nunexpected:\n  {name}\n'):
            convert(official(case) | {name: torch.zeros(1)}, build(CASES[case][0], 'small'))

    def test_mis_shaped(self, case, name):
        state = official(case)
        state[name] = torch.cat([state[name], state[name]])
        with pytest.raises(WeightsDoNotFit, match=rf'1 (mis-shaped|refused)\.\n\S+:\n  .*{name}'):
            convert(state, build(CASES[case][0], 'small'))


@pytest.mark.parametrize(
    ('weights', 'config'),
    [
        ('base', 'deformable_detr_refine_r50'),
        ('refine', 'deformable_detr_r50'),
        ('single-scale', 'deformable_detr_r50'),
        ('detr', 'up_detr_r50'),
        ('pre-norm', 'detr_r50'),
        ('pre-norm', 'up_detr_pretrain_r50'),
        ('up-detr', 'detreg_pretrain_detr_r50'),
        ('base', 'detreg_pretrain_deformable_r50'),
        ('detreg-detr', 'detr_r50'),
        ('detreg-detr', 'up_detr_r50'),  # the same tensors, positions half a cell apart
        ('up-detr', 'detreg_detr_r50'),
        ('dn', 'dn_detr_deformable_encoder_r50'),
        ('dn-deformable-encoder', 'dn_detr_r50'),
        ('dab', 'dn_detr_r50'),
        ('dab-deformable', 'dn_deformable_detr_r50'),
        ('dab', 'dab_deformable_detr_r50'),
        ('two-stage', 'deformable_detr_refine_r50'),
        ('dino', 'deformable_detr_refine_twostage_r50'),
        ('detr', 'dino_r50'),
    ],
)
def test_a_file_of_another_variant_is_refused(weights, config):
    with pytest.raises(WeightsDoNotFit, match='does not fit the config'):
        convert(official(weights), build(config, 'small'))


@pytest.mark.parametrize(
    ('case', 'base', 'extra'),
    [
        ('up-detr', 'up_detr_r50', {'patch2query', 'feature_align'}),
        ('detreg-detr', 'detreg_detr_r50', {'feature_embed'}),
        ('detreg', 'deformable_detr_r50', {'feature_embed'}),
    ],
)
def test_fine_tuning_leaves_what_only_pre_training_needs(case, base, extra):
    """With --skip for the classes, which are others: a starting point for our own training."""
    made = account(official(case), build(base, 'small', num_classes=3), skip=[r'head\.class_branches\..*']).check()
    assert extra == {name.split('.')[0] for name, reason in made.dropped.items() if 'pre-training' in reason}
    assert set(made.initialised.values()) == {'skipped', 'the official frozen norms do not count batches'}


def test_copies_that_differ_are_refused():
    state = official('dino')
    state['transformer.decoder.class_embed.1.weight'][0, 0] += 1
    with pytest.raises(WeightsDoNotFit, match='class_embed.0.weight: should equal .*decoder.class_embed.1.weight, but'):
        convert(state, build('dino_r50', 'small'))


class TestClasses:
    def test_coco_has_eighty(self):
        assert len(COCO_IDS) == 80 and COCO_IDS[0] == 1 and COCO_IDS[-1] == 90 and 12 not in COCO_IDS

    def test_eighty_classes_are_refused_with_the_way_out(self, case):
        with pytest.raises(WeightsDoNotFit, match=r'got 9[12] rows, .* category ids .*, wanted 8[01]: --classes coco'):
            convert(official(case), build(CASES[case][0], 'small', num_classes=80))

    def test_rows_are_picked_by_category(self, case):
        model, state = build(CASES[case][0], 'small', num_classes=80), official(case)
        made = convert(state, model, classes='coco')
        rows = made['head.class_branches.0.weight']
        theirs = next(state[name] for name in state if re.fullmatch(r'(detr\.)?class_embed\.(0\.)?weight', name))
        assert torch.equal(rows[:80], theirs[COCO_IDS])
        assert torch.equal(rows[80:], theirs[91:])  # "no object" of a softmax head
        assert not model.load_state_dict(made, strict=False).unexpected_keys

    def test_a_class_agnostic_branch_keeps_its_first_row(self):
        """It is the objectness of two-stage Deformable DETR, whatever category 0 is."""
        state = official('two-stage')
        made = convert(state, build('deformable_detr_refine_twostage_r50', 'small', num_classes=80), classes='coco')
        assert torch.equal(made['queries.class_branch.weight'][0], state['class_embed.3.weight'][0])

    def test_label_embeddings_follow(self):
        state = official('dino')
        made = convert(state, build('dino_r50', 'small', num_classes=80), classes='coco')
        assert torch.equal(made['groups.0.label_embed.weight'], state['label_enc.weight'][COCO_IDS + [91]])

    def test_other_classes_start_afresh(self):
        model = build('deformable_detr_r50', 'small', num_classes=3)
        made = account(official('base'), model, skip=[r'head\.class_branches\..*']).check()
        assert set(made.initialised) > {'head.class_branches.0.weight', 'head.class_branches.0.bias'}
        assert made.dropped['class_embed.2.weight'] == 'skipped'


def test_dino_on_swin():
    """The official backbone has our names; it comes with an index that we compute."""
    swin = dict(
        type='mmparts.Swin',
        arch=dict(embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8)),
        window_size=3,
        out_indices=(1, 2, 3),
        _delete_=True,
    )
    cfg = Config.fromfile(CONFIGS / '_base_' / 'models' / 'dino_r50.py')
    cfg.merge_from_dict(dict(model=dict(backbone=swin, encoder=dict(num_layers=1), decoder=dict(num_layers=1))))
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    state = {f'backbone.0.{name}': tensor for name, tensor in model.backbone.state_dict().items()}
    state['backbone.0.layers.0.blocks.0.attn.relative_position_index'] = torch.zeros(9, 9)
    made = account(state, model, 'dino')
    assert not any('backbone' in line for lines in made.problems.values() for line in lines)
    assert made.dropped == {'backbone.0.layers.0.blocks.0.attn.relative_position_index': 'computed'}


WIDE = dict(C=256, HEADS=8, ENCODER=6, DECODER=6, RESNET=64)
PUBLISHED = {  # parameters, all but the affine maps of the frozen norms; feed-forward channels, queries
    'detr': (41_524_768, 2048, 100),
    'detr-masks': (42_858_425, 2048, 100),
    'pre-norm': (41_525_280, 2048, 100),
    'single-scale': (34_066_593, 1024, 300),
    'up-detr': (42_619_079 + 89 * 257, 2048, 100),  # published with 3 class rows of 257 parameters, not 92
    'detreg-detr': (41_722_656, 2048, 100),
    'detreg': (40_267_041, 1024, 300),
    'base': (40_069_665, 1024, 300),
    'refine': (40_849_660, 1024, 300),
    'two-stage': (41_181_529, 1024, 300),
    'dino': (46_893_182, 2048, 900),
    'dab': (43_671_517, 2048, 300),
    'dab-deformable': (47_405_994, 2048, 300),
    'dn': (43_694_977, 2048, 300),
    'dn-deformable': (47_429_154, 2048, 300),
    'dn-deformable-encoder': (48_488_589 - 3 * 256, 2048, 300),
}  # published with three patterns


def test_at_full_size_the_layout_is_the_published_one(case, monkeypatch):
    """Its shapes are those of the config's model, and add up to the published number of parameters."""
    base, shapes, *_ = CASES[case]
    parameters, ffn, queries = PUBLISHED[case]
    for name, size in dict(WIDE, FFN=ffn, QUERIES=queries).items():
        monkeypatch.setitem(globals(), name, size)
    cfg = Config.fromfile(CONFIGS / '_base_' / 'models' / f'{base}.py')
    cfg.model.num_classes = 91
    with DefaultScope.overwrite_default_scope('mmdet'), torch.device('meta'):
        model = MODELS.build(cfg.model)

    made = account({name: torch.zeros(()).expand(shape) for name, shape in shapes().items()}, model).check()
    norms = [name for name in made.state if '.bn' in name or 'downsample.1.' in name]
    assert made.num_elements - sum(made.state[name].numel() for name in norms) == parameters


@pytest.mark.parametrize(
    ('case', 'sentence'),
    [
        (
            'two-stage',
            'configs/deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco.py (with --classes coco) fits',
        ),
        ('detreg-detr', 'and configs/detreg/detreg-pretrain-detr_r50_8xb24-60e_imagenet.py fit it.'),
    ],
)
def test_the_shipped_config_that_fits_is_found(case, sentence, monkeypatch):
    _, ffn, queries = PUBLISHED[case]
    for name, size in dict(WIDE, FFN=ffn, QUERIES=queries).items():
        monkeypatch.setitem(globals(), name, size)
    state = {name: torch.zeros(()).expand(shape) for name, shape in CASES[case][1]().items()}
    papers = {'deformable-detr': ('deformable_detr',), 'detr': ('detreg',)}
    monkeypatch.setattr(WEIGHT_LAYOUTS.get(CASES[case][2]), 'papers', papers[CASES[case][2]])
    assert sentence in fitting(unwrap(dict(model=state, args=dict(dilation=False))))
    state['extra'] = torch.zeros(1)
    monkeypatch.setattr(WEIGHT_LAYOUTS.get(CASES[case][2]), 'papers', ('detreg',))
    assert fitting(unwrap(state)) == 'None of configs/{detreg} fits it as a whole.'


class TestOptions:
    """What the options kept in official files tell is held against the config."""

    @pytest.mark.parametrize(
        ('case', 'args', 'word'),
        [
            ('detr', dict(dilation=True), 'dilation: True in the file, False in the config'),
            ('detr', dict(nheads=8), 'nheads: 8 in the file, 4 in the config'),
            ('detr', dict(position_embedding='learned'), "position_embedding: 'learned' in the file, 'sine'"),
            ('detr', dict(pre_norm=True), 'pre_norm: True in the file, False'),
            ('base', dict(two_stage=True), 'two_stage: True in the file, False'),
            ('refine', dict(with_box_refine=False), 'with_box_refine: False in the file, True'),
            ('base', dict(num_feature_levels=3), 'num_feature_levels: 3 in the file, 4'),
            ('base', dict(enc_n_points=8), 'enc_n_points: 8 in the file, 4'),
            ('base', dict(dec_n_points=2), 'dec_n_points: 2 in the file, 4'),
            ('dino', dict(pe_temperatureH=10000), 'pe_temperatureH: 10000 in the file, 20'),
            ('dab', dict(pe_temperatureW=10000), 'pe_temperatureW: 10000 in the file, 20'),
        ],
    )
    def test_another_arithmetic_is_refused(self, case, args, word):
        model, state = build(CASES[case][0], 'small'), official(case)
        with pytest.raises(WeightsDoNotFit, match=f'1 other options.\nother options:\n  {word}.*--other'):
            convert(dict(model=state, args=args), model)
        assert convert(dict(model=state, args=args), model, other=list(args)).keys() == convert(state, model).keys()

    def test_the_same_arithmetic_passes(self):
        for case, extra in dict(detr=dict(pre_norm=False), dino=dict(pe_temperatureH=20), refine={}).items():
            args = Namespace(dilation=False, nheads=4, position_embedding='sine', num_queries=7, lr=1.0, **extra)
            made = account(dict(model=official(case), args=args), build(CASES[case][0], 'small')).check()
            assert made.differences == {} and made.said == []

    def test_an_option_that_does_not_differ_needs_no_leave(self):
        with pytest.raises(WeightsDoNotFit, match='options that do not differ:\n  dilatoin\n'):
            convert(official('detr'), build('detr_r50', 'small'), other=['dilatoin'])

    def test_names_of_old_are_known(self):
        convert(dict(model=official('detr'), args=dict(position_embedding='v2')), build('detr_r50', 'small'))

    def test_what_a_file_does_not_tell_is_said(self):
        made = account(official('detr'), build('detr_r50', 'small'))
        assert made.said == ['the file does not tell dilation, nheads: see to it that the config is the right one']

    @pytest.mark.parametrize('base', ['detr_r50', 'up_detr_r50'])
    def test_detreg_is_known_by_its_options(self, base):
        """A fine-tuned file has no tensors of its own: only the code that wrote it shifts the positions."""
        state = official('pre-norm' if base == 'up_detr_r50' else 'detr')
        with pytest.raises(WeightsDoNotFit, match='half_cell_shift: True in the file, False in the config'):
            convert(dict(model=state, args=dict(obj_embedding_head='intermediate')), build(base, 'small'))

    def test_detreg_fine_tuned_has_its_config(self):
        state, model = official('pre-norm'), build('detreg_detr_r50', 'small')
        convert(dict(model=state, args=dict(obj_embedding_head='intermediate')), model)
        with pytest.raises(WeightsDoNotFit, match='half_cell_shift: False in the file, True in the config'):
            convert(dict(model=state, args=dict(pre_norm=True)), model)


class TestRefusal:
    def test_it_begins_with_what_file_and_config_are(self):
        made = account(official('two-stage'), build('deformable_detr_r50', 'small'))
        with pytest.raises(WeightsDoNotFit) as error:
            made.check('config.py', 'other.py fits it.')
        assert str(error.value).splitlines()[0] == (
            "the checkpoint does not fit config.py: it has the layout 'deformable-detr' with two_stage=True, "
            'with_box_refine=True; the config builds a QueryDetector with two_stage=False, with_box_refine=False. '
            'other.py fits it.'
        )

    def test_lists_are_cut_after_five(self):
        made = account(official('two-stage'), build('deformable_detr_r50', 'small'))
        longest = max(len(lines) for lines in made.problems.values())
        with pytest.raises(WeightsDoNotFit, match=rf'\.\.\. and {longest - 5} more \(--verbose lists all\)') as short:
            made.check()
        with pytest.raises(WeightsDoNotFit) as long:
            made.check(verbose=True)
        named = [name for lines in made.problems.values() for name in lines]
        assert all(name in str(long.value) for name in named) and 'more (' not in str(long.value)
        assert sum(name in str(short.value) for name in named) == sum(min(5, len(x)) for x in made.problems.values())

    @pytest.mark.parametrize(('case', 'said'), [('two-stage', True), ('dino', True), ('base', False), ('detr', False)])
    def test_select_padding_is_said_where_tokens_are_selected(self, case, said):
        made = account(official(case), build(CASES[case][0], 'small'))
        assert list(made.advice) == ['model.queries.select_padding=True'] * said


def test_the_official_detr_has_458_tensors():
    assert len(detr()) == 458 - 4 * 12 - 3 * 18  # here with 2 encoder and 3 decoder layers of 12 and 18 tensors, not 6
