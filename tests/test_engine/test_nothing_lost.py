"""Nothing that lies in a folder is lost: hostile and moved checkpoints, NaN, two runs, kill -9 at any moment."""

import copy
import ctypes
import json
import multiprocessing
import os
import os.path as osp
import random
import shutil
import signal
import socket
import time

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from toy import steps

from mmparts.engine import NonFiniteLoss, cli, find_resumable
from mmparts.engine.checkpoints import checkpoint
from mmparts.engine.resuming.lock import NAME, WorkDirInUse, WorkDirLock, process_start, unused

EXTEND = dict(progress=dict(resume_schedule='extend'))


def edit_hub(path: str, **values) -> None:
    state = torch.load(path, weights_only=True)
    state['message_hub']['runtime_info'].update(values)
    torch.save(state, path)


# holds: a checkpoint of a stranger
@pytest.mark.parametrize('kind', ['folder', 'file', 'own folder'])
def test_a_checkpoint_cannot_name_what_is_deleted(make_runner, tmp_path, kind):
    """Its best checkpoint and the steps to keep are somebody else's files; then comes a new best."""
    make_runner(1).train()
    run = tmp_path / 'run'
    victim = (run if kind == 'own folder' else tmp_path) / 'best_toy_mAP_epoch_7.pth'
    if kind == 'file':
        victim.write_text('precious')
    else:
        victim.mkdir()
        (victim / 'thesis').write_text('precious')
    other = tmp_path / 'other.pth'
    other.write_text('precious')
    ids = ['../../other', f'{tmp_path}/other', 1]
    edit_hub(str(run / 'epoch_1.pth'), best_ckpt=str(victim), best_score=-1.0, keep_ckpt_ids=ids)
    make_runner(3, hooks={**EXTEND, 'checkpoint': dict(max_keep_ckpts=1)}, resume=True).train()
    assert victim.exists() and other.exists()
    assert kind == 'file' or (victim / 'thesis').exists()


# holds: a checkpoint of a stranger
def test_a_copy_of_a_run_lives_by_itself(make_runner, tmp_path):
    """Also one whose files still have absolute paths."""
    first = make_runner(1, 'a')
    first.train()
    best = tmp_path / 'a' / 'best_toy_mAP_epoch_1.pth'
    assert (tmp_path / 'a' / 'last_checkpoint').read_text() == 'epoch_1.pth'
    assert torch.load(tmp_path / 'a' / 'epoch_1.pth')['message_hub']['runtime_info']['best_ckpt'] == best.name
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')
    (tmp_path / 'b' / 'last_checkpoint').write_text(str(tmp_path / 'a' / 'epoch_1.pth'))
    edit_hub(str(tmp_path / 'b' / 'epoch_1.pth'), best_ckpt=str(best), best_score=-1.0)

    assert find_resumable(str(tmp_path / 'b')) == str(tmp_path / 'b' / 'epoch_1.pth')
    make_runner(2, 'b', hooks=EXTEND, resume=True).train()
    assert best.exists() and not (tmp_path / 'b' / best.name).exists(), 'a newer best took the place of the copy'


@HOOKS.register_module(force=True)
class PoisonHook(Hook):
    """A gradient of NaN after a finite loss, as one overflow gives."""

    priority = 'LOW'

    def __init__(self, at: int):
        self.at = at

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.at:
            runner.model.head.weight.data[0, 0] = float('nan')


# holds: weights that are not finite
def test_weights_that_are_not_finite_are_not_saved(make_runner):
    with pytest.raises(NonFiniteLoss, match='head.weight.*It was not saved'):
        make_runner(3, hooks=dict(poison=dict(type='PoisonHook', at=7))).train()
    resumed = make_runner(3, resume=True)
    resumed.train()
    assert len(resumed.model.losses) == 8


