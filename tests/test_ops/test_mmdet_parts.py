"""mmdet's own detectors train and predict on the plain ops: their heads are parts of ours (Co-DETR) and baselines."""

import pytest
import tiny
import torch
from mmdet.models import ResNet
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import DefaultScope

from mmparts.registry import MODELS

WIDTH = 32
CLASSES = 3
DENSE = dict(
    bbox_head=dict(in_channels=WIDTH, feat_channels=WIDTH, stacked_convs=1, num_classes=CLASSES),
    test_cfg=dict(score_thr=0.0, nms_pre=50),
)

# What makes each detector small, and predict something from the start.
DETECTORS = {
    'retinanet/retinanet_r50_fpn_1x_coco.py': DENSE,
    'atss/atss_r50_fpn_1x_coco.py': DENSE,
    'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py': DENSE,
    'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py': dict(
        rpn_head=dict(in_channels=WIDTH, feat_channels=WIDTH),
        roi_head=dict(
            bbox_roi_extractor=dict(out_channels=WIDTH),
            bbox_head=dict(in_channels=WIDTH, fc_out_channels=WIDTH, num_classes=CLASSES),
        ),
        train_cfg=dict(rpn_proposal=dict(nms_pre=50)),
        test_cfg=dict(rpn=dict(nms_pre=50), rcnn=dict(score_thr=0.0)),
    ),
}


def build(config: str, **changes) -> torch.nn.Module:
    cfg = Config(dict(model=get_config(f'mmdet::{config}').model))
    cfg.merge_from_dict(
        dict(
            model=dict(
                backbone=dict(depth=18, base_channels=8, frozen_stages=-1, init_cfg=None),
                neck=dict(in_channels=[8, 16, 32, 64], out_channels=WIDTH),
                **DETECTORS[config],
            )
        )
    )
    cfg.merge_from_dict(dict(model=changes))
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg.model)


def batch(model: torch.nn.Module) -> dict:
    images = [torch.randint(256, (3, *size), dtype=torch.uint8) for size in ((64, 96), (96, 64))]
    samples = tiny.samples(num_classes=CLASSES)
    return model.data_preprocessor(dict(inputs=images, data_samples=samples), training=model.training)


@pytest.mark.parametrize('config', DETECTORS)
def test_a_detector_trains_and_predicts(config):
    model = build(config)
    tiny.total(model.parse_losses(model(**batch(model), mode='loss'))[1]).backward()
    reached = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
    assert {'backbone', 'neck'} <= {name.split('.')[0] for name in reached}
    assert not set(reached) & set(tiny.without_gradient(model))

    model.eval()
    with torch.no_grad():
        for sample in model(**batch(model), mode='predict'):
            found = sample.pred_instances
            assert 0 < len(found) <= 100 and found.bboxes.isfinite().all() and found.scores.diff().le(0).all()


def test_soft_nms_in_a_detector():
    config = 'retinanet/retinanet_r50_fpn_1x_coco.py'
    model = build(config, test_cfg=dict(nms=dict(type='soft_nms', iou_threshold=0.5))).eval()
    with torch.no_grad():
        assert all(len(sample.pred_instances) for sample in model(**batch(model), mode='predict'))


@pytest.mark.parametrize('dcn', [dict(type='DCN', deform_groups=1), dict(type='DCNv2', deform_groups=2)])
def test_a_resnet_with_deformable_convolutions(dcn):
    model = ResNet(
        50,
        base_channels=8,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(1, 2),
        dcn=dict(dcn, fallback_on_stride=False),
        stage_with_dcn=(False, True, True),
    )
    features = model(torch.randn(2, 3, 32, 64))
    assert [tuple(feature.shape[1:]) for feature in features] == [(64, 4, 8), (128, 2, 4)]
    sum(feature.square().sum() for feature in features).backward()
    assert not tiny.without_gradient(model)
