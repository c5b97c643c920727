"""Every backbone under every head: it builds, trains a tiny step that reaches every parameter, and predicts."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny import CONFIGS, flat

from mmparts.registry import MODELS
from mmparts.tasks import task_of

VIT = dict(type='mmparts.ViT', arch=dict(embed_dims=32, num_layers=4, num_heads=2), image_size=64, class_token=False)
STAGES = dict(embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8))
GROUPS = dict(embed_dims=8, depths=(1, 1, 1, 1), num_groups=(1, 2, 4, 8), order='pre', layer_scale=None)
ADAPTER = dict(type='mmparts.ViTAdapter', vit=dict(VIT, final_norm=False), num_heads=2, prior_channels=8)
BEIT = dict(VIT, final_norm=False, class_token=True, position='relative', biases=(True, False, True))

# All give maps of the strides 4, 8, 16, 32; the plain ViT one of 16, of which the simple pyramid makes them.
BACKBONES = {
    'ViT': VIT,
    'Swin': dict(type='mmparts.Swin', arch=STAGES, window_size=4),
    'SwinV2': dict(type='mmparts.SwinV2', arch=STAGES, window_size=4),
    'ViTAdapter': ADAPTER,
    'BEiTAdapter': dict(ADAPTER, vit=BEIT),
    'InternImage': dict(type='mmparts.InternImage', arch=GROUPS),
}


def detector(name: str, base: str, neck: dict, **changes) -> dict:
    """A tiny detector of a config; a plain ViT may bring a neck of its own."""
    cfg = Config.fromfile(CONFIGS / base)
    backbone = dict(BACKBONES[name], _delete_=True)
    if name != 'ViT':
        indices = (1, 2, 3) if 'dino/dino' in base else (0, 1, 2, 3)
        backbone.update({} if 'Adapter' in name else dict(out_indices=indices))
    neck = neck if name == 'ViT' else {}
    cfg.merge_from_dict(dict(model=dict(backbone=backbone, **(dict(neck=neck) if neck else {})) | changes))
    return task_of(cfg).tiny(cfg)


def dino(name: str) -> dict:
    neck = dict(_delete_=True, type='mmparts.SimplePyramid', scales=(2, 1, 0.5, 0.25))
    return detector(name, 'dino/dino-4scale_r50_8xb2-12e_coco.py', neck, data_preprocessor=PADDED)


PADDED = dict(pad_size_divisor=32)


def classifier(name: str) -> dict:
    last = {} if name.endswith(('ViT', 'Adapter')) else dict(out_indices=(3,))
    return dict(
        type='mmparts.Classifier', backbone=dict(BACKBONES[name], **last), num_classes=3, data_preprocessor=IMAGES
    )


IMAGES = dict(type='ImgDataPreprocessor', mean=[127.5] * 3, std=[60.0] * 3, bgr_to_rgb=True)


def upernet(name: str) -> dict:
    taps = dict(out_indices=(0, 1, 2, 3)) if name == 'ViT' else {}
    size = dict(type='mmparts.SegmentPreprocessor', mean=[127.5] * 3, std=[60.0] * 3, size_divisor=32)
    return dict(
        type='mmparts.Segmentor',
        encoder=dict(BACKBONES[name], **taps),
        decoder=dict(type='mmparts.UPerDecoder', mid_channels=8),
        num_classes=3,
        data_preprocessor=size,
    )


def trains(cfg: dict):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg).train()
    for parameter in model.parameters():  # Swin v2's blocks start as the identity
        parameter.data += 0.02 * torch.randn_like(parameter)
    task = task_of(model)
    data = task.batch(model)
    losses = flat(model(**data, mode='loss'))
    sum(value for name, value in losses if 'loss' in name or '.' not in name).backward()
    assert all(value.isfinite().all() for _, value in losses)
    assert not [name for name, each in model.named_parameters() if each.requires_grad and each.grad is None]
    with torch.no_grad():
        assert len(model.eval()(**data, mode='predict')) == 2


@pytest.mark.parametrize('name', [name for name in BACKBONES if 'Adapter' not in name])
def test_classifier(name):
    trains(classifier(name))


@pytest.mark.parametrize('name', list(BACKBONES))
def test_upernet(name):
    trains(upernet(name))


@pytest.mark.parametrize('name', list(BACKBONES))
def test_dino(name):
    trains(dino(name))


@pytest.mark.parametrize('name', list(BACKBONES))
def test_mask_dino(name):
    pyramid = dict(backbone=dict(type='mmparts.PyramidBackbone', backbone=VIT, out_channels=16, _delete_=True))
    changes = pyramid if name == 'ViT' else {}
    trains(detector(name, MASK_DINO, {}, data_preprocessor=PADDED, **changes))


MASK_DINO = 'mask_dino/mask-dino_r50_8xb2-50e_coco-instance.py'


@pytest.mark.parametrize('name', list(BACKBONES)[1:])
def test_mask2former(name):
    """mmdet's own head, told the channels."""
    cfg = Config.fromfile(CONFIGS / 'mask2former/mask2former_r50_8xb2-lsj-50e_coco.py')
    model = task_of(cfg).tiny(cfg)
    model.backbone = BACKBONES[name]
    model.panoptic_head.in_channels = [32] * 4 if 'Adapter' in name else [8, 16, 32, 64]
    trains(model)
