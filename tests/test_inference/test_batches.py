"""A picture's detections are its own: alone, in a batch, beside pictures of other sizes."""

import random

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

import mmparts
from mmparts.inference.detector import Detector, Failure, in_batches


@pytest.mark.parametrize('seed', range(20))
def test_results_come_in_order_and_batches_are_of_one_shape(seed):
    draw = random.Random(seed)
    size = draw.randint(1, 5)
    items = [
        Failure(str(i), 'bad') if draw.random() < 0.1 else dict(n=i, inputs=torch.zeros(draw.choice([1, 2, 3])))
        for i in range(draw.randint(0, 60))
    ]
    read, batches = [], []

    def predict(batch):
        assert len({item['inputs'].shape for item in batch}) == 1
        batches.append(len(batch))
        return [item['n'] for item in batch]

    def reading():
        for item in items:
            read.append(item)
            yield item

    found = []
    for result in in_batches(reading(), predict, size):
        assert len(read) - len(found) <= 8 * size + 2, 'a long list is not held in memory'
        found.append(int(result.path) if isinstance(result, Failure) else result)
    assert found == list(range(len(items)))
    assert max(batches, default=0) <= size


@pytest.mark.parametrize('config', ['dino/dino-4scale_small_2xb4-7e_shapes.py', 'detr/detr_small_1xb8-9e_shapes.py'])
def test_a_whole_detector_sees_each_picture_alone(tmp_path, config):
    cfg = Config.fromfile(mmparts.config(config))
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    from mmengine.registry import MODELS, init_default_scope

    init_default_scope('mmdet')
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), tmp_path / 'weights.pth')
    detector = Detector(cfg, str(tmp_path / 'weights.pth'))
    rng = np.random.default_rng(0)
    paths = []
    for number, (height, width) in enumerate([(48, 64), (64, 48), (48, 64), (40, 64), (64, 48), (48, 64)]):
        paths.append(str(tmp_path / f'{number}.png'))
        cv2.imwrite(paths[-1], rng.integers(0, 256, (height, width, 3), np.uint8))
    alone, together = ([*detector(paths, size)] for size in (1, 3))
    for one, other in zip(alone, together, strict=True):
        assert one.img_path == other.img_path
        for key in ('scores', 'bboxes'):
            torch.testing.assert_close(one.pred_instances[key], other.pred_instances[key], rtol=1e-4, atol=1e-4)
