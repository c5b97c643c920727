"""Backbones of timm, transformers, mmdet and mmseg under a detector's neck."""

import sys

import pytest
import torch
from mmengine.registry import DefaultScope
from parity import reference

from mmparts.layers.feature_spec import backbone_spec, build_neck
from mmparts.registry import MODELS


def build(**cfg):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg)


TIMM = dict(type='mmparts.TimmBackbone')
RESNET = dict(type='mmparts.HFBackbone', model='resnet', config=dict(embedding_size=8, hidden_sizes=[8, 16, 24, 32],
              depths=[1, 1, 1, 1]), out_indices=(2, 3, 4))  # fmt: skip


@pytest.mark.parametrize(
    ('cfg', 'channels', 'strides'),
    [
        (dict(TIMM, model='resnet10t', out_indices=(2, 3, 4)), (128, 256, 512), (8, 16, 32)),
        (dict(TIMM, model='swin_tiny_patch4_window7_224', out_indices=(1, 2)), (192, 384), (8, 16)),
        (
            dict(TIMM, model='vit_tiny_patch16_224', out_indices=(11,), options=dict(dynamic_img_size=True)),
            (192,),
            (16,),
        ),
        (RESNET, (16, 24, 32), (8, 16, 32)),
    ],
)
def test_channels_and_strides_are_read(cfg, channels, strides):
    reference('timm' if 'Timm' in cfg['type'] else 'transformers')
    model = build(**cfg).eval()
    assert (model.channels, model.strides) == (channels, strides)
    with torch.no_grad():
        outs = model(torch.randn(1, 3, 224, 224))
    assert [tuple(out.shape[1:]) for out in outs] == [(c, 224 // s, 224 // s) for c, s in zip(channels, strides)]
    with DefaultScope.overwrite_default_scope('mmdet'):
        neck = build_neck(dict(type='ChannelMapper', kernel_size=1), model, 16, len(channels))
    assert len(neck(outs)) == len(channels)


def test_maps_equal_the_model_itself():
    timm = reference('timm')
    model = build(**TIMM, model='resnet10t').eval()
    torch.manual_seed(0)
    theirs = timm.create_model('resnet10t', features_only=True).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert all(a.equal(b) for a, b in zip(model(x), theirs(x)))


def test_a_frozen_backbone_stays_in_eval():
    reference('timm')
    model = build(**TIMM, model='resnet10t', frozen=True).train()
    assert not any(each.training for each in model.model.modules())
    assert not any(each.requires_grad for each in model.parameters())


@pytest.mark.parametrize(
    ('cfg', 'words'),
    [
        (dict(TIMM, model='resnet10'), "no model 'resnet10'; near: .*resnet10t"),
        (dict(TIMM, model='resnet10t', channels=(1, 2)), r'channels=\[1, 2\] were written, timm.resnet10t gives'),
        (dict(RESNET, channels=(1,)), r'channels=\[1\] were written, transformers resnet gives'),
        (dict(RESNET, model='no/such-folder/here'), 'neither a folder or model'),
    ],
)
def test_what_does_not_go_is_refused(cfg, words):
    reference('timm' if 'Timm' in cfg['type'] else 'transformers')
    with pytest.raises(ValueError, match=words):
        build(**cfg)


@pytest.mark.parametrize('name', ['timm', 'transformers'])
def test_a_missing_package_is_named_with_the_line_that_installs_it(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    kind = 'TimmBackbone' if name == 'timm' else 'HFBackbone'
    with pytest.raises(ModuleNotFoundError, match=f'pip install {name}=='):
        build(type=f'mmparts.{kind}', model='resnet')


@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='PyramidVisionTransformerV2', embed_dims=8, num_layers=[1] * 4),
        dict(type='mmseg.MSCAN', embed_dims=[8, 16, 16, 32], depths=[1] * 4),
    ],
)
def test_backbones_of_mmdet_and_mmseg_are_found_out(cfg):
    spec = backbone_spec(build(**cfg))
    assert spec.strides == (4, 8, 16, 32)


def test_wrong_channels():
    reference('timm')
    with pytest.raises(ValueError, match='4 channels, timm.resnet10t takes in_channels=3'):
        build(**TIMM, model='resnet10t')(torch.zeros(1, 4, 32, 32))