# holds: two runs in a folder
def test_a_second_run_in_a_folder_is_refused(tmp_path):
    first, second = WorkDirLock(str(tmp_path)), WorkDirLock(str(tmp_path))
    first.take()
    with pytest.raises(WorkDirInUse, match=f'process {os.getpid()} on {socket.gethostname()} trains there'):
        second.take()
    second.release()
    assert (tmp_path / NAME).exists(), 'it is not its own'
    first.release()
    second.take()


# holds: two runs in a folder
@pytest.mark.parametrize(
    ('owner', 'age', 'stale'),
    [
        (dict(host='HERE', pid=2**22 + 1, started='1'), 0, True),
        (dict(host='HERE', pid=1, started='an earlier process of that number'), 0, True),
        (dict(host='elsewhere', pid=1, started='1'), 0, False),
        (dict(host='elsewhere', pid=1, started='1'), 1000, True),
        (dict(host='elsewhere', pid=1, started='1', job='77'), 0, True),
        (dict(host='elsewhere', pid=1, started='1', job='78'), 0, False),
        ('broken', 0, True),
    ],
)
def test_stale_locks_are_recognised(tmp_path, monkeypatch, owner, age, stale):
    monkeypatch.setenv('SLURM_JOB_ID', '77')
    path = tmp_path / NAME
    path.write_text(json.dumps(owner).replace('HERE', socket.gethostname()))
    os.utime(path, (time.time() - age,) * 2)
    lock = WorkDirLock(str(tmp_path))
    if stale:
        lock.take()
        assert json.loads(path.read_text())['started'] == process_start(os.getpid())
    else:
        with pytest.raises(WorkDirInUse, match='elsewhere'):
            lock.take()


# holds: two runs in a folder
def test_a_fresh_run_among_old_checkpoints_is_refused(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path / 'run')))
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'epoch_3.pth').touch()
    with pytest.raises(WorkDirInUse, match='epoch_3.pth.*--resume.*--work-dir'):
        cli.set_resume(cfg, None)
    cli.locks.pop().release()
    assert unused(cfg.work_dir) == f'{cfg.work_dir}-2'


def in_child(function) -> multiprocessing.Process:
    """``function`` in a copy of this process, which can be killed."""
    child = multiprocessing.get_context('fork').Process(target=function)
    child.start()
    return child


def assert_equals_straight(make_runner, work_dir: str) -> None:
    """What was trained last of each step is what a run that nobody killed did."""
    straight = make_runner(4, 'straight', hooks=dict(steps=dict(type='StepLog')))
    straight.train()
    last = {step['iter']: step for step in steps(work_dir)}
    assert [last[each] for each in sorted(last)] == steps(straight.work_dir)
    first, second = (torch.load(osp.join(each, 'epoch_4.pth')) for each in (straight.work_dir, work_dir))
    assert all(torch.equal(first['state_dict'][name], second['state_dict'][name]) for name in first['state_dict'])


# holds: kill -9 at any moment
def test_kill_at_every_stage_of_a_save(make_runner, tmp_path, monkeypatch):
    """20 stages: while the file is written, synced, verified, renamed, pointed at, while old ones are removed."""
    hooks = dict(steps=dict(type='StepLog'), checkpoint=dict(max_keep_ckpts=1))
    work_dir = str(tmp_path / 'run')

    def train(stage: int) -> None:
        count = [0]

        def doomed(function):
            def call(*args, **kwargs):
                count[0] += 1
                if count[0] == stage:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **kwargs)

            return call

        monkeypatch.setattr(os, 'fsync', doomed(os.fsync))
        monkeypatch.setattr(os, 'replace', doomed(os.replace))
        monkeypatch.setattr(os, 'remove', doomed(os.remove))
        monkeypatch.setattr(checkpoint, 'verify_checkpoint', doomed(checkpoint.verify_checkpoint))
        make_runner(4, hooks=hooks, resume=True).train()

    saved = False
    for stage in range(1, 21):
        child = in_child(lambda stage=stage: train(stage))
        child.join()
        assert child.exitcode in (-signal.SIGKILL, 0)
        assert find_resumable(work_dir) or not saved, f'a checkpoint that was there is gone after stage {stage}'
        saved = find_resumable(work_dir) is not None
    assert saved
    make_runner(4, hooks=hooks, resume=True).train()
    assert_equals_straight(make_runner, work_dir)


