"""Every shipped config parses; at tiny size it builds, trains steps that reach every parameter, predicts, resumes."""

from functools import cache

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from tiny import CONFIGS, batch, build, mask2former, tiny, total, with_patches, without_gradient
from torch import nn

from mmparts.analysis.complexity import build_on_meta

NAMES = [
    str(path.relative_to(CONFIGS))
    for path in sorted(CONFIGS.rglob('*.py'))
    if '_base_' not in path.relative_to(CONFIGS).parts
]


@cache
def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / name)


DETECTORS, PRETEXT = (
    [name for name in NAMES if load(name).get('model', {}).get('type') == f'mmparts.{kind}']
    for kind in ('QueryDetector', 'PretextDetector')
)
PEERS = [name for name in NAMES if load(name).get('model', {}).get('type') == 'Mask2Former']  # mmdet's own


def small(name: str) -> dict:
    return mask2former(name) if name in PEERS else tiny(load(name))


# Some differ only in what they train on, or for how long, or in the size of what is made tiny.
DISTINCT = list({repr(small(name)): name for name in DETECTORS + PRETEXT + PEERS}.values())


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
    num_layers, queries = model.head.num_layers, 20 * load(name).model.queries.get('num_patterns', 1)
    num_layers += hasattr(model.head, 'mask_branch')  # which also reads what enters the first layer
    assert raw['logits'].shape[:3] == raw['boxes'].shape[:3] == (num_layers, 2, queries)
    assert raw['logits'].shape[3] - model.head.num_classes in (0, 1)  # softmax heads have a row for "no object"
    assert raw['boxes'].shape[3] == 4
    assert raw['boxes'].min() >= 0 and raw['boxes'].max() <= 1
    for sample in results:
        assert isinstance(sample, DetDataSample)
        found = sample.pred_instances
        assert len(found.bboxes) == len(found.scores) == len(found.labels) > 0
        assert found.labels.max() < model.head.num_classes


@pytest.mark.parametrize('name', DISTINCT)
def test_resumes_with_many_objects_beside_none_in_bfloat16(name, tmp_path):
    """After a step and a trip to disk the next one is the same: 300 objects in one image, none in the other. Where
    patches are to be found, there are as many as the queries are dealt to, in both."""
    few, many = ((5, 5), (10, 10)) if load(name).model.get('prompt') else ((3, 0), (300, 0))
    model, fresh = (build(small(name), seed).train() for seed in (0, 1))
    optimiser, other = (torch.optim.AdamW(each.parameters(), lr=1e-3) for each in (model, fresh))
    step(model, optimiser, with_patches(batch(model, counts=few)))
    torch.save([model.state_dict(), optimiser.state_dict()], tmp_path / 'checkpoint.pth')
    for part, state in zip((fresh, other), torch.load(tmp_path / 'checkpoint.pth', weights_only=True)):
        part.load_state_dict(state)

    data = with_patches(batch(model, counts=many))
    with torch.autocast('cpu', torch.bfloat16):
        ours, theirs = (step(*each, data) for each in ((model, optimiser), (fresh, other)))
    assert all(value.isfinite() for value in ours.values()), ours
    assert not without_gradient(model)
    assert ours == theirs
    assert all(value.equal(fresh.state_dict()[key]) for key, value in model.state_dict().items())


def step(model, optimiser, data) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    optimiser.zero_grad()
    losses = model(**data, mode='loss')
    total(losses).backward()
    optimiser.step()
    return losses


UNDECAYED = [
    name
    for name in NAMES
    if 'norm_decay_mult' in load(name).get('optim_wrapper', {}).get('paramwise_cfg', {}) and name not in PEERS
]


@pytest.mark.parametrize('name', UNDECAYED)
def test_norms_and_embeddings_are_not_decayed(name):
    """Neither are the backbone's, whose learning rate is a rule of its own, nor learned queries."""
    cfg = load(name)
    model = build_on_meta(cfg)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    rates = {id(parameter): group['lr'] for group in groups for parameter in group['params']}
    decayed = {id(parameter) for group in groups for parameter in group['params'] if group['weight_decay']}
    kinds = (nn.LayerNorm, nn.GroupNorm, nn.Embedding)
    spared = [module for module in model.modules() if isinstance(module, kinds)]
    wrong = [name for module in spared for name, each in module.named_parameters() if id(each) in decayed]
    wrong += [
        name
        for name, each in model.named_parameters()
        if id(each) in decayed
        and name.split('.')[-1] in ('centre', 'size', 'level_embed', 'relative_position_bias_table')
    ]
    assert spared and decayed and not wrong
    assert {rates[id(each)] for each in model.backbone.parameters() if each.requires_grad} == {1e-5}
    others = {id(each) for each in model.parameters()} - {id(each) for each in model.backbone.parameters()}
    assert {rates[each] for each in others} == {1e-4}
