"""DAB-DETR, without and with patterns, against transformers; and DN-DETR at test time, which is DAB-DETR whose queries
start with another content."""

import parity
import pytest
import torch
from parity import BOXES, LOGITS
from parity_transformers import BACKBONE, call, split_projections, their_config, transformers
from torch import Tensor, nn

CASES = {  # base config, changes, number of their patterns
    'dab': ('dab_detr_r50', {}, 0),
    'dab-3pattern': ('dab_detr_r50', dict(queries=dict(num_patterns=3)), 3),
    'dn': ('dn_detr_r50', {}, 1),  # content shared by all queries is one pattern
}

RULES = [(r'conv_encoder\.', ''), *BACKBONE] + [
    (r'^model\.', ''),
    (r'^input_projection', 'neck.convs.0.conv'),
    (r'^query_refpoint_embeddings', 'queries.anchors'),
    (r'^patterns', 'queries.patterns'),
    (r'^encoder\.query_scale', 'encoder.position_scale'),
    (r'^decoder\.query_scale', 'decoder.position.scale'),
    (r'^decoder\.ref_point_head', 'decoder.position.net'),
    (r'^decoder\.ref_anchor_head', 'decoder.position.size'),
    (r'^decoder\.layernorm', 'decoder.norm'),
    (r'self_attn\.self_attn\.output_proj', 'self_attn.out_proj'),
    (r'cross_attn\.cross_attn\.output_proj', 'cross_attn.out_proj'),
    (r'self_attn\.self_attn_layer_norm', 'norm_self'),
    (r'cross_attn\.cross_attn_layer_norm', 'norm_cross'),
    (r'(?:self|cross)_attn_query_pos_sine_proj', 'query_spatial'),
    (r'(?:self|cross)_attn_(query|key)_(content|pos)_proj', r'\1_\2'),
    (r'(?:self|cross)_attn_value_proj', 'value'),
    (r'(encoder\.layers\.\d+)\.self_attn_layer_norm', r'\1.norm_attn'),
    (r'(?:mlp\.)?final_layer_norm', 'norm_ffn'),
    (r'(layers\.\d+)\.(?:mlp\.)?fc1', r'\1.ffn.0'),
    (r'(layers\.\d+)\.(?:mlp\.)?activation_fn', r'\1.ffn.1'),
    (r'(layers\.\d+)\.(?:mlp\.)?fc2', r'\1.ffn.3'),
    (r'^class_embed', 'head.class_branches.0'),
    (r'^(?:bbox_predictor|decoder\.bbox_embed)', 'head.box_branches.0'),
]


def both(case: str, width: str, monkeypatch) -> tuple[nn.Module, nn.Module, dict[str, Tensor]]:
    """Our model, theirs, and our weights under their names."""
    base, changes, patterns = CASES[case]
    ours = parity.build(base, width, **changes)
    theirs = transformers.DabDetrForObjectDetection(
        their_config(
            transformers.DabDetrConfig,
            ours,
            hidden_size=ours.cfg.embed_dims,
            num_patterns=patterns,
            dropout=0.0,
            auxiliary_loss=True,
        )
    )
    fit(theirs, monkeypatch)
    weights = split_projections(parity.weights_of(ours))
    weights['queries.anchors.weight'] = torch.cat([weights.pop(f'queries.{part}') for part in ('centre', 'size')], 1)
    if case == 'dn':
        content = weights.pop('queries.content.weight')
        weights['queries.patterns.weight'] = torch.cat([content, content.new_zeros(1, 1)], dim=1)
        del weights['groups.0.label_embed.weight']
    return ours, theirs.eval(), parity.translate(weights, theirs, RULES)


def fit(theirs: nn.Module, monkeypatch):
    """Theirs clamps the inverse sigmoid at 1e-5, the official code at 1e-3; and takes every softmax in float32, so that
    gradients which are zero (of the biases of keys) would not be."""
    from transformers.models.dab_detr import modeling_dab_detr

    logit, softmax = modeling_dab_detr.inverse_sigmoid, nn.functional.softmax
    monkeypatch.setattr(modeling_dab_detr, 'inverse_sigmoid', lambda x: logit(x, eps=1e-3))
    monkeypatch.setattr(nn.functional, 'softmax', lambda x, dim, dtype=None: softmax(x, dim))


@pytest.mark.parametrize('width', parity.WIDTHS)
@pytest.mark.parametrize('case', CASES)
def test_outputs(case, width, monkeypatch):
    """Logits and boxes of every decoder layer."""
    ours, theirs, weights = both(case, width, monkeypatch)
    batch = parity.batch()

    found = ours(batch.images, batch.samples, mode='tensor')
    _, logits, boxes = call(theirs, weights, batch)

    parity.close('logits', found['logits'], logits, LOGITS)
    parity.close('boxes', found['boxes'], boxes, BOXES)


@pytest.mark.parametrize('case', CASES)
def test_gradients(case, monkeypatch):
    """What reaches every weight: anchors, and the box branch that looks forward twice."""
    with parity.double_precision():
        ours, theirs, weights = both(case, 'small', monkeypatch)
        batch = parity.batch()

        found = ours(batch.images, batch.samples, mode='tensor')
        _, logits, boxes = call(theirs, weights, batch)

        parity.close_gradients(ours, [found['logits'], found['boxes']], [logits, boxes])


@pytest.mark.parametrize('counts', [(3, 5), (4, 0), (0, 0)], ids=str)
def test_losses(counts, monkeypatch):
    """Every term of every layer; and the total, in which theirs weighs the class term 1, as the paper does."""
    ours, theirs, weights = both('dab-3pattern', 'small', monkeypatch)
    batch = parity.batch(counts)

    found = ours(batch.images, batch.samples, mode='loss')
    out, _, _ = call(theirs, weights, batch)

    expected = {}
    for key, value in out.loss_dict.items():
        term, _, layer = key.removeprefix('loss_').partition('_')
        if term in ('ce', 'bbox', 'giou'):
            name = dict(ce='loss_cls', bbox='loss_bbox', giou='loss_iou')[term]
            expected[f'd{layer}.{name}' if layer else name] = dict(ce=1, bbox=5, giou=2)[term] * value
    parity.close_losses(found, expected)
