"""Channels: read from the backbone, held against the neck, both when the model is built."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from tiny import base, build
from torch import nn

from mmparts.layers.feature_spec import backbone_spec, build_neck
from mmparts.registry import MODELS
from mmparts.tasks.shrink import shrink


def backbone(type: str, **kwargs) -> nn.Module:
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(dict(shrink(ConfigDict(type=type)), **kwargs))


def neck(on: nn.Module, num_levels: int = 4, **kwargs) -> nn.Module:
    return build_neck(dict(type='ChannelMapper', kernel_size=1, **kwargs), on, embed_dims=32, num_levels=num_levels)


class Untraceable(nn.Module):
    """Asks its input for a number, which a trial run without numbers cannot give."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, 4)

    def forward(self, images):
        return (self.conv(images) if images.sum() > 0 else self.conv(-images),)


@pytest.mark.parametrize(
    ('type', 'kwargs', 'channels', 'strides'),
    [
        ('ResNet', dict(out_indices=(1, 2, 3)), (16, 32, 64), (8, 16, 32)),
        ('ResNet', dict(out_indices=(3,), strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)), (64,), (16,)),
        ('SwinTransformer', dict(out_indices=(0, 2)), (8, 32), (4, 16)),
        ('mmparts.Swin', dict(out_indices=(1, 3)), (16, 64), (8, 32)),
    ],
)
def test_the_neck_reads_the_backbone(type, kwargs, channels, strides):
    body = backbone(type, **kwargs)
    spec = backbone_spec(body)
    assert (spec.channels, spec.strides) == (channels, strides)

    images = torch.randn(2, 3, 64, 96)
    body.eval()  # not chained: mmdet's backbones return None
    with torch.no_grad():
        feats = body(images)
        outs = neck(body, in_channels='auto')(feats)
    assert tuple(feat.shape[1] for feat in feats) == channels
    assert tuple(64 // feat.shape[2] for feat in feats) == strides
    assert [out.shape[1] for out in outs] == [32] * 4


def test_a_trial_run_leaves_the_backbone_as_it_was():
    body = backbone('ResNet')
    body.train()
    before = {name: value.clone() for name, value in body.state_dict().items()}
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    backbone_spec(body)
    assert torch.rand(3).equal(expected)
    assert body.training
    assert all(value.equal(before[name]) for name, value in body.state_dict().items())
    assert all(parameter.device.type == 'cpu' for parameter in body.parameters())


def test_written_channels_that_fit_are_taken():
    body = backbone('ResNet', out_indices=(1, 2, 3))
    assert [conv.conv.in_channels for conv in neck(body, in_channels=[16, 32, 64]).convs] == [16, 32, 64]


def test_a_mismatch_names_both_sides_and_the_ways_out():
    body = backbone('ResNet', out_indices=(1, 2, 3))
    with pytest.raises(ValueError) as error:
        neck(body, in_channels=[512, 1024, 2048])
    for part in (
        'ChannelMapper',
        '[512, 1024, 2048]',
        'ResNet',
        '[16, 32, 64]',
        '[8, 16, 32]',
        "'auto'",
        'out_indices',
    ):
        assert part in str(error.value)


def test_levels_that_the_neck_does_not_give():
    body = backbone('ResNet', out_indices=(1, 2, 3))
    with pytest.raises(ValueError, match=r'\[32, 32, 32\] at strides \[8, 16, 32\].*num_levels=2'):
        neck(body, num_levels=2)


def test_a_width_that_the_neck_does_not_give():
    body = backbone('ResNet', out_indices=(1, 2, 3))
    with pytest.raises(ValueError, match=r'\[16, 16, 16, 16\].*embed_dims=32'):
        neck(body, out_channels=16)


def test_a_backbone_that_cannot_be_tried():
    with pytest.raises(RuntimeError, match='Untraceable.*publishes no `channels` and `strides`.*in_channels instead'):
        neck(Untraceable(), in_channels='auto')
    assert neck(Untraceable(), in_channels=[8]).convs[0].conv.in_channels == 8


def test_published_channels_are_trusted():
    body = Untraceable()
    body.channels, body.strides = (8,), (4,)
    assert neck(body).convs[0].conv.in_channels == 8


def test_the_config_is_left_alone():
    cfg = dict(type='ChannelMapper', in_channels='auto')
    build_neck(cfg, backbone('ResNet'), 32, 4)
    assert cfg == dict(type='ChannelMapper', in_channels='auto')


@pytest.mark.parametrize('type', ['ResNet', 'SwinTransformer', 'mmparts.Swin'])
def test_any_backbone_goes_with_any_head(type):
    for name in ('detr_r50', 'dino_r50'):
        body = dict(_delete_=True, out_indices=(1, 2, 3), **shrink(ConfigDict(type=type)))
        build(base(name, num_levels=4, backbone=body))


@pytest.mark.parametrize('name', ['detr_r50', 'dab_detr_r50', 'smca_detr_r50', 'up_detr_r50'])
def test_a_projection_without_a_norm_starts_as_torch_does(name):
    """No norm undoes another width, and the official codes leave it as torch starts it."""
    torch.manual_seed(0)
    model = build(base(name, embed_dims=128, backbone=dict(base_channels=32)))
    model.init_weights()
    weight = model.neck.convs[0].conv.weight
    assert weight.abs().max() <= weight.shape[1] ** -0.5
    assert weight.std().item() == pytest.approx((3 * weight.shape[1]) ** -0.5, rel=0.05)
