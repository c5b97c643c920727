"""A classifier: tiny, trained, recorded, drawn."""

import json

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from tiny import build, total, without_gradient
from torch import nn

from mmparts.registry import MODELS
from mmparts.structures import ImageSample
from mmparts.tasks import Classification, task_of


@MODELS.register_module(force=True)
class Guess(BaseModel):
    """A layer on the mean colour."""

    task = 'classification'

    def __init__(self, embed_dims: int = 256, num_classes: int = 4):
        super().__init__(data_preprocessor=dict(type='mmdet.DetDataPreprocessor', mean=[0], std=[255]))
        self.num_classes = num_classes
        self.stem, self.head = nn.Linear(3, embed_dims), nn.Linear(embed_dims, num_classes)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        logits = self.head(self.stem(inputs.mean((2, 3))).relu())
        if mode == 'loss':
            return dict(loss=nn.functional.cross_entropy(logits, torch.stack([each.gt_label for each in data_samples])))
        for sample, scores in zip(data_samples or (), logits.softmax(-1)):
            sample.pred_scores, sample.pred_label = scores, scores.argmax(-1, keepdim=True)
        return logits if mode == 'tensor' else data_samples


def test_a_classifier_trains_a_tiny_step_and_is_recorded_and_drawn():
    cfg = Config(dict(model=dict(type='mmparts.Guess')))
    task = task_of(cfg)
    model = build(task.tiny(cfg)).train()
    assert isinstance(task, Classification) and model.stem.out_features == 32
    data = task.batch(model)
    total(model(**data, mode='loss')).backward()
    assert not without_gradient(model)
    (sample, _) = model.eval()(**data, mode='predict')
    record = json.loads(json.dumps(task.record(sample, ['a', 'b', 'c', 'd'])))
    assert record['labels'][0] == int(sample.pred_label) and sorted(record['names']) == ['a', 'b', 'c', 'd']
    assert record['scores'] == sorted(record['scores'], reverse=True) and record['width'] == 288
    assert task.summary(record).startswith(record['names'][0])
    image = np.zeros((64, 64, 3), np.uint8)
    assert task.draw(image, sample).width > task.plain(image).width * 2


def test_scores_below_the_threshold_are_left_out():
    sample = ImageSample(pred_scores=torch.tensor([0.1, 0.7, 0.2]))
    assert Classification().record(sample, score_thr=0.15)['labels'] == [1, 2]
    assert Classification().summary(Classification().record(sample, score_thr=0.9)) == 'no class above the threshold'
    assert Classification().annotations(dict(gt_label=3), dict) == [(3, None)]
