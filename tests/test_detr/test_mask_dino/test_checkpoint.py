"""Official state dicts of Mask DINO, written out by their shapes, become our weights; anything amiss is named."""

import functools

import pytest
import torch
from parity import build

from mmparts.engine import WeightsDoNotFit
from mmparts.weights.convert import account, convert

C, FFN, HEADS, LEVELS, ENCODER, DECODER, RESNET, CLASSES = 64, 96, 4, 4, 2, 3, 8, 91  # parity.build('small')
PIXEL, PREDICTOR = 'sem_seg_head.pixel_decoder.', 'sem_seg_head.predictor.'
build = functools.cache(build)


def pair(name, out, *into):
    return {f'{name}.weight': (out, *into), f'{name}.bias': (out,)}


def norm(name):
    return pair(name, C)


def mlp(name, out):
    return {
        key: shape
        for layer, rows in enumerate((C, C, out))
        for key, shape in pair(f'{name}.layers.{layer}', rows, C).items()
    }


def deformable(name):
    return {
        **pair(f'{name}.sampling_offsets', HEADS * LEVELS * 4 * 2, C),
        **pair(f'{name}.attention_weights', HEADS * LEVELS * 4, C),
        **pair(f'{name}.value_proj', C, C),
        **pair(f'{name}.output_proj', C, C),
    }


def resnet():
    """detectron2's: every convolution with its frozen norm."""
    shapes = {}

    def conv(name, out, into, kernel):
        shapes[f'backbone.{name}.weight'] = (out, into, kernel, kernel)
        for part in ('weight', 'bias', 'running_mean', 'running_var'):
            shapes[f'backbone.{name}.norm.{part}'] = (out,)

    conv('stem.conv1', RESNET, 3, 7)
    into = RESNET
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = RESNET * 2**stage
        for block in range(blocks):
            name = f'res{stage + 2}.{block}'
            if block == 0:
                conv(f'{name}.shortcut', 4 * width, into, 1)
            conv(f'{name}.conv1', width, into, 1)
            conv(f'{name}.conv2', width, width, 3)
            conv(f'{name}.conv3', 4 * width, width, 1)
            into = 4 * width
    return shapes


def shapes(two_stage=True):
    found = resnet()
    for level, (into, kernel) in enumerate(((64, 1), (128, 1), (256, 1), (256, 3))):
        found.update(pair(f'{PIXEL}input_proj.{level}.0', C, into, kernel, kernel))
        found.update(norm(f'{PIXEL}input_proj.{level}.1'))
    found[f'{PIXEL}transformer.level_embed'] = (LEVELS, C)
    for layer in range(ENCODER):
        name = f'{PIXEL}transformer.encoder.layers.{layer}'
        found.update(
            {
                **deformable(f'{name}.self_attn'),
                **norm(f'{name}.norm1'),
                **norm(f'{name}.norm2'),
                **pair(f'{name}.linear1', FFN, C),
                **pair(f'{name}.linear2', C, FFN),
            }
        )
    found.update(pair(f'{PIXEL}mask_features', C, C, 1, 1))
    for name, into, kernel in (('adapter_1', 32, 1), ('layer_1', C, 3)):
        found[f'{PIXEL}{name}.weight'] = (C, into, kernel, kernel)
        found.update(norm(f'{PIXEL}{name}.norm'))

    for layer in range(DECODER):
        name = f'{PREDICTOR}decoder.layers.{layer}'
        found.update(
            {
                **deformable(f'{name}.cross_attn'),
                **pair(f'{name}.self_attn.out_proj', C, C),
                f'{name}.self_attn.in_proj_weight': (3 * C, C),
                f'{name}.self_attn.in_proj_bias': (3 * C,),
                **norm(f'{name}.norm1'),
                **norm(f'{name}.norm2'),
                **norm(f'{name}.norm3'),
                **pair(f'{name}.linear1', FFN, C),
                **pair(f'{name}.linear2', C, FFN),
            }
        )
        for home in ('', 'decoder.'):
            found.update(mlp(f'{PREDICTOR}{home}bbox_embed.{layer}', 4))
    found.update(
        {
            **mlp(f'{PREDICTOR}_bbox_embed', 4),
            **mlp(f'{PREDICTOR}mask_embed', C),
            **norm(f'{PREDICTOR}decoder_norm'),
            **norm(f'{PREDICTOR}decoder.norm'),
            **pair(f'{PREDICTOR}decoder.ref_point_head.layers.0', C, 2 * C),
            **pair(f'{PREDICTOR}decoder.ref_point_head.layers.1', C, C),
            **pair(f'{PREDICTOR}class_embed', CLASSES, C),
            f'{PREDICTOR}label_enc.weight': (CLASSES, C),
            'criterion.empty_weight': (CLASSES + 1,),
        }
    )
    if two_stage:
        found.update({**pair(f'{PREDICTOR}enc_output', C, C), **norm(f'{PREDICTOR}enc_output_norm')})
    else:
        found.update({f'{PREDICTOR}query_feat.weight': (20, C), f'{PREDICTOR}query_embed.weight': (20, 4)})
    return found


