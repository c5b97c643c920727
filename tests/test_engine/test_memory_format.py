"""Channels last: the same numbers, with convolutions' weights in another order."""

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

import mmparts  # noqa: F401
from mmparts.engine import ChannelsLastHook


class Convolutions(BaseModel):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))
        self.orders = []

    def forward(self, images, mode='tensor'):
        out = self.layers(images)
        self.orders.append(out.is_contiguous(memory_format=torch.channels_last) and not out.is_contiguous())
        return dict(loss=out.square().mean())


def trained(tmp_path, hooks) -> Convolutions:
    torch.manual_seed(0)
    model = Convolutions()
    images = [dict(images=image) for image in torch.randn(4, 3, 12, 12)]
    runner = Runner(
        model,
        str(tmp_path),
        train_dataloader=DataLoader(images, 2),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=hooks,
        experiment_name=f'order_{len(hooks)}',
        log_level='ERROR',
    )
    runner.train()
    return model


def test_channels_last_trains_the_same_model_on_maps_of_that_order(tmp_path):
    plain, other = trained(tmp_path / 'plain', []), trained(tmp_path / 'last', [ChannelsLastHook()])
    assert not any(plain.orders) and all(other.orders)
    for mine, theirs in zip(other.parameters(), plain.parameters()):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
    assert other.layers[0].weight.is_contiguous(memory_format=torch.channels_last)
