"""What the optimisers of the family's configs decay, and at which rates they train."""

from functools import cache

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from tiny import CONFIGS
from torch import nn

from mmparts.analysis.complexity import build_on_meta
from mmparts.analysis.config_checks.config_files import shipped
from mmparts.detr.detector import QueryDetector
from mmparts.registry import resolve

load = cache(Config.fromfile)
UNDECAYED = [
    str(path.relative_to(CONFIGS))
    for path in shipped(CONFIGS)
    if 'mmparts.' in load(path).model.type
    and issubclass(resolve(load(path).model), QueryDetector)
    and 'norm_decay_mult' in load(path).optim_wrapper.get('paramwise_cfg', {})
]


@pytest.mark.parametrize('name', UNDECAYED)
def test_norms_and_embeddings_are_not_decayed(name):
    """Neither are the backbone's, whose learning rate is a rule of its own, nor learned queries."""
    cfg = load(CONFIGS / name)
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
