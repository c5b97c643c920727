"""Pictures while validating and testing."""

from types import SimpleNamespace

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from PIL import Image
from torch import nn

from mmparts.engine import PictureHook
from mmparts.tasks import Detection


def sample_of(tmp_path, name: str = 'a.png') -> DetDataSample:
    Image.fromarray(np.full((40, 60, 3), 128, np.uint8)).save(tmp_path / name)
    boxes = torch.tensor([[10.0, 10, 30, 30]])
    return DetDataSample(
        gt_instances=InstanceData(bboxes=boxes, labels=torch.tensor([0])),
        pred_instances=InstanceData(bboxes=boxes, labels=torch.tensor([0]), scores=torch.tensor([0.9])),
        metainfo=dict(img_path=str(tmp_path / name)),
    )


def test_sample_is_drawn_from_its_file(tmp_path):
    page = Detection().draw_file(sample_of(tmp_path), ['disc'], 0.3)
    left, right = np.asarray(page)[40:, : page.width // 2], np.asarray(page)[40:, page.width // 2 :]
    assert left.std() > 1 and right.std() > 1


class Model(nn.Module):
    task = 'detection'


def test_hook_writes_a_picture_for_each_test_image(tmp_path):
    runner = SimpleNamespace(
        model=Model(),
        visualizer=SimpleNamespace(dataset_meta=dict(classes=['disc'])),
        work_dir=str(tmp_path),
        logger=SimpleNamespace(info=print),
    )
    hook = PictureHook(test_dir=str(tmp_path / 'out'), sheet_size=1)
    hook.before_test_epoch(runner)
    hook.after_test_iter(runner, 0, None, [sample_of(tmp_path, 'a.png'), sample_of(tmp_path, 'b.png')])
    hook.after_test_epoch(runner)
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['a.jpg', 'b.jpg', 'sheet.png']

    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0, None, [sample_of(tmp_path), DetDataSample()])
    hook.after_val_epoch(runner)
    assert np.asarray(Image.open(tmp_path / 'val_predictions.png')).std() > 1


def test_a_model_without_a_task_is_passed_over(tmp_path):
    runner = SimpleNamespace(model=nn.Linear(1, 1), visualizer=SimpleNamespace(dataset_meta=None), work_dir=tmp_path)
    hook = PictureHook()
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0, None, [sample_of(tmp_path)])
    hook.after_val_epoch(runner)
    assert not (tmp_path / 'val_predictions.png').exists()