def official(two_stage=True):
    """Random tensors under official names; copies are equal."""
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shape, generator=generator) for name, shape in shapes(two_stage).items()}
    for name in state:
        if 'bbox_embed.' in name and '_bbox_embed' not in name:
            state[name] = state[f'{PREDICTOR}_bbox_embed.layers.{name.partition(".layers.")[2]}'].clone()
        if name.startswith(f'{PREDICTOR}decoder.norm.'):
            state[name] = state[name.replace('decoder.norm', 'decoder_norm')].clone()
    return state


def model(two_stage=True):
    if two_stage:
        return build('mask_dino_r50', 'small', as_published=True)
    learned = dict(_delete_=True, type='mmparts.AnchorQueries', content='learned')
    return build.__wrapped__('mask_dino_r50', 'small', queries=learned, as_published=True)


@pytest.mark.parametrize('two_stage', [True, False])
def test_every_tensor_finds_its_place(two_stage):
    ours, state = model(two_stage), official(two_stage)
    made = account(dict(model=state, iteration=368749), ours).check()
    assert made.layout == 'mask-dino'
    missing, unexpected = ours.load_state_dict(made.state, strict=False)
    assert unexpected == [] and set(missing) <= set(made.initialised)
    assert all(name.endswith('num_batches_tracked') for name in made.initialised)
    constant = made.dropped.pop('criterion.empty_weight')
    assert constant == 'a constant of the losses'
    assert all(reason.startswith('copy of ') for reason in made.dropped.values())
    left = sum(state[name].numel() for name in made.dropped) + CLASSES + 1
    assert made.num_elements == sum(tensor.numel() for tensor in state.values()) - left


@pytest.mark.parametrize(
    ('ours', 'theirs'),
    [
        ('backbone.conv1.weight', 'backbone.stem.conv1.weight'),
        ('backbone.layer3.5.bn2.running_var', 'backbone.res4.5.conv2.norm.running_var'),
        ('backbone.layer1.0.downsample.1.bias', 'backbone.res2.0.shortcut.norm.bias'),
        ('neck.convs.0.gn.weight', f'{PIXEL}input_proj.0.1.weight'),
        ('neck.extra_convs.0.conv.bias', f'{PIXEL}input_proj.3.0.bias'),
        ('neck.lateral.conv.weight', f'{PIXEL}adapter_1.weight'),
        ('encoder.smooth.gn.bias', f'{PIXEL}layer_1.norm.bias'),
        ('encoder.layers.1.norm_ffn.weight', f'{PIXEL}transformer.encoder.layers.1.norm2.weight'),
        (
            'encoder.layers.0.self_attn.sampling_offsets.weight',
            f'{PIXEL}transformer.encoder.layers.0.self_attn.sampling_offsets.weight',
        ),
        ('decoder.layers.2.norm_cross.weight', f'{PREDICTOR}decoder.layers.2.norm1.weight'),
        ('decoder.layers.2.norm_self.bias', f'{PREDICTOR}decoder.layers.2.norm2.bias'),
        ('decoder.layers.1.ffn.3.weight', f'{PREDICTOR}decoder.layers.1.linear2.weight'),
        ('decoder.layers.1.cross_attn.attn.value_proj.bias', f'{PREDICTOR}decoder.layers.1.cross_attn.value_proj.bias'),
        ('decoder.position.net.2.weight', f'{PREDICTOR}decoder.ref_point_head.layers.1.weight'),
        ('queries.output.weight', f'{PREDICTOR}enc_output.weight'),
        ('groups.0.label_embed.weight', f'{PREDICTOR}label_enc.weight'),
        ('head.norm.weight', f'{PREDICTOR}decoder_norm.weight'),
        ('head.mask_branch.layers.2.bias', f'{PREDICTOR}mask_embed.layers.2.bias'),
        ('head.box_branches.0.layers.1.weight', f'{PREDICTOR}decoder.bbox_embed.2.layers.1.weight'),
    ],
)
def test_places(ours, theirs):
    state = official()
    assert convert(state, model())[ours].equal(state[theirs])


