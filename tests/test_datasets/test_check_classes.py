from pathlib import Path

import pytest
import torch
from mmdet.datasets import ConcatDataset
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import nn

from mmparts.datasets import CheckClassesHook, CheckedCocoDataset, set_data_root
from mmparts.datasets.check_classes import check_model, warn_of_overlap
from mmparts.datasets.shapes import CLASSES

CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/shapes_detection.py'
REVERSED = dict(metainfo=dict(classes=CLASSES[::-1]))


class Blind(BaseModel):
    """Sees nothing: one parameter, no detections but one."""

    def __init__(self, num_classes: int = 6):
        super().__init__(data_preprocessor=dict(type='mmdet.DetDataPreprocessor'))
        self.backbone = nn.Linear(1, 1)
        self.backbone.num_classes = 1000
        self.head = nn.Linear(1, 1)
        self.head.num_classes = num_classes

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode == 'loss':
            return dict(loss=self.head.weight.sum())
        for sample in data_samples:
            sample.pred_instances = InstanceData(
                bboxes=torch.tensor([[0.0, 0, 9, 9]]), labels=torch.tensor([0]), scores=torch.ones(1)
            )
        return data_samples


@pytest.fixture
def build(shapes, tmp_path):
    """Builds a runner of the shapes config with the hook; ``train`` and ``val`` change the data sets."""

    def build(num_classes: int = 6, train=None, val=None, **kwargs) -> Runner:
        cfg = set_data_root(Config.fromfile(CONFIG), str(shapes))
        for loader, change in ((cfg.train_dataloader, train), (cfg.val_dataloader, val), (cfg.test_dataloader, val)):
            loader.update(num_workers=0, persistent_workers=False)
            loader.dataset.update(change or {})
        return Runner(
            model=Blind(num_classes),
            work_dir=str(tmp_path / 'work'),
            default_scope='mmdet',
            train_dataloader=cfg.train_dataloader,
            val_dataloader=cfg.val_dataloader,
            test_dataloader=cfg.test_dataloader,
            val_evaluator=cfg.val_evaluator,
            test_evaluator=cfg.test_evaluator,
            train_cfg=dict(by_epoch=True, max_epochs=1),
            val_cfg=dict(),
            test_cfg=dict(),
            optim_wrapper=dict(type=OptimWrapper, optimizer=dict(type=torch.optim.SGD, lr=0.1)),
            default_hooks=dict(check_classes=dict(type=CheckClassesHook)),
            experiment_name=f'{tmp_path.name}',
            **kwargs,
        )

    return build


@pytest.fixture
def checkpoint(tmp_path) -> str:
    """A checkpoint that learned the classes in the other order."""
    path = str(tmp_path / 'reversed.pth')
    torch.save(dict(state_dict=Blind().state_dict(), meta=dict(dataset_meta=dict(classes=CLASSES[::-1]))), path)
    return path


def test_training_and_testing_in_one_order_pass(build):
    runner = build()
    runner.train()
    assert runner.iter == 3
    assert 'coco/bbox_mAP' in runner.test()


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(val=REVERSED), "the train set.*the val set.*label 0: 'circle' / 'cross'"),
        (dict(val=dict(metainfo=dict(classes=CLASSES[:2]), ignore_categories='*')), '6 classes and the val set 2'),
        (dict(num_classes=80), 'num_classes=80 in head .*6 classes.*Set num_classes=6'),
    ],
)
def test_disagreement_is_refused_before_the_first_step(build, change, words):
    runner = build(**change)
    with pytest.raises(ValueError, match=words):
        runner.train()
    assert runner.iter == 0


@pytest.mark.parametrize('mode', ['val', 'test', 'train'])
def test_a_checkpoint_of_other_classes_is_neither_tested_nor_resumed(build, checkpoint, mode):
    runner = build(load_from=checkpoint, resume=mode == 'train')
    with pytest.raises(ValueError, match=f"the checkpoint.*the {mode} set.*label 0: 'cross' / 'circle'"):
        getattr(runner, mode)()


def test_a_checkpoint_of_other_classes_may_be_fine_tuned_or_met_by_name(build, checkpoint):
    build(load_from=checkpoint).train()
    build(load_from=checkpoint, val=REVERSED).test()


def coco_set(root, **kwargs) -> CheckedCocoDataset:
    return CheckedCocoDataset(ann_file='ann.json', data_root=str(root), data_prefix=dict(img=''), **kwargs)


# holds: images that are trained on and validate
@pytest.mark.parametrize(
    ('train', 'val', 'words'),
    [
        (None, None, 'the validation set is the training set'),
        (None, [1], '1 of 1 validation images are trained on, too'),
        ([0, 1], [1, 2], '1 of 2 validation images are trained on, too'),
        ([0], [1, 2], None),
    ],
)
def test_images_that_are_trained_on_and_validate_are_told_of(write_coco, monkeypatch, train, val, words):
    root = write_coco([[('car', 1, 1, 9, 9)]] * 3)
    lines = []
    monkeypatch.setattr('mmparts.datasets.check_classes.print_log', lambda line, *_: lines.append(line))
    warn_of_overlap(coco_set(root, indices=train), coco_set(root, indices=val, test_mode=True))
    assert len(lines) == (words is not None) and (words or '') in ''.join(lines)
    warn_of_overlap(ConcatDataset([coco_set(root, indices=train)] * 2), coco_set(root, indices=val))
    assert len(lines) == 2 * (words is not None), 'in a wrapper, too'


def test_a_trained_model_is_not_told_to_change_its_classes():
    model = torch.nn.Module()
    model.num_classes = 80
    with pytest.raises(ValueError, match='Set num_classes=1'):
        check_model(model, 'train', ('cell',), training=True)
    with pytest.raises(ValueError, match=r"some of the 80 classes .*allow_missing='\*'.*CheckedCocoMetric\(classes"):
        check_model(model, 'test', ('cell',), training=False)
