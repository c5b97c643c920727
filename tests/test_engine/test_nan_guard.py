"""A loss or gradient that is not finite: named before it reaches the weights, and done again from the bundle."""

import copy

import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import MODELS
from mmengine.structures import InstanceData
from torch import nn
from toy import Toy

from mmparts.analysis.replay import replay
from mmparts.engine import NonFiniteLoss
from mmparts.engine.checkpoints.plain import plain, restored
from mmparts.engine.faults.forensics import diagnose, random_states, tensors


class Root(nn.Module):
    """Finite at 0, with a gradient that is not."""

    def forward(self, x):
        return (x - x.detach()).sqrt() + x


@MODELS.register_module(force=True)
class SpoiltToy(Toy):
    """A toy that goes bad with the third step: 'root' on the way back, 'log' in a loss."""

    def __init__(self, spoilt: str = 'root', **kwargs):
        super().__init__(**kwargs)
        self.spoilt, self.root = spoilt, Root()
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        losses = super().forward(inputs, data_samples, mode)
        if mode != 'loss':
            return losses
        self.steps += 1
        if self.steps > 2 and self.spoilt == 'matching':
            raise FloatingPointError('costs of images/1.jpg are not finite')
        if self.steps > 2:
            x = self.head.weight.sum()
            losses['loss_size'] = self.root(x) if self.spoilt == 'root' else losses['loss_size'] + (x - x).log()
        return losses


# holds: a loss or gradient that is not finite
@pytest.mark.parametrize('clip', [None, dict(max_norm=1.0), dict(clip_value=1.0)])
@pytest.mark.parametrize('spoilt', ['root', 'log'])
def test_weights_stay_finite_and_the_first_bad_thing_is_named(make_runner, spoilt, clip):
    kinds = dict(type='value', **clip) if clip and 'clip_value' in clip else clip
    wrapper = dict(optimizer=dict(type='AdamW', lr=0.05), **({'clip_grad': kinds} if clip else {}))
    runner = make_runner(model=dict(type='SpoiltToy', spoilt=spoilt), optim_wrapper=wrapper)
    with pytest.raises(NonFiniteLoss) as error:
        runner.train()
    text = str(error.value)
    assert 'is not finite at epoch 1, step 3 (iter 3):' in text and text.count('.jpg') == 2
    assert "learning rate: {'lr': 0.05}" in text and 'tools/replay.py' in text
    if spoilt == 'root':
        assert 'first bad gradients: ' in text and 'head.weight (parameter)' in text and 'bad losses' not in text
    else:
        assert 'bad losses: loss_size=-inf' in text
    assert all(torch.isfinite(value).all() for value in runner.model.state_dict().values())


def test_what_a_part_refuses_before_there_is_a_loss_is_reported_too(make_runner):
    runner = make_runner(model=dict(type='SpoiltToy', spoilt='matching'))
    with pytest.raises(NonFiniteLoss) as error:
        runner.train()
    assert 'what the model predicts is not finite at epoch 1, step 3' in str(error.value)
    assert 'stopped by: costs of images/1.jpg are not finite' in str(error.value)
    found, _ = replay(str(error.value).partition('tools/replay.py ')[2].split()[0])
    assert found.stopped == 'costs of images/1.jpg are not finite'


# holds: a loss or gradient that is not finite
def test_the_bundle_replays_the_step(make_runner, run_tool, capsys):
    runner = make_runner(model=dict(type='SpoiltToy', spoilt='log'))
    with pytest.raises(NonFiniteLoss) as error:
        runner.train()
    path = str(error.value).partition('tools/replay.py ')[2].split()[0]
    found, place = replay(path)
    assert place == dict(epoch=0, iter=2, seed=3, rank=0)
    assert list(found.terms) == ['loss_size']
    assert run_tool('replay', path) == 0
    shown = capsys.readouterr().out
    assert 'epoch 1, iter 3, seed 3, rank 0:\n' in shown and '\n  bad losses: loss_size=-inf\n' in shown
    bundle = torch.load(path, weights_only=True)  # plain data
    bundle['state_dict']['steps'] -= 9
    torch.save(bundle, path)
    assert not replay(path)[0], 'what was mended is finite'
    assert run_tool('replay', path) == 1
    assert 'losses and gradients are finite here' in capsys.readouterr().out


