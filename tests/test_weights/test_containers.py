"""Weights are found in what published files wrap them in; of several one is taken, and that is said."""

import argparse

import numpy as np
import pytest
import torch

from mmparts.weights.containers import CONTAINERS, unwrap
from mmparts.weights.errors import WeightsDoNotFit

STATE = {'a': torch.zeros(1), 'b.c': torch.ones(2)}
OTHER = {'a': torch.ones(1), 'b.c': torch.ones(2)}


@pytest.mark.parametrize('name', CONTAINERS)
def test_every_container_is_opened(name):
    found = unwrap({name: STATE, 'optimizer': {'state': {0: torch.ones(3)}}, 'epoch': 3})
    assert found.state.keys() == STATE.keys() and found.said == []


@pytest.mark.parametrize('prefix', ['module.', '_orig_mod.', 'module._orig_mod.'])
def test_wrappers_and_nesting_are_opened(prefix):
    wrapped = {prefix + name: tensor for name, tensor in STATE.items()}
    for content in (wrapped, dict(state_dict=dict(model=wrapped)), dict(model=dict(module=wrapped))):
        assert unwrap(content).state.keys() == STATE.keys()


def test_a_prefix_of_some_names_stays():
    state = {'module.a': torch.zeros(1), 'b': torch.zeros(1)}
    assert unwrap(state).state.keys() == state.keys()


class TestChoice:
    @pytest.mark.parametrize(
        ('names', 'taken'),
        [
            (('model', 'model_ema'), 'model_ema'),
            (('student', 'teacher'), 'teacher'),
            (('params', 'params_ema'), 'params_ema'),
            (('ema_state_dict', 'state_dict'), 'state_dict'),
        ],
    )
    def test_it_is_said_in_one_line(self, names, taken):
        found = unwrap({name: STATE if name == taken else OTHER for name in names})
        assert torch.equal(found.state['a'], STATE['a'])
        (line,) = found.said
        assert f'under {taken!r}' in line and all(repr(name) in line for name in names) and '--key' in line

    def test_a_key_chooses(self):
        content = dict(model=STATE, model_ema=dict(module=OTHER))
        for key in ('model_ema', 'model_ema.module'):
            found = unwrap(content, key)
            assert torch.equal(found.state['a'], OTHER['a']) and found.said == []
        assert unwrap(dict(own_name=STATE), 'own_name').state.keys() == STATE.keys()

    def test_a_key_that_is_not_there(self):
        with pytest.raises(WeightsDoNotFit, match="nothing under 'ema'; weights lie under 'model'"):
            unwrap(dict(model=STATE), 'ema')


class TestContent:
    def test_arrays_become_tensors_and_what_is_neither_is_said(self):
        found = unwrap(dict(model={'w': np.ones(2, 'f4'), 'step': 5, 'name': 'x'}))
        assert torch.equal(found.state['w'], torch.ones(2)) and set(found.state) == {'w'}
        assert found.said == ['left out what is no tensor: step, name']

    @pytest.mark.parametrize('content', [{}, dict(model={'a': 'text'}), dict(epoch=3)])
    def test_no_weights(self, content):
        with pytest.raises(WeightsDoNotFit, match='no weights found'):
            unwrap(content)

    def test_weights_in_an_unknown_place_are_pointed_at(self):
        with pytest.raises(WeightsDoNotFit, match=r"no weights found.*weights may lie under 'net' \(--key\)"):
            unwrap(dict(net=STATE, epoch=3))

    @pytest.mark.parametrize('content', [torch.ones(2), [STATE]])
    def test_no_names(self, content):
        with pytest.raises(WeightsDoNotFit, match='no weights by name: it holds a'):
            unwrap(content)

    @pytest.mark.parametrize('args', [argparse.Namespace(dilation=True), dict(dilation=True)])
    def test_arguments_are_kept(self, args):
        assert unwrap(dict(model=STATE, args=args)).args == dict(dilation=True)
        assert unwrap(dict(model=STATE)).args == {}