def test_levels_of_the_query_decoder_are_turned_round():
    state = official()
    rows = convert(state, model())['decoder.layers.0.cross_attn.attn.attention_weights.bias'].view(HEADS, LEVELS, 4)
    theirs = state[f'{PREDICTOR}decoder.layers.0.cross_attn.attention_weights.bias'].view(HEADS, LEVELS, 4)
    for level in range(LEVELS):
        assert rows[:, level].equal(theirs[:, LEVELS - 1 - level])


def test_learned_queries():
    state = official(two_stage=False)
    made = convert(state, model(two_stage=False))
    assert torch.cat([made['queries.centre'], made['queries.size']], 1).equal(state[f'{PREDICTOR}query_embed.weight'])
    assert made['queries.content.weight'].equal(state[f'{PREDICTOR}query_feat.weight'])


@pytest.mark.parametrize(
    'name',
    [
        f'{PREDICTOR}mask_embed.layers.0.weight',
        'backbone.res3.0.conv1.norm.bias',
        f'{PIXEL}adapter_1.norm.weight',
        f'{PREDICTOR}decoder.norm.weight',
    ],
)
def test_strictness(name):
    state = official()
    del state[name]
    with pytest.raises(WeightsDoNotFit, match=r'1 missing\.'):
        convert(state, model())
    with pytest.raises(WeightsDoNotFit, match=r'1 unexpected\.'):
        convert(official() | {f'{name}.extra': torch.zeros(1)}, model())
    state = official()
    state[name] = torch.cat([state[name]] * 2)
    with pytest.raises(WeightsDoNotFit, match=r'1 (mis-shaped|refused)\.'):
        convert(state, model())


def test_other_copies_are_refused():
    state = official()
    state[f'{PREDICTOR}bbox_embed.1.layers.0.bias'] += 1
    with pytest.raises(WeightsDoNotFit, match='should equal'):
        convert(state, model())


def test_on_swin():
    """The official backbone has our names; it comes with an index that we compute."""
    swin = dict(
        type='mmparts.Swin',
        arch=dict(embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8)),
        window_size=3,
        out_indices=(0, 1, 2, 3),
        _delete_=True,
    )
    ours = build.__wrapped__('mask_dino_r50', 'small', backbone=swin, as_published=True)
    state = {name: tensor for name, tensor in official().items() if not name.startswith('backbone.')}
    for level, into in enumerate((16, 32, 64, 64)):
        kernel = 3 if level == 3 else 1
        state[f'{PIXEL}input_proj.{level}.0.weight'] = torch.randn(C, into, kernel, kernel)
    state[f'{PIXEL}adapter_1.weight'] = torch.randn(C, 8, 1, 1)
    state |= {f'backbone.{name}': tensor for name, tensor in ours.backbone.state_dict().items()}
    index = 'backbone.layers.0.blocks.0.attn.relative_position_index'
    made = account(state | {index: torch.zeros(9, 9)}, ours).check()
    assert made.layout == 'mask-dino' and made.dropped[index] == 'computed'
    assert made.state['backbone.norm3.weight'].equal(ours.backbone.norm3.weight) and not made.initialised


def test_what_is_not_built_as_published_is_refused():
    with pytest.raises(WeightsDoNotFit, match='official weights are for the arithmetic .*model.as_published=True'):
        convert(official(), build('mask_dino_r50', 'small'))
