"""UPerNet's decoder against mmseg's head, and on every backbone."""

import re

import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.models.decode_heads import UPerHead
from parity import close, randomise

from mmparts.registry import MODELS
from mmparts.tasks import task_of

NAMES = (
    (r'psp_modules\.(\d)\.1', r'contexts.\1'),
    ('bottleneck', 'join_context'),
    ('lateral_convs', 'laterals'),
    ('fpn_convs', 'smooth'),
    ('fpn_join_context', 'fuse'),
)


@torch.no_grad()
def test_equals_mmsegs_head():
    channels = [8, 16, 24, 32]
    theirs = UPerHead(
        in_channels=channels, in_index=[0, 1, 2, 3], channels=12, num_classes=5, dropout_ratio=0.1, align_corners=False,
        norm_cfg=dict(type='BN', requires_grad=True),
    )  # fmt: skip
    torch.manual_seed(0)
    randomise(theirs)
    theirs.train(False)
    ours = MODELS.build(dict(type='mmparts.UPerDecoder', in_channels=channels, strides=(4, 8, 16, 32), mid_channels=12))
    ours.train(False)
    state = {}
    for name, tensor in theirs.state_dict().items():
        if name.startswith('conv_seg'):
            continue
        for pattern, ours_name in NAMES:
            name = re.sub(pattern, ours_name, name)
        state[name] = tensor
    ours.load_state_dict(state)
    maps = [torch.randn(2, c, *size) for c, size in zip(channels, ((24, 20), (12, 10), (6, 5), (3, 3)))]
    close('logits', theirs.conv_seg(ours(maps)[0]), theirs(maps), 1e-4)


VIT = dict(type='mmparts.ViT', arch=dict(embed_dims=32, num_layers=4, num_heads=2), image_size=64, class_token=False)
BACKBONES = {
    'Swin': dict(type='mmparts.Swin'),
    'SwinV2': dict(type='mmparts.SwinV2'),
    'ViTAdapter': dict(type='mmparts.ViTAdapter', vit=dict(VIT, final_norm=False), add_vit='each'),
    'InternImage': dict(type='mmparts.InternImage'),
    'ViT with taps': dict(VIT, out_indices=(0, 1, 2, 3)),
}


@pytest.mark.parametrize('name', list(BACKBONES))
def test_trains_a_step_on_every_backbone(name):
    cfg = dict(
        type='mmparts.Segmentor',
        encoder=BACKBONES[name],
        decoder=dict(type='mmparts.UPerDecoder'),
        auxiliary=dict(fcn=dict(type='mmparts.FCNBranch', weight=0.4, mid_channels=16)),
        num_classes=3,
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor', mean=[127.5] * 3, std=[60.0] * 3, size_divisor=32),
    )
    torch.manual_seed(0)
    task = task_of(cfg)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(task.tiny(cfg)).train()
    losses = model(**task.batch(model), mode='loss')
    sum(losses.values()).backward()
    assert {each.rpartition('.')[0] for each in losses} == {'', 'fcn'}
    assert not [name for name, each in model.named_parameters() if each.grad is None]
    (first, second) = model.eval()(**task.batch(model), mode='predict')
    assert first.pred_sem_seg.data.shape[-2:] == first.ori_shape[:2]


def test_one_image_has_no_statistics_of_a_pixel():
    maps = [torch.randn(1, c, *size) for c, size in ((8, (16, 16)), (16, (8, 8)))]
    cfg = dict(type='mmparts.UPerDecoder', in_channels=(8, 16), strides=(4, 8), mid_channels=8)
    with pytest.raises(ValueError, match="batch of 1, pooled to one pixel.*batch_size=2.*'GN'"):
        MODELS.build(cfg)(maps)
    assert MODELS.build(dict(cfg, norm=dict(type='GN', num_groups=4)))(maps)[0].shape == (1, 8, 16, 16)
    assert MODELS.build(cfg).eval()(maps)[0].shape == (1, 8, 16, 16)
