"""An image's detections are its own: alone, in a batch, beside images of other sizes."""

import random

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from PIL import Image

import mmparts
from mmparts.datasets import BadImage
from mmparts.inference.detector import Detector, Failure, in_batches
from mmparts.inference.inferencer import Inferencer


# holds: images of unequal sizes in a batch
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


@pytest.fixture(params=['dino/dino-4scale_small_2xb4-7e_shapes.py', 'detr/detr_small_1xb8-9e_shapes.py'])
def untrained(request, tmp_path):
    """A shipped config, and random weights for it."""
    cfg = Config.fromfile(mmparts.config(request.param))
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    init_default_scope('mmdet')
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), tmp_path / 'weights.pth')
    return cfg, str(tmp_path / 'weights.pth')


def draw(folder, *sizes) -> list[str]:
    """Noise of these (height, width)."""
    rng = np.random.default_rng(0)
    paths = [str(folder / f'{number}.png') for number in range(len(sizes))]
    for path, size in zip(paths, sizes):
        cv2.imwrite(path, rng.integers(0, 256, (*size, 3), np.uint8))
    return paths


# holds: images of unequal sizes in a batch
def test_a_whole_detector_sees_each_picture_alone(untrained, tmp_path):
    detector = Detector(*untrained)
    paths = draw(tmp_path, (48, 64), (64, 48), (48, 64), (40, 64), (64, 48), (48, 64))
    alone, together = ([*detector(paths, size)] for size in (1, 3))
    for one, other in zip(alone, together, strict=True):
        assert one.img_path == other.img_path
        for key in ('scores', 'bboxes'):
            torch.testing.assert_close(one.pred_instances[key], other.pred_instances[key], rtol=1e-4, atol=1e-4)


# holds: arrays H W
@pytest.mark.parametrize('untrained', ['detr/detr_small_1xb8-9e_shapes.py'], indirect=True)
def test_a_list_of_anything_goes_through_the_inferencer(untrained, tmp_path):
    cfg, weights = untrained
    (path,) = draw(tmp_path, (48, 64))
    colours = cv2.imread(path)
    grey = colours[..., 0]
    (tmp_path / 'broken.jpg').write_bytes(b'none')
    inferencer = Inferencer(cfg, weights, device='cpu', show_progress=False)
    given = [path, str(tmp_path / 'broken.jpg'), colours, Image.open(path), 7, grey, grey[..., None], colours[:, :50]]
    found = inferencer(given, batch_size=3)['predictions']
    assert [sorted(each) for each in found if 'error' in each] == [['error', 'input']] * 2
    assert 'broken.jpg: its 4 bytes are no image' in found[1]['error'] and 'an input is int' in found[4]['error']
    for other in (2, 3):
        np.testing.assert_allclose(found[other]['scores'], found[0]['scores'], atol=1e-5)
    np.testing.assert_allclose(found[6]['bboxes'], found[5]['bboxes'], atol=1e-3)
    assert len(found) == len(given) and len(found[7]['scores']) > 0
    with pytest.raises(BadImage, match='are no image'):
        inferencer(str(tmp_path / 'broken.jpg'))
    turned = Inferencer(cfg, weights, device='cpu', show_progress=False, channel_order='rgb')
    again = turned([colours[..., ::-1]])['predictions'][0]
    np.testing.assert_allclose(again['scores'], found[0]['scores'], atol=1e-5)
    with pytest.raises(ValueError, match="there are 'bgr' and 'rgb'"):
        Inferencer(cfg, weights, channel_order='gbr')
