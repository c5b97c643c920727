"""Checkpoints: safe to load, impossible to lose, exact to resume."""

import os
import os.path as osp
import pickle
import socket
import subprocess

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader, load_checkpoint

from mmparts.engine import CorruptCheckpoint, UnsafeCheckpoint, find_resumable, load_checkpoint_file
from mmparts.engine.checkpoints import checkpoint
from mmparts.engine.checkpoints.checkpoint import load_from_url, plain, write_atomically
from mmparts.registry import LOCATIONS

# More epochs than the checkpoint was saved with.
EXTEND = dict(progress=dict(resume_schedule='extend'))


class Hostile:
    """Runs a command when unpickled without care."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def hostile(tmp_path):
    """A checkpoint that leaves a file `owned` behind when it is unpickled."""
    path = str(tmp_path / 'hostile.pth')
    torch.save(dict(state_dict={}, evil=Hostile(f'touch {tmp_path}/owned')), path)
    return path, tmp_path / 'owned'


# holds: a checkpoint of a stranger
@pytest.mark.parametrize(
    'load',
    [
        load_checkpoint_file,
        CheckpointLoader.load_checkpoint,
        lambda path: load_checkpoint(torch.nn.Linear(1, 1), path),
        lambda path: load_from_url(f'file://{path}', osp.dirname(path)),
    ],
)
def test_hostile_checkpoint_is_refused_by_every_door(hostile, load):
    path, owned = hostile
    with pytest.raises(UnsafeCheckpoint, match='system') as error:
        load(path)
    assert osp.basename(path) in str(error.value) and '--trust-checkpoint' in str(error.value)
    assert not owned.exists()


DOORS = {
    'load_checkpoint_file': load_checkpoint_file,
    'URL': lambda path: load_from_url(f'file://{path}', osp.dirname(path)),
    "mmengine's loader": CheckpointLoader.load_checkpoint,
    'Pretrained': lambda path: BaseModule(dict(type='Pretrained', checkpoint=path)).init_weights(),
    'OfficialWeights': lambda path: BaseModule(dict(type='mmparts.OfficialWeights', checkpoint=path)).init_weights(),
}


@pytest.mark.parametrize('door', DOORS)
def test_a_damaged_checkpoint_is_refused_by_every_door(tmp_path, door):
    path, weight = tmp_path / 'a.pth', torch.arange(1000.0)
    torch.save(dict(state_dict=dict(weight=weight)), path)
    content = bytearray(path.read_bytes())
    content[content.index(weight.numpy().tobytes()) + 100] ^= 255
    path.write_bytes(content)
    with pytest.raises(CorruptCheckpoint, match='damaged: .* does not match its checksum'):
        DOORS[door](str(path))


@pytest.mark.parametrize('door', [door for door in DOORS if door != 'OfficialWeights'])  # which names the tensor itself
@pytest.mark.parametrize('place', ['state_dict', 'ema_state_dict', 'optimizer', None])
def test_numbers_that_are_not_finite_are_refused_by_every_door(tmp_path, door, place):
    bad = {'weight': torch.tensor([1.0, float('nan')])}
    good = dict(state_dict={'weight': torch.ones(2)}, message_hub=dict(log=torch.tensor(float('nan'))))
    torch.save({**good, place: dict(state={0: bad})} if place else bad, tmp_path / 'a.pth')
    with pytest.raises(CorruptCheckpoint, match=r'a.pth holds numbers that are not finite: 1 of 2 in \S*weight'):
        DOORS[door](str(tmp_path / 'a.pth'))
    torch.save(good, tmp_path / 'b.pth')
    assert load_checkpoint_file(str(tmp_path / 'b.pth'))['message_hub']['log'].isnan(), 'what was logged is no weight'


# holds: weights that are not finite
def test_resume_skips_what_is_not_finite_and_refuses_it_by_name(make_runner):
    runner = make_runner(2)
    runner.train()
    last = osp.join(runner.work_dir, 'epoch_2.pth')
    saved = torch.load(last, weights_only=True)
    next(iter(saved['state_dict'].values())).view(-1)[0] = float('inf')
    torch.save(saved, last)
    assert find_resumable(runner.work_dir) == osp.join(runner.work_dir, 'epoch_1.pth')
    with pytest.raises(CorruptCheckpoint, match=r'epoch_2\.pth holds numbers that are not finite'):
        make_runner(3, 'other', resume=True, load_from=last).train()
    with pytest.raises(CorruptCheckpoint, match=r'epoch_2\.pth holds numbers that are not finite'):
        make_runner(3, 'third', load_from=last).train()


def test_every_runner_with_a_part_of_ours_is_covered():
    """Looking up `mmparts.X` imports mmparts.engine, which installs the safe loader."""
    assert 'mmparts.engine' in LOCATIONS
    assert CheckpointLoader._get_checkpoint_loader('work_dirs/a.pth') is checkpoint.load_from_local


def test_trust_is_the_way_out(hostile, monkeypatch):
    path, owned = hostile
    load_checkpoint_file(path, trust=True)
    assert owned.exists()
    owned.unlink()
    monkeypatch.setenv('MMPARTS_TRUST_CHECKPOINT', '1')
    CheckpointLoader.load_checkpoint(path)
    assert owned.exists()


def test_getattr_of_a_pickle_is_inert(tmp_path):
    class GetAttr:
        def __reduce__(self):
            return getattr, (HistoryBuffer, '__setstate__')

    torch.save(dict(x=GetAttr()), tmp_path / 'a.pth')
    assert load_checkpoint_file(str(tmp_path / 'a.pth'))['x'] == '__setstate__'


def test_config_text_of_a_checkpoint_is_not_run(tmp_path):
    """Runner.resume executes meta['config'] as Python."""
    torch.save(dict(meta=dict(config='import os', epoch=1), state_dict={}), tmp_path / 'a.pth')
    assert load_checkpoint_file(str(tmp_path / 'a.pth'))['meta'] == dict(epoch=1)


@pytest.mark.parametrize('content', [b'', b'<html>404</html>', None])
def test_unreadable_file_says_so(tmp_path, content):
    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict=dict(w=torch.ones(1000))), path)
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    with pytest.raises(CorruptCheckpoint, match='no readable checkpoint') as error:
        load_checkpoint_file(str(path))
    assert str(path) in str(error.value)


def test_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint at'):
        load_checkpoint_file(str(tmp_path / 'a.pth'))


def test_plain_form_loads_without_allow_list(tmp_path):
    history = HistoryBuffer([1.0, 2.0], [1, 1], max_length=7)
    data = plain(dict(message_hub=dict(log_scalars=dict(loss=history)), best=np.float64(0.5), ids=np.arange(2)))
    torch.save(data, tmp_path / 'a.pth')

    assert torch.load(tmp_path / 'a.pth', weights_only=True)['best'] == 0.5
    loaded = load_checkpoint_file(str(tmp_path / 'a.pth'))['message_hub']['log_scalars']['loss']
    assert isinstance(loaded, HistoryBuffer) and loaded.max_length == 7
    assert loaded.mean() == 1.5 and loaded.current() == 2.0


def test_stock_mmengine_checkpoint_resumes(make_runner):
    """Written by mmengine's own hook: HistoryBuffer, numpy and getattr in the pickle."""
    stock = make_runner(1, hooks=dict(checkpoint=dict(type='mmengine.CheckpointHook')))
    stock.train()
    path = osp.join(stock.work_dir, 'epoch_1.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)

    runner = make_runner(2, 'second', hooks=EXTEND, resume=True, load_from=path)
    runner.train()
    assert runner.iter == 8
    assert len(runner.message_hub.get_scalar('train/loss').data[0]) == 8


@pytest.mark.parametrize('ema', [False, True])
def test_resume_equals_uninterrupted_training(make_runner, ema):
    hooks = dict(ema=dict(type='EMAHook', ema_type='mmdet.ExpMomentumEMA', momentum=0.1)) if ema else {}
    whole = make_runner(4, 'whole', hooks=hooks)
    whole.train()
    with pytest.raises(RuntimeError, match='killed'):
        make_runner(4, 'cut', hooks={**hooks, 'kill': dict(type='KillHook', epoch=2)}).train()
    resumed = make_runner(4, 'cut', hooks=hooks, resume=True)
    resumed.train()

    assert len(resumed.model.losses) == 8
    assert resumed.model.losses == whole.model.losses[8:]
    states = [torch.load(osp.join(runner.work_dir, 'epoch_4.pth'), weights_only=True) for runner in (whole, resumed)]
    assert ('ema_state_dict' in states[0]) is ema
    for key in ('state_dict', 'ema_state_dict') if ema else ('state_dict',):
        assert all(torch.equal(states[0][key][name], states[1][key][name]) for name in states[0][key])
    assert whole.optim_wrapper.get_lr() == resumed.optim_wrapper.get_lr()


def test_resume_refuses_another_model(make_runner):
    from mmparts.engine import WeightsDoNotFit

    make_runner(1).train()
    with pytest.raises(WeightsDoNotFit, match='Cannot resume|are needed'):
        make_runner(2, model=dict(width=9), hooks=EXTEND, resume=True).train()


# holds: kill -9 at any moment
def test_old_checkpoint_goes_only_after_the_new_one_is_there(make_runner, monkeypatch):
    """A full disk in the second save, with max_keep_ckpts=1."""
    hooks = dict(checkpoint=dict(max_keep_ckpts=1))
    runner = make_runner(2, hooks=hooks)
    write = checkpoint.write_atomically

    def full(data, path, verify=None):
        if path.endswith('epoch_2.pth'):
            raise OSError(28, 'No space left on device')
        write(data, path, verify)

    monkeypatch.setattr(checkpoint, 'write_atomically', full)
    with pytest.raises(OSError, match='No space'):
        runner.train()

    monkeypatch.undo()
    first = osp.join(runner.work_dir, 'epoch_1.pth')
    assert find_resumable(runner.work_dir) == first
    assert osp.isfile(osp.join(runner.work_dir, 'best_toy_mAP_epoch_1.pth'))
    make_runner(2, hooks={**hooks, **EXTEND}, resume=True).train()
    assert sorted(name for name in os.listdir(runner.work_dir) if name.endswith('.pth')) == [
        'best_toy_mAP_epoch_1.pth',
        'epoch_2.pth',
    ]


def test_best_checkpoint_survives_a_failed_successor(make_runner, monkeypatch):
    runner = make_runner(2)
    write = checkpoint.write_atomically

    def full(data, path, verify=None):
        if 'best' in path and path.endswith('epoch_2.pth'):
            raise OSError(28, 'No space left on device')
        write(data, path, verify)

    monkeypatch.setattr(checkpoint, 'write_atomically', full)
    with pytest.raises(OSError):
        runner.train()
    assert osp.isfile(osp.join(runner.work_dir, 'best_toy_mAP_epoch_1.pth'))


def test_best_score_survives_a_resume(make_runner):
    make_runner(2).train()
    runner = make_runner(3, hooks=EXTEND, resume=True)
    runner.train()  # the toy metric starts at 0.1 again: below the best, 0.2
    assert [name for name in os.listdir(runner.work_dir) if name.startswith('best')] == ['best_toy_mAP_epoch_2.pth']


# holds: kill -9 at any moment
@pytest.mark.parametrize('fault', ['write', 'verify', 'rename'])
def test_write_leaves_the_old_content_when_it_fails(tmp_path, monkeypatch, fault):
    path = tmp_path / 'a.pth'
    path.write_bytes(b'old')

    def fail(*args):
        raise OSError('broken')

    if fault == 'write':
        monkeypatch.setattr(os, 'fsync', fail)
    if fault == 'rename':  # the only way to the name
        monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(OSError, match='intact'):
        write_atomically(b'new', str(path), verify=fail if fault == 'verify' else None)
    assert path.read_bytes() == b'old' and os.listdir(tmp_path) == ['a.pth']


def test_damaged_bytes_do_not_pass_verification(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(w=torch.arange(1000.0)), path)
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(1000.0).numpy().tobytes()) + 100] ^= 255
    with pytest.raises(CorruptCheckpoint, match='damaged'):
        write_atomically(bytes(content), str(tmp_path / 'b.pth'), verify=checkpoint.verify_checkpoint)
    assert not (tmp_path / 'b.pth').exists()


