"""Segmentors of mmseg and ours, images and volumes: tiny, trained, recorded, drawn."""

import json
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement, PixelData
from mmseg.structures import SegDataSample
from pycocotools import mask as rle
from tiny import build, total, without_gradient
from torch import nn

from mmparts.analysis.complexity import build_on_meta, count_macs
from mmparts.registry import MODELS
from mmparts.tasks import Segmentation, task_of


@MODELS.register_module(force=True)
class Ladder(nn.Module):
    """Two maps of an image or a volume."""

    def __init__(self, in_channels: int = 3, dims: int = 2, channels=(64, 128)):
        super().__init__()
        conv = (nn.Conv2d, nn.Conv3d)[dims - 2]
        self.channels, self.strides, self.in_channels = tuple(channels), (2, 4), in_channels
        self.convs = nn.ModuleList(conv(a, b, 3, 2, 1) for a, b in zip((in_channels, *channels), channels))

    def forward(self, x):
        first = self.convs[0](x)
        return [first, self.convs[1](first.relu())]


@MODELS.register_module(force=True)
class Sum(nn.Module):
    """The decoder: the coarse map onto the fine one."""

    def __init__(self, in_channels, dims: int = 2):
        super().__init__()
        self.channels = in_channels[:1]
        self.conv = (nn.Conv2d, nn.Conv3d)[dims - 2](in_channels[1], in_channels[0], 1)

    def forward(self, maps):
        return [maps[0] + nn.functional.interpolate(self.conv(maps[1]), maps[0].shape[2:])]


def segmentor(dims: int, in_channels: int = 3, **changes) -> dict:
    return dict(
        type='mmparts.Segmentor',
        encoder=dict(type='mmparts.Ladder', channels=(64, 128)),
        decoder=dict(type='mmparts.Sum'),
        dims=dims,
        in_channels=in_channels,
        num_classes=3,
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=4),
        **changes,
    )


UPERNET = Path(mmseg.__file__).parent / '.mim/configs/upernet/upernet_r50_4xb4-160k_ade20k-512x512.py'
BCE = dict(type='mmparts.BinaryCrossEntropyTerm')
MODELS_OF = {
    'image': segmentor(2),
    'cube of 20 bands': segmentor(2, 20),
    'volume': segmentor(3, 2),
    'regions': segmentor(3, 2, head=dict(type='mmparts.RegionHead', dims=3), terms=[BCE]),
    'mmseg': Config.fromfile(UPERNET).model,
}


@pytest.mark.parametrize('name', MODELS_OF)
def test_every_kind_trains_a_tiny_step_and_is_recorded_and_drawn(name):
    cfg = Config(dict(model=MODELS_OF[name], default_scope='mmseg'))
    task = task_of(cfg)
    model = build(task.tiny(cfg), scope='mmseg').train()
    assert isinstance(task, Segmentation) and sum(each.numel() for each in model.parameters()) < 1e6
    data = task.batch(model)
    objects = [(sample.gt_sem_seg.data % 255).any() for sample in data['data_samples']]  # mmseg pads with 255
    assert objects == [True, False]
    total(model(**data, mode='loss')).backward()
    assert not without_gradient(model)

    with torch.no_grad():
        results = model.eval()(**data, mode='predict')
    for sample in results:
        record = json.loads(json.dumps(task.record(sample)))
        data = sample.pred_sem_seg.data
        assert record['segments'] and task.summary(record)
        assert sum(one['area'] for one in record['segments']) == (data.numel() if len(data) == 1 else data.sum())
        for one in record['segments']:
            mask = data[0] == one['label'] if len(data) == 1 else data[one['label']] > 0
            assert (rle.decode(one['mask']).reshape(mask.shape) == mask.numpy()).all() and one['size'] == list(
                mask.shape
            )
        shape = data.shape[1:]
        image = np.random.rand(2, *shape) if len(shape) == 3 else np.zeros((*shape, 3), np.uint8)
        page = task.draw(image, sample)
        assert page.width > 2 * task.plain(image).width - 1


def test_a_config_of_mmseg_is_counted():
    cfg = Config.fromfile(UPERNET)
    cfg.model.backbone.norm_cfg = cfg.model.decode_head.norm_cfg = cfg.model.auxiliary_head.norm_cfg = dict(type='BN')
    task, model = task_of(cfg), build_on_meta(cfg)
    assert task.size(cfg) == (512, 2048)
    total = count_macs(model, (512, 512))['total']
    assert total == pytest.approx(237e9, rel=0.01)  # mmseg's tools/analysis_tools/get_flops.py


def test_the_size_of_volumes_is_the_tile_of_inference():
    cfg = dict(model=segmentor(3, inference=dict(size=(64, 64, 32))))
    assert Segmentation().size(cfg) == (64, 64, 32)
    assert Segmentation().size(dict(model=segmentor(3))) == (96, 96, 96)
    assert Segmentation().size(dict(model=segmentor(2))) == (512, 512)


def test_the_map_that_the_pipeline_loads_is_counted():
    labels = np.zeros((4, 6), np.uint8)
    labels[:, 3:], labels[0, 0] = 2, 255
    assert Segmentation().annotations({}, lambda info: dict(info, gt_seg_map=labels)) == [(0, 11**0.5), (2, 12**0.5)]
    assert Segmentation().annotations({}, dict) == []


def test_only_what_is_there_is_drawn():
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.zeros(1, 8, 8).int()))
    image = np.zeros((8, 8, 3), np.uint8)
    assert [heading for heading, _ in Segmentation().views(image, sample, 'gt', ['sky'], 0.0)] == ['ground truth']
    assert Segmentation().views(image, sample, 'pred', ['sky'], 0.0) == []
    with pytest.raises(KeyError, match='no pred_sem_seg'):
        Segmentation().record(BaseDataElement())
