"""What is said at the start of a run: how each parameter was initialised stands in the log file, and nowhere else."""

import pytest
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from torch import nn

import mmparts.engine  # noqa: F401


class Small(BaseModule):
    def __init__(self):
        super().__init__(dict(type='Constant', layer='Linear', val=2.0))
        self.layer = nn.Linear(2, 3)


@pytest.mark.parametrize('with_file', [False, True])
def test_parameters_are_listed_in_a_file_alone(with_file, tmp_path, capsys):
    path = tmp_path / 'run.log'
    MMLogger.get_instance(f'console {tmp_path}', log_file=str(path) if with_file else None)
    model = Small()
    model.init_weights()
    assert float(model.layer.weight.detach()[0, 0]) == 2.0
    printed = capsys.readouterr()
    assert 'layer.weight' not in printed.out + printed.err
    assert not with_file or 'layer.weight - torch.Size([3, 2])' in path.read_text()
