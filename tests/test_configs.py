"""Every shipped config parses, and at tiny size builds, trains a step that reaches every parameter, and predicts."""
from functools import lru_cache

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config

from tiny import CONFIGS, batch, build, tiny, total, without_gradient

NAMES = [str(path.relative_to(CONFIGS)) for path in sorted(CONFIGS.rglob('*.py'))
         if '_base_' not in path.relative_to(CONFIGS).parts]


@lru_cache(maxsize=None)
def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / name)


DETECTORS = [name for name in NAMES if load(name).get('model', {}).get('type') == 'mmparts.QueryDetector']


@pytest.mark.parametrize('name', NAMES)
def test_parses(name):
    cfg = load(name)
    assert cfg.default_scope == ('mmseg' if 'mmseg' in cfg.model.type else 'mmdet')
    assert (CONFIGS / name).read_text().startswith('# '), 'the first line says what the config is'


@pytest.mark.parametrize('name', DETECTORS)
def test_trains_a_step_and_predicts(name):
    model = build(tiny(load(name))).train()
    data = batch(model)
    losses = model(**data, mode='loss')
    total(losses).backward()
    assert all(value.isfinite() for value in losses.values()), losses
    assert not without_gradient(model)

    model.eval()
    with torch.no_grad():
        raw = model(**data, mode='tensor')
        results = model(**data, mode='predict')
    num_layers, queries = model.decoder.num_layers, 20 * load(name).model.queries.get('num_patterns', 1)
    num_layers += hasattr(model.head, 'mask_branch')  # which also reads what enters the first layer
    num_layers = 1 if hasattr(model.head, 'mask_decoder') else num_layers  # which reads the last layer only
    assert raw['logits'].shape[:3] == raw['boxes'].shape[:3] == (num_layers, 2, queries)
    assert raw['logits'].shape[3] - model.head.num_classes in (0, 1)  # softmax heads have a row for "no object"
    assert raw['boxes'].shape[3] == 4
    assert raw['boxes'].min() >= 0 and raw['boxes'].max() <= 1
    for sample in results:
        assert isinstance(sample, DetDataSample)
        found = sample.pred_instances
        assert len(found.bboxes) == len(found.scores) == len(found.labels) > 0
        assert found.labels.max() < model.head.num_classes