@pytest.mark.parametrize('content', [dict(state_dict={}), [1]])
def test_another_file_is_no_bundle(tmp_path, content):
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='is no bundle of a step: it has no .*NanGuardHook writes'):
        replay(str(tmp_path / 'x.pth'))


class Model(nn.Module):
    """Two layers and a loss; one of them may be bad."""

    def __init__(self, bad: str | None):
        super().__init__()
        self.first, self.second, self.bad = nn.Linear(3, 3), nn.Linear(3, 3), bad
        self.data_preprocessor = lambda batch, training: batch
        if bad == 'weight':
            self.first.weight.data[0, 0] = float('nan')

    def forward(self, inputs, mode):
        hidden = self.first(inputs)
        hidden = hidden / 0 if self.bad == 'between' else hidden
        return dict(loss_a=self.second(hidden).mean(), loss_b=torch.rand(()) + hidden.mean())

    def parse_losses(self, losses):
        return sum(losses.values()), losses


@pytest.mark.parametrize(
    ('bad', 'inputs', 'weights', 'forward'),
    [
        (None, [], [], []),
        ('weight', [], ['first.weight'], ['first (Linear)']),
        ('between', [], [], ['second (Linear)']),
        ('input', ['the batch, inputs'], [], ['first (Linear)']),
    ],
)
def test_the_cause_comes_first(bad, inputs, weights, forward):
    model, images = Model(bad), torch.rand(2, 3)
    if bad == 'input':
        images[0, 0] = float('inf')
    before = copy.deepcopy(model.state_dict())
    states = random_states()
    drawn = torch.rand(3)
    found = diagnose(model, dict(inputs=images), states)
    assert (found.inputs, found.weights, found.forward) == (inputs, weights, forward)
    assert bool(found) == (bad is not None)
    again = diagnose(model, dict(inputs=images), states)
    assert again.terms.keys() == found.terms.keys()
    assert all(torch.equal(value, before[key]) or bad for key, value in model.state_dict().items())
    assert not torch.equal(torch.rand(3), drawn), 'chance goes on as if nothing had been looked at'


def test_samples_are_plain_data_and_come_back(tmp_path):
    masks = BitmapMasks([torch.ones(4, 5).numpy()] * 2, 4, 5)
    objects = InstanceData(bboxes=HorizontalBoxes(torch.rand(2, 4)), labels=torch.tensor([1, 2]), masks=masks)
    sample = DetDataSample(metainfo=dict(img_path='a.png', img_shape=(4, 5), flip=None), gt_instances=objects)
    batch = dict(inputs=[torch.rand(3, 4, 5)], data_samples=[sample])
    torch.save(plain(batch), tmp_path / 'batch.pth')
    made = restored(torch.load(tmp_path / 'batch.pth', weights_only=True))
    (other,) = made['data_samples']
    assert isinstance(other, DetDataSample) and other.metainfo == sample.metainfo
    assert isinstance(other.gt_instances.bboxes, HorizontalBoxes)
    assert (other.gt_instances.masks.masks == objects.masks.masks).all()
    pairs = zip(tensors(made), tensors(batch), strict=True)
    assert all(name == wanted and torch.equal(value, expected) for (name, value), (wanted, expected) in pairs)


@pytest.mark.parametrize('name', ['os.system', 'builtins.eval', 'mmparts.engine.cli.run', 'torch.nn.Linear'])
def test_only_data_comes_back(name):
    with pytest.raises(ValueError, match='is no data sample'):
        restored({'__kind__': name, 'meta': {}, 'data': {}})
