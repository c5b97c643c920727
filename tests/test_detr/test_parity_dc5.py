"""DETR's dilated backbone (DC5) against timm's ResNet at stride 16, which dilates as torchvision does."""

import parity
import pytest
import tiny
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmparts.registry import MODELS

timm = parity.reference('timm')


@pytest.mark.parametrize('depth', [50, 101])
def test_last_stage(depth):
    """The first block of the last stage keeps dilation 1; only those after it see twice as far."""
    cfg = Config.fromfile(tiny.CONFIGS / 'detr' / f'detr_r{depth}-dc5_8xb2-500e_coco.py').model.backbone
    cfg.update(init_cfg=None)
    with DefaultScope.overwrite_default_scope('mmdet'):
        ours = MODELS.build(cfg)
    parity.randomise(ours.layer4)
    theirs = timm.create_model(f'resnet{depth}', output_stride=16).eval()
    theirs.layer4.load_state_dict(ours.layer4.state_dict())

    feature = torch.randn(2, 1024, 6, 9, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, expected = ours.layer4.eval()(feature), theirs.layer4(feature)

    assert found.shape[-2:] == feature.shape[-2:]
    parity.close('features', found, expected, 1e-4)
