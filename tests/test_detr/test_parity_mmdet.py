"""DINO, the main branch of Co-DINO and two-stage Deformable DETR against mmdet: outputs of every layer, and the losses
of a whole training step."""

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

import mmdet
import parity
import pytest
import torch
from mmdet.models.dense_heads import deformable_detr_head
from mmdet.models.detectors import DINO
from mmdet.models.layers.transformer import dino_layers
from mmdet.models.layers.transformer.dino_layers import CdnQueryGenerator
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from parity import BOXES, LOGITS
from torch import Tensor, nn

from mmparts.detr import queries
from mmparts.detr.groups import visibility
from mmparts.detr.structures import Targets

DENOISING = dict(type='mmparts.Denoising', num=100, spare_row=False)
CASES = {
    'dino': ('dino_r50', dict(), 'dino/dino-4scale_r50_8xb2-12e_coco.py'),
    'two-stage': (
        'deformable_detr_refine_twostage_r50',
        dict(encoder=dict(dropout=0.0), decoder=dict(dropout=0.0)),
        'deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco.py',
    ),
    'co-dino': ('co_dino_r50', dict(groups=[DENOISING], neck=dict(bias=True)), 'dino/dino-4scale_r50_8xb2-12e_coco.py'),
}
THEIRS = {
    'co-dino': dict(
        num_feature_levels=5,
        neck=dict(in_channels=[32, 64, 128, 256], num_outs=5),
        encoder=dict(layer_cfg=dict(self_attn_cfg=dict(num_levels=5))),
        decoder=dict(layer_cfg=dict(cross_attn_cfg=dict(num_levels=5))),
        bbox_head=dict(loss_cls=dict(_delete_=True, type='QualityFocalLoss', use_sigmoid=True, beta=2.0)),
    )
}

# Their names to ours, see parity.translate. Backbone and neck are the same classes.
RULES = [
    (r'^(encoder\.layers\.\d+)\.norms\.0', r'\1.norm_attn'),
    (r'^(decoder\.layers\.\d+)\.norms\.0', r'\1.norm_self'),
    (r'^(decoder\.layers\.\d+)\.norms\.1', r'\1.norm_cross'),
    (r'norms\.\d', 'norm_ffn'),
    (r'ffn\.layers\.0\.0', 'ffn.0'),
    (r'ffn\.layers\.1', 'ffn.3'),
    (r'cross_attn', 'cross_attn.attn'),
    (r'self_attn\.attn', 'self_attn'),
    (r'ref_point_head\.layers\.0', 'position.net.0'),
    (r'ref_point_head\.layers\.1', 'position.net.2'),
    (r'^level_embed', 'encoder.level_embed'),
    (r'^query_embedding', 'queries.content'),
    (r'^memory_trans_fc', 'queries.output'),
    (r'^memory_trans_norm', 'queries.output_norm'),
    (r'^pos_trans_fc', 'queries.embed'),
    (r'^pos_trans_norm', 'queries.embed_norm'),
    (r'^dn_query_generator\.label_embedding', 'groups.0.label_embed'),
]


def heads(ours: nn.Module) -> list:
    return [
        (r'^bbox_head\.cls_branches\.(\d+)', lambda found: parity.branch(ours, 'class', int(found[1]))),
        (
            r'^bbox_head\.reg_branches\.(\d+)\.([024])',
            lambda found: f'{parity.branch(ours, "box", int(found[1]))}.layers.{int(found[2]) // 2}',
        ),
    ]


