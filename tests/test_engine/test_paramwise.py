"""Groups of an optimizer: merged they train as one for each tensor did, and take over what such a run saved."""

import copy

import pytest
import torch
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmparts.engine.optim.paramwise import ParamwiseConstructor, regroup

PARAMWISE = dict(norm_decay_mult=0.0, custom_keys={'backbone': dict(lr_mult=0.1), 'head.2': dict(decay_mult=0.0)})
WRAPPER = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.1))


def net() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Module()
    model.backbone = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 8))
    model.head = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    model.backbone[0].bias.requires_grad_(False)
    return model


def steps(model, wrapper, count):
    random = torch.Generator().manual_seed(1)
    for _ in range(count):
        loss = model.head(model.backbone(torch.randn(5, 4, generator=random))).square().sum()
        wrapper.update_params(loss)


def both():
    """(model, wrapper) with mmengine's groups, and with ours."""
    pairs = []
    for kind in (DefaultOptimWrapperConstructor, ParamwiseConstructor):
        model = net()
        pairs.append((model, kind(copy.deepcopy(WRAPPER), copy.deepcopy(PARAMWISE))(model)))
    return pairs


def test_as_few_groups_as_settings_and_the_same_numbers_after_three_steps():
    (theirs, single), (ours, merged) = both()
    assert len(single.optimizer.param_groups) == 11
    assert len(merged.optimizer.param_groups) == 4  # two rates, norms apart, and the last layer
    assert merged.optimizer.defaults['fused']
    for pair in ((theirs, single), (ours, merged)):
        steps(*pair, 3)
    for a, b in zip(theirs.parameters(), ours.parameters()):
        assert torch.allclose(a, b, atol=1e-6)
    assert not torch.allclose(ours.head[0].weight, net().head[0].weight, atol=1e-3)


def test_a_run_with_a_group_for_each_tensor_goes_on():
    (theirs, single), (ours, merged) = both()
    steps(theirs, single, 2)
    schedule = dict(base_values=[group['lr'] for group in single.param_groups], last_step=2)
    checkpoint = copy.deepcopy(dict(optimizer=single.state_dict(), param_schedulers=[schedule]))
    assert regroup(checkpoint, merged.optimizer)
    ours.load_state_dict(theirs.state_dict())
    merged.load_state_dict(checkpoint['optimizer'])
    assert checkpoint['param_schedulers'][0]['base_values'] == [group['lr'] for group in merged.param_groups]
    for pair in ((theirs, single), (ours, merged)):
        steps(*pair, 2)
    for a, b in zip(theirs.parameters(), ours.parameters()):
        assert torch.allclose(a, b, atol=1e-6)
    assert not regroup(dict(optimizer=merged.state_dict()), merged.optimizer)


def test_a_key_that_fits_nothing_is_refused_with_the_nearest():
    cfg = dict(custom_keys={'bakbone': dict(lr_mult=0.1), 'head': dict(lr_mult=2.0)})
    with pytest.raises(
        ValueError, match=r"has 'bakbone', which is in the name of no parameter; did you mean 'backbone'"
    ):
        ParamwiseConstructor(WRAPPER, cfg)(net())


def test_what_is_not_decayed_keeps_the_rate_of_its_custom_key():
    """Where mmengine would forget `norm_decay_mult`, as a custom key says the rate."""
    model = net()
    wrapper = ParamwiseConstructor(WRAPPER, dict(PARAMWISE, spare_norms=True, no_decay=('head.0.bias',)))(model)
    found = {id(p): (g['lr'], g['weight_decay']) for g in wrapper.param_groups for p in g['params']}
    settings = {name: found[id(each)] for name, each in model.named_parameters() if each.requires_grad}
    assert settings['backbone.1.weight'] == settings['backbone.1.bias'] == (1e-3, 0.0)
    assert settings['backbone.2.weight'] == (1e-3, 0.1) and settings['head.0.bias'] == (1e-2, 0.0)
    with pytest.raises(ValueError, match=r"paramwise_cfg\.no_decay has 'nrom'"):
        ParamwiseConstructor(WRAPPER, dict(no_decay=('nrom',)))(net())


def test_a_fused_step_is_asked_for_only_where_there_is_one():
    wrapper = ParamwiseConstructor(dict(WRAPPER, optimizer=dict(type='Rprop', lr=0.1)), {})(net())
    assert 'fused' not in wrapper.optimizer.defaults
    said = dict(WRAPPER, optimizer=dict(WRAPPER['optimizer'], fused=False))
    assert not ParamwiseConstructor(said, PARAMWISE)(net()).optimizer.defaults['fused']


def test_one_line_says_what_groups_there_are(capsys, caplog):
    both_lines = []
    import mmparts.engine.optim.paramwise as module

    original, module.print_log = module.print_log, lambda text, *args: both_lines.append(text)
    try:
        ParamwiseConstructor(WRAPPER, PARAMWISE)(net())
    finally:
        module.print_log = original
    assert both_lines == ['11 parameters in 4 groups, rates 0.001, 0.01; 1 frozen']


def test_a_run_of_before_resumes_through_the_runner(make_runner):
    """A schedule, an optimizer and weights saved with a group for each tensor go on as if nothing had changed."""
    paramwise = dict(custom_keys={'weight': dict(lr_mult=0.5)})
    plain = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.05), paramwise_cfg=paramwise)
    keep = dict(checkpoint=dict(max_keep_ckpts=-1))
    straight = make_runner(4, 'straight', keep, optim_wrapper=plain)
    straight.train()
    merged = dict(plain, constructor='mmparts.ParamwiseConstructor')
    half_way = f'{straight.work_dir}/epoch_2.pth'
    resumed = make_runner(4, 'resumed', load_from=half_way, resume=True, optim_wrapper=merged)
    resumed.train()
    assert len(resumed.optim_wrapper.optimizer.param_groups) < len(straight.optim_wrapper.optimizer.param_groups)
    for a, b in zip(straight.model.parameters(), resumed.model.parameters()):
        assert torch.allclose(a, b, atol=1e-6)


def test_tied_weights_are_one_parameter():
    """mmengine's constructor hands them to the optimizer under both names, which refuses them."""
    model = net()
    model.head[2].weight, model.backbone[2].weight = (nn.Parameter(torch.ones(8, 8)),) * 2
    with pytest.raises(ValueError, match='more than one parameter group'):
        DefaultOptimWrapperConstructor(copy.deepcopy(WRAPPER), copy.deepcopy(PARAMWISE))(model)
    groups = ParamwiseConstructor(copy.deepcopy(WRAPPER), copy.deepcopy(PARAMWISE))(model).optimizer.param_groups
    held = [id(each) for group in groups for each in group['params']]
    assert sorted(held) == sorted(id(each) for each in model.parameters() if each.requires_grad)