@pytest.mark.parametrize('damage', ['truncated', 'missing', 'empty pointer'])
def test_auto_resume_takes_the_previous_good_one(make_runner, damage):
    runner = make_runner(2, 'again')
    runner.train()
    work_dir = runner.work_dir
    last, previous = (osp.join(work_dir, f'epoch_{epoch}.pth') for epoch in (2, 1))
    os.utime(previous, (1, 1))
    expected = previous
    if damage == 'truncated':
        os.truncate(last, osp.getsize(last) // 2)
    elif damage == 'missing':
        os.remove(last)
    else:
        open(osp.join(work_dir, 'last_checkpoint'), 'w').close()
        expected = last

    assert find_resumable(work_dir) == expected
    resumed = make_runner(3, 'again', hooks=EXTEND, resume=True)
    resumed.train()
    assert resumed.epoch == 3


def test_auto_resume_does_not_pass_over_an_unsafe_checkpoint(tmp_path, hostile):
    (tmp_path / 'last_checkpoint').write_text(hostile[0])
    with pytest.raises(UnsafeCheckpoint):
        find_resumable(str(tmp_path))


def test_leftovers_of_a_killed_save_are_removed(make_runner):
    """Not those of a process that lives, or of another machine."""
    runner = make_runner(1)
    host, ended = socket.gethostname(), subprocess.Popen(['true'])
    ended.wait()
    names = [f'.epoch_1.pth.{each}.tmp' for each in (f'{host}.{ended.pid}', f'{host}.{os.getppid()}', 'elsewhere.1')]
    for name in names:
        open(osp.join(runner.work_dir, name), 'w').close()
    runner.train()
    assert [osp.exists(osp.join(runner.work_dir, name)) for name in names] == [False, True, True]
