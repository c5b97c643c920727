"""Fine-tuning by class name: which rows go where, what is said, rates, freezing."""

import re

import pytest
import tiny
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmparts.engine.initialisation.fit import last_fit, load_and_account
from mmparts.engine.initialisation.transfer import fine_tune, plan_transfer, rows_of, shapes_of, take

OLD, NEW = ['circle', 'square', 'star', 'ring'], ['ring', 'moon', 'circle']
FAMILIES = ('dino_r50', 'detr_r50', 'dn_detr_r50', 'mask_dino_r50', 'h_detr_r50')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def models(base: str):
    """(config, model) with the old classes and with the new ones."""
    made = []
    for seed, classes in enumerate((OLD, NEW)):
        cfg = tiny.base(base, num_classes=len(classes))
        made.append((cfg, tiny.build(cfg, seed)))
    return made


@pytest.mark.parametrize('base', FAMILIES)
def test_rows_of_classes_that_both_know_are_taken_and_nothing_else_of_them(base):
    (_, old), (cfg, new) = models(base)
    state = {name: value.clone() for name, value in old.state_dict().items()}
    before = {name: value.clone() for name, value in new.state_dict().items()}
    plan = plan_transfer(cfg, state, OLD, NEW)
    assert plan.shared == ['ring', 'circle'] and plan.added == ['moon'] and plan.gone == ['square', 'star']
    differing = {name for name, value in before.items() if value.shape != state[name].shape}
    assert set(plan.rows) == differing and len(differing) >= 2 and not plan.new and not plan.unused
    take(new, state, plan)
    load_and_account(new, state)
    for name, value in new.state_dict().items():
        if name not in differing:
            assert torch.equal(value, old.state_dict()[name]), name
            continue
        source, extra = old.state_dict()[name], len(value) - len(NEW)
        assert torch.equal(value[0], source[3]) and torch.equal(value[2], source[0]), name
        torch.testing.assert_close(value[1], source[: len(OLD)].mean(0))
        assert torch.equal(value[len(NEW) :], source[len(OLD) :]) and extra == len(source) - len(OLD)
    fit = last_fit[new]
    assert 0.9 < fit.share < 1 and '100.0 %' not in str(fit) and len(fit.in_part) == len(differing)


def test_denoising_and_proposals_are_among_the_class_tensors():
    (_, old), (cfg, _) = models('dino_r50')
    found = plan_transfer(cfg, old.state_dict(), OLD, NEW).rows
    assert any(name.startswith('groups.') for name in found), 'label embeddings of denoising'
    assert any(name.startswith('queries.') for name in found) or len([n for n in found if 'class' in n]) > 2


def test_another_order_of_the_same_classes_is_a_permutation():
    cfg, model = models('dino_r50')[0]
    state = dict(model.state_dict())
    plan = plan_transfer(cfg, state, OLD, OLD[::-1])
    take(tiny.build(cfg, 1), state, plan)
    (name, *_) = plan.rows
    assert torch.equal(state[name][0], model.state_dict()[name][3]) and not plan.fresh()


@pytest.mark.parametrize('base', sorted({*FAMILIES} - {'mask_dino_r50'}))  # whose queries are all of the encoder
@pytest.mark.parametrize('number', [5, 23])
def test_another_number_of_queries_takes_the_slots_in_turn(base, number):
    cfg, old = models(base)[0]
    other = tiny.base(base, num_classes=len(OLD), num_queries=number)
    new, state = tiny.build(other, 1), dict(old.state_dict())
    plan = plan_transfer(other, state, OLD, OLD)
    differing = {name for name, value in new.state_dict().items() if value.shape != state[name].shape}
    assert set(plan.slots) == differing and differing and not plan.fresh() and 'in turn' in str(plan)
    take(new, state, plan)
    load_and_account(new, state)
    for name in differing:
        source, made = old.state_dict()[name], new.state_dict()[name]
        for slot in range(number):
            assert torch.equal(made[slot], source[slot % len(source)]), name


def test_what_does_not_fit_is_listed_with_its_reason():
    (_, old), (cfg, _) = models('dino_r50')
    state = dict(old.state_dict(), **{'old.part': torch.zeros(2)})
    kept = next(name for name in state if name.startswith('neck.') and state[name].dim() == 4)
    state[kept] = torch.zeros(1, 1, 1, 1)
    del state[next(name for name in state if 'norm' in name)]
    plan = plan_transfer(cfg, state, OLD, NEW)
    assert plan.unused == ['old.part']
    assert plan.new[kept].startswith('(1, 1, 1, 1) in the checkpoint, (')
    assert 'not in the checkpoint' in plan.new.values()
    unnamed = plan_transfer(cfg, state, None, NEW)
    assert not unnamed.rows and 'the checkpoint does not name its classes' in unnamed.new.values()
    other = plan_transfer(cfg, state, OLD[:2], NEW)
    assert 'which is not made for its 2 classes' in ' '.join(other.new.values())


def test_rates_and_freezing_are_written_into_the_config():
    (_, old), (cfg, _) = models('dino_r50')
    dataset = dict(type='mmparts.CheckedCocoDataset', metainfo=dict(classes=tuple(NEW)))
    whole = Config(
        dict(
            model=cfg, train_dataloader=dict(dataset=dataset), optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3))
        )
    )
    checkpoint = dict(state_dict=dict(old.state_dict()), meta=dict(dataset_meta=dict(CLASSES=OLD)))
    fine_tune(whole, 'old.pth', checkpoint, old_rate=0.1, freeze=['backbone'])
    keys = whole.optim_wrapper.paramwise_cfg.custom_keys
    assert whole.optim_wrapper.optimizer.lr == pytest.approx(1e-4) and whole.load_from == 'old.pth'
    assert keys and all(value == dict(lr_mult=pytest.approx(10)) for value in keys.values())
    assert set(keys) <= {name for name, _ in old.named_parameters()}
    assert whole.default_hooks.frozen_parts.names == ['backbone']


@pytest.mark.parametrize('base', FAMILIES)
def test_what_fine_tuning_of_pre_trained_models_leaves_out_covers_every_class_tensor(base):
    patterns = Config.fromfile(tiny.CONFIGS / '_base_' / 'fine_tune.py').fine_tune.leave_out
    cfg = tiny.base(base, num_classes=4)
    found = rows_of(cfg, shapes_of(cfg), 'num_classes')
    assert found and not [name for name in found if not any(re.fullmatch(pattern, name) for pattern in patterns)]