def both(case: str, width: str, monkeypatch) -> tuple[nn.Module, nn.Module, dict[str, Tensor]]:
    """Our model, theirs, and our weights under their names."""
    base, changes, their_base = CASES[case]
    ours = parity.build(base, width, **changes)
    ours.queries.select_padding = True
    cfg = ours.cfg

    path = Path(mmdet.__file__).parent / '.mim' / 'configs' / their_base
    sizes, layer = dict(embed_dims=cfg.embed_dims), dict(embed_dims=cfg.embed_dims, num_heads=cfg.encoder.num_heads)
    ffn = dict(feedforward_channels=cfg.encoder.ffn_channels, ffn_drop=0.0, **sizes)
    attention = dict(dropout=0.0, **layer)
    their_cfg = Config.fromfile(path)
    their_cfg.merge_from_dict(
        dict(
            model=dict(
                num_queries=cfg.num_queries,
                backbone=cfg.backbone,
                neck=dict(in_channels=[64, 128, 256], out_channels=cfg.embed_dims, bias=True),
                encoder=dict(num_layers=cfg.encoder.num_layers, layer_cfg=dict(self_attn_cfg=attention, ffn_cfg=ffn)),
                decoder=dict(
                    num_layers=cfg.decoder.num_layers,
                    layer_cfg=dict(self_attn_cfg=attention, cross_attn_cfg=attention, ffn_cfg=ffn),
                ),
                positional_encoding=dict(num_feats=cfg.embed_dims // 2),
                bbox_head=dict(num_classes=cfg.num_classes, **sizes),
            )
        )
    )
    their_cfg.merge_from_dict(dict(model=copy.deepcopy(THEIRS.get(case, {}))))
    with DefaultScope.overwrite_default_scope('mmdet'):
        theirs = MODELS.build(their_cfg.model).eval()

    fit(theirs, cfg.embed_dims, monkeypatch)
    weights = parity.weights_of(ours)
    if case == 'dino':
        weights['groups.0.label_embed.weight'] = weights['groups.0.label_embed.weight'][:-1]  # they have no spare row
    return ours, theirs, parity.translate(weights, theirs, RULES + heads(ours))


def fit(theirs: nn.Module, embed_dims: int, monkeypatch):
    """Their sine embeddings of boxes know one width only; and the head of their DINO clamps the inverse sigmoid at
    1e-5, where the official code and their own decoder do so at 1e-3."""
    feats = dict(num_feats=embed_dims // 2)
    monkeypatch.setattr(dino_layers, 'coordinate_to_encoding', partial(dino_layers.coordinate_to_encoding, **feats))
    monkeypatch.setattr(
        theirs, 'get_proposal_pos_embed', partial(theirs.get_proposal_pos_embed, num_pos_feats=embed_dims // 2)
    )
    if isinstance(theirs, DINO):
        monkeypatch.setattr(deformable_detr_head, 'inverse_sigmoid', partial(dino_layers.inverse_sigmoid, eps=1e-3))


def share_noise(ours: nn.Module, monkeypatch):
    """Let our denoising queries have the noise that theirs got last; places, targets and visibility stay ours."""
    generate, forward, last = CdnQueryGenerator.__call__, ours.groups[0].forward, []

    def remember(self, samples):
        last[:] = generate(self, samples)
        return tuple(last)

    def take(*args):
        group, (content, boxes, *_) = forward(*args), last
        assert group.content.shape == content.shape and group.reference.shape == boxes.shape
        return replace(group, content=content, reference=boxes.sigmoid())

    monkeypatch.setattr(CdnQueryGenerator, '__call__', remember)
    monkeypatch.setattr(ours.groups[0], 'forward', take)


def share_choice(monkeypatch):
    """Let ours take the tokens that theirs chose, which must score alike: last bits decide between near-equal ones."""
    topk, chosen = torch.topk, []

    def remember(*args, **kwargs):
        found = topk(*args, **kwargs)
        chosen[:] = [found.indices]
        return found

    def take(scores: Tensor, num: int) -> Tensor:
        (index,) = chosen
        torch.testing.assert_close(scores.gather(1, index), scores.topk(num, dim=1).values, atol=1e-5, rtol=1e-5)
        return index

    monkeypatch.setattr(torch, 'topk', remember)
    monkeypatch.setattr(queries, 'best', take)


def step(case: str, counts: tuple[int, int], monkeypatch) -> tuple[nn.Module, dict[str, Tensor], dict[str, Tensor]]:
    """Our model, our losses and theirs, in training mode."""
    ours, theirs, weights = both(case, 'small', monkeypatch)
    if len(ours.groups):
        share_noise(ours, monkeypatch)
    batch = parity.batch(counts)
    expected = parity.run(theirs.train(), weights, batch.images, batch.samples, mode='loss')
    return ours, ours.train()(batch.images, batch.samples, mode='loss'), expected


@pytest.mark.parametrize('width', parity.WIDTHS)
@pytest.mark.parametrize('case', CASES)
def test_outputs(case, width, monkeypatch):
    """Logits and boxes of every decoder layer."""
    ours, theirs, weights = both(case, width, monkeypatch)
    batch = parity.batch()
    share_choice(monkeypatch)

    logits, boxes, *_ = parity.run(theirs, weights, batch.images, batch.samples, mode='tensor')
    found = ours(batch.images, batch.samples, mode='tensor')

    parity.close('logits', found['logits'], logits, LOGITS)
    parity.close('boxes', found['boxes'], boxes, BOXES)


@pytest.mark.parametrize('counts', [(3, 5), (4, 0), (0, 0)], ids=str)
@pytest.mark.parametrize('case', CASES)
def test_losses(case, counts, monkeypatch):
    """Every term of every layer, of the encoder's proposals and of the denoising queries."""
    _, found, expected = step(case, counts, monkeypatch)

    parity.close_losses(found, expected)


@pytest.mark.parametrize('case', CASES)
def test_gradients(case, monkeypatch):
    """What reaches every weight from the sum of all losses: references are cut from the graph where theirs are."""
    with parity.double_precision():
        ours, found, expected = step(case, (3, 5), monkeypatch)

        totals = ([sum(value.sum() for value in losses.values())] for losses in (found, expected))
        parity.close_gradients(ours, *totals)


def test_denoising_queries(monkeypatch):
    """Without noise: content, boxes, the slots they stand in, and who may see whom."""
    ours, theirs, weights = both('dino', 'small', monkeypatch)
    part, generator, batch = ours.groups[0], theirs.dn_query_generator, parity.batch((3, 5))
    part.label_noise = part.box_noise = 0.0
    generator.label_noise_scale = generator.box_noise_scale = 1e-12
    theirs.load_state_dict(weights, strict=False)

    match, _ = ours.queries(ours.encode(batch.images, batch.samples), ours.head)
    group = part(match, None, Targets.from_samples(batch.samples))
    content, boxes, blocked, _ = generator(batch.samples)

    parity.close('content', group.content, content, 0.0)
    parity.close('boxes', group.reference, boxes.sigmoid(), BOXES)
    assert visibility([group, match]).equal(~blocked)