# holds: kill -9 at any moment
@pytest.mark.long
def test_kill_at_random_moments(make_runner, tmp_path):
    hooks = dict(steps=dict(type='StepLog'))
    slow = dict(type='Numbers', seconds=0.02)
    chance = random.Random(7)
    for _ in range(20):
        child = in_child(lambda: make_runner(4, hooks=hooks, resume=True, train_dataloader=loader(slow)).train())
        child.join(chance.uniform(0.05, 1.0))
        child.kill()
        child.join()
    make_runner(4, hooks=hooks, resume=True).train()
    assert_equals_straight(make_runner, str(tmp_path / 'run'))


# holds: kill -9 at any moment
@pytest.mark.long
def test_a_full_disk(make_runner, tmp_path):
    """A real one, of 800 kB: the second best checkpoint of 110 kB finds no room, beside two of 300 kB."""
    work_dir = tmp_path / 'run'
    work_dir.mkdir()
    outcome = tmp_path / 'outcome'

    def train() -> None:
        new_mounts = 0x20000  # CLONE_NEWNS: the disk is seen by this process alone, and ends with it
        if ctypes.CDLL(None).unshare(new_mounts) or os.system('mount --make-rprivate /'):
            outcome.write_text('no mounts of one process here')
            return
        assert os.system(f'mount -t tmpfs -o size=800k none {work_dir}') == 0
        try:
            make_runner(4, model=dict(width=4096)).train()
        except OSError as error:
            last = find_resumable(str(work_dir))
            checkpoint.load_checkpoint_file(last)
            outcome.write_text(f'{osp.basename(last)}, {sorted(os.listdir(work_dir))}; {error}')

    in_child(train).join()
    words = outcome.read_text()
    if words.startswith('no mounts'):
        pytest.skip(words)
    assert words.startswith('epoch_2.pth') and '.tmp' not in words
    assert 'best_toy_mAP_epoch_1.pth' in words and 'the files that were there before are intact' in words


# holds: two runs in a folder
@pytest.mark.long
def test_a_second_process_in_a_folder_is_refused(make_runner, tmp_path):
    """It ends at once, and the first goes on as if nothing had been; once that has ended, the third may resume."""
    cfg = Config(dict(work_dir=str(tmp_path / 'run')))
    hooks = dict(steps=dict(type='StepLog'))

    def train(epochs: int = 4) -> None:
        own = copy.deepcopy(cfg)
        cli.set_resume(own, 'auto')
        values = dict(resume=own.get('resume', False), load_from=own.get('load_from'))
        slow = loader(dict(type='Numbers', seconds=0.05))
        make_runner(epochs, hooks=hooks, train_dataloader=slow, **values).train()
        cli.locks.pop().release()

    first = in_child(train)
    while not osp.exists(osp.join(cfg.work_dir, 'steps.0.jsonl')):
        assert first.is_alive()
        time.sleep(0.05)
    with pytest.raises(WorkDirInUse, match=f'process {first.pid} on {socket.gethostname()} trains there'):
        cli.set_resume(copy.deepcopy(cfg), 'auto')
    first.join()
    assert first.exitcode == 0
    third = in_child(train)
    third.join()
    assert third.exitcode == 0
    assert_equals_straight(make_runner, cfg.work_dir)


def loader(dataset: dict) -> dict:
    sampler = dict(type='DefaultSampler', shuffle=True)
    return dict(dataset=dataset, batch_size=2, num_workers=0, sampler=sampler)
