"""Pretrained weights are counted, and refused when they do not fit."""

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from mmengine.runner import load_checkpoint
from torch import nn

from mmparts.engine import WeightsDoNotFit, load_and_account
from mmparts.engine.initialisation.fit import last_fit


class Net(BaseModule):
    def __init__(self, num_classes: int = 3, init_cfg=None):
        super().__init__(init_cfg)
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
        self.head = nn.Linear(8, num_classes)


def prefixed(prefix: str, state: dict) -> dict:
    return {prefix + name: value for name, value in state.items()}


def save(tmp_path, state: dict) -> str:
    path = str(tmp_path / 'weights.pth')
    torch.save(dict(state_dict=state), path)
    return path


def test_whole_model_is_counted(tmp_path):
    net = Net()
    load_checkpoint(net, save(tmp_path, Net().state_dict()))
    assert str(last_fit[net]) == 'Net: 8/8 tensors, 100.0 % of parameters loaded'


def test_a_hundred_per_cent_is_said_of_whole_models_alone():
    """The head is 1/5000 of the model."""
    net = nn.Sequential(nn.Linear(100, 100, bias=False), nn.Linear(2, 1, bias=False))
    load_and_account(net, {'0.weight': torch.zeros(100, 100)})
    assert str(last_fit[net]) == (
        'Sequential: 1/2 tensors, 99.9 % of parameters loaded; as initialised, not in the file: 1.weight'
    )


def test_head_of_other_shape_is_listed():
    net = Net(num_classes=5)
    load_and_account(net, Net().state_dict())
    fit = last_fit[net]
    assert fit.loaded_tensors == 6 and 0.8 < fit.share < 1
    assert fit.misshaped[0] == 'head.weight (3, 8), the model has (5, 8)'


@pytest.mark.parametrize('keep', [0, 2])
def test_too_little_is_refused(tmp_path, keep):
    state = {f'other.{index}': value for index, value in enumerate(Net().state_dict().values())}
    state.update(list(Net().state_dict().items())[-keep:] if keep else {})
    with pytest.raises(WeightsDoNotFit, match=f'{keep}/8 tensors'):
        load_checkpoint(Net(), save(tmp_path, state))


def test_init_cfg_names_the_prefix(tmp_path):
    path = save(tmp_path, prefixed('model.encoder.', Net().state_dict()))
    net = Net(init_cfg=dict(type='Pretrained', checkpoint=path))
    with pytest.raises(WeightsDoNotFit, match="prefix='model.encoder.'"):
        net.init_weights()

    net = Net(init_cfg=dict(type='Pretrained', checkpoint=path, prefix='model.encoder.'))
    net.init_weights()
    assert last_fit[net].share == 1


def test_weights_of_a_part_name_the_part():
    with pytest.raises(WeightsDoNotFit, match="fit the part 'backbone'"):
        load_and_account(nn.ModuleDict(dict(backbone=Net(), neck=nn.Linear(1, 1))), Net().state_dict())


def test_module_that_renames_keys_is_counted_rightly():
    class Renamer(nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *args):
            state_dict[prefix + 'weight'] = state_dict.pop(prefix + 'old_weight')
            super()._load_from_state_dict(state_dict, prefix, *args)

    net = Renamer(2, 2, bias=False)
    load_and_account(net, dict(old_weight=torch.ones(2, 2)))
    assert last_fit[net].share == 1


def test_minimum_can_be_lowered(monkeypatch):
    monkeypatch.setenv('MMPARTS_MIN_LOADED', '0')
    load_and_account(Net(), dict(other=torch.ones(1)))


def test_line_is_logged(tmp_path, capsys):
    logger = MMLogger.get_instance('fit', log_level='INFO')
    load_and_account(Net(), Net().state_dict(), logger=logger)
    assert 'Net: 8/8 tensors, 100.0 % of parameters loaded' in ''.join(capsys.readouterr())
