"""mmparts.load(...).predict(...): from paths, arrays and PIL alike; what a result gives."""

import cv2
import numpy as np
import pytest
import tiny
import torch
from mmengine.config import Config
from PIL import Image
from pycocotools import mask as rle

import mmparts
from mmparts.shipped import config as shipped
from mmparts.tasks import task_of

NAMES = dict(
    boxes='dino/dino-4scale_small_2xb4-7e_shapes.py', masks='mask_dino/mask-dino_small_1xb8-9e_shapes-instance.py'
)


@pytest.fixture(scope='module', params=NAMES)
def files(request, tmp_path_factory, shapes):
    """(config, checkpoint, image) of a tiny model with random weights."""
    folder = tmp_path_factory.mktemp(request.param)
    cfg = Config.fromfile(tiny.CONFIGS / NAMES[request.param])
    cfg.model = task_of(cfg).tiny(cfg)
    model = tiny.build(cfg.model)
    cfg.dump(folder / 'config.py')
    classes = [f'class {number}' for number in range(cfg.model.num_classes)]
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=classes))), folder / 'best_x.pth'
    )
    return str(folder / 'config.py'), str(folder / 'best_x.pth'), str(next((shapes / 'val').iterdir()))


def test_a_path_an_array_and_pil_give_the_same(files):
    config, checkpoint, path = files
    model = mmparts.load(config, checkpoint, 'cpu')
    result = model.predict(path, threshold=0.0)
    assert len(result) == len(result.scores) == len(result.names) > 0
    assert result.boxes.shape == (len(result), 4) and (result.scores[:-1] >= result.scores[1:]).all()
    assert result.names[0] == model.classes[result.labels[0]]
    bgr = cv2.imread(path)
    for other in (
        model.predict(bgr, 0.0),
        model.predict(bgr[..., ::-1], 0.0, channel_order='rgb'),
        model.predict(Image.open(path), 0.0),
        model.predict([path, bgr], 0.0, batch_size=2)[1],
    ):
        np.testing.assert_allclose(other.boxes, result.boxes, atol=1e-2)
        assert other.names == result.names
    higher = model.predict(path, threshold=float(result.scores[0]))
    assert 1 <= len(higher) < len(result)


def test_masks_and_coco(files):
    config, checkpoint, path = files
    result = mmparts.load(config, checkpoint, 'cpu').predict(path, threshold=0.0)
    height, width = cv2.imread(path).shape[:2]
    found = result.to_coco(image_id=7)
    assert found[0]['image_id'] == 7 and found[0]['category_id'] == result.labels[0] + 1
    x, y, w, h = found[0]['bbox']
    np.testing.assert_allclose([x, y, x + w, y + h], result.boxes[0], rtol=1e-5)
    assert result.to_coco(7, list(range(100, 200)))[0]['category_id'] == 100 + result.labels[0]
    if result.masks is None:
        assert 'segmentation' not in found[0]
        return
    assert result.masks.shape == (len(result), height, width) and result.masks.dtype == bool
    mask = found[0]['segmentation']
    assert (rle.decode(dict(mask, counts=mask['counts'].encode())) == result.masks[0]).all()


def test_plot_draws_on_the_image(files, tmp_path):
    config, checkpoint, path = files
    model = mmparts.load(config, checkpoint, 'cpu')
    drawn = model.predict(path, 0.0).plot(str(tmp_path / 'a.png'))
    assert isinstance(drawn, Image.Image) and (tmp_path / 'a.png').stat().st_size > 100
    plain = model.predict(cv2.imread(path), 1.0).plot()
    assert plain.size == drawn.size and np.asarray(plain).tolist() != np.asarray(drawn).tolist()


def test_broken_inputs_keep_their_place_and_raise_alone(files, tmp_path):
    config, checkpoint, path = files
    model = mmparts.load(config, checkpoint, 'cpu')
    (tmp_path / 'broken.jpg').write_bytes(b'no image')
    results = model.predict([path, str(tmp_path / 'broken.jpg'), np.zeros((4, 4, 7), np.uint8)])
    assert [each.error is None for each in results] == [True, False, False]
    assert len(results[1]) == 0 and 'broken.jpg' in repr(results[1]) and '7 channels' in results[2].error
    with pytest.raises(ValueError, match=r'broken\.jpg'):
        model.predict(str(tmp_path / 'broken.jpg'))
    with pytest.raises(ValueError, match='nothing to draw'):
        results[1].plot()


def test_what_load_takes(files):
    config, checkpoint, path = files
    folder = config.rpartition('/')[0]
    assert len(mmparts.load(folder, device='cpu').predict([path], 0.0)[0]) > 0
    with pytest.raises(FileNotFoundError, match='takes a path'):
        mmparts.load('dino-4scale_small_2xb4-7e_shapes')
    with pytest.raises(FileNotFoundError, match='did you mean dino/dino-4scale_small_2xb4-7e_shapes.py'):
        mmparts.load('dino-4scale_smal_2xb4-7e_shapes', checkpoint)
    assert shipped('dino-4scale_small_2xb4-7e_shapes') == mmparts.config(NAMES['boxes'])
