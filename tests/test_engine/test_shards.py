"""Checkpoints in shards: written by each process, read on another number of them, damaged, removed, made one file."""

import datetime
import os
import shutil
from pathlib import Path

import pytest
import torch
import torch.multiprocessing
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmparts.engine.checkpoints import shards
from mmparts.engine.checkpoints.checkpoint import load_checkpoint_file, write_atomically
from mmparts.engine.checkpoints.find import find_resumable
from mmparts.engine.cli import require_file
from mmparts.engine.optim.sharded import ShardedRunner, gathered_tensors
from mmparts.engine.resuming.lock import WorkDirInUse, require_unused
from mmparts.weights.errors import CorruptCheckpoint

ROOT = Path(__file__).resolve().parents[2]

CONFIG = f"""
_base_ = '{ROOT}/configs/_base_/default_runtime.py'
custom_imports = dict(imports=['toy'])
default_scope = 'mmengine'
default_hooks = dict(visualization=None, pictures=None, curves=None, report=None, loaded=dict(type='Loaded'),
                     checkpoint=dict(interval=1, max_keep_ckpts=1, save_best='toy/mAP'))
visualizer = dict(type='Visualizer')
model = dict(type='Toy', width=5)
runner_type = 'mmparts.ShardedRunner'
launcher = 'pytorch'
fsdp = dict(units=['Linear'])
train_dataloader = dict(dataset=dict(type='Numbers', length=16, noise=0.1), batch_size=2, num_workers=0,
                        sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(dataset=dict(type='Numbers', length=4), batch_size=2, num_workers=0,
                      sampler=dict(type='DefaultSampler', shuffle=False))
val_cfg = dict()
val_evaluator = dict(type='Score')
train_cfg = dict(by_epoch=True, max_epochs=3)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.05), clip_grad=dict(max_norm=1.0))
randomness = dict(seed=3)
log_level = 'ERROR'
"""
STOP = dict(type='SignalHook', name='SIGTERM', at=5, rank=0)


@HOOKS.register_module(force=True)
class Loaded(Hook):
    """Keeps what the first step finds: whole tensors, in ``loaded.pth``."""

    priority = 'VERY_LOW'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if not hasattr(self, 'seen'):
            self.seen = gathered_tensors(
                dict(model=runner.model.state_dict(), optimizer=runner.optim_wrapper.state_dict())
            )
            if runner.rank == 0:
                torch.save(self.seen, Path(runner.work_dir, '..', 'loaded.pth'))


def train(rank: int, processes: int, work_dir: Path, resume: str | None, options: dict) -> None:
    """What each of the processes does."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes))
    meeting = f'file://{work_dir}.{processes}.{Path(resume).name if resume else ""}'
    place = dict(rank=rank, world_size=processes, timeout=datetime.timedelta(seconds=100))
    torch.distributed.init_process_group('gloo', init_method=meeting, **place)
    cfg = Config.fromfile(work_dir.parent / 'config.py')
    cfg.merge_from_dict(dict(work_dir=str(work_dir), **options))
    cfg.default_hooks = {name: hook for name, hook in cfg.default_hooks.items() if hook is not None}
    if resume:
        cfg.resume, cfg.load_from = True, resume
    runner = ShardedRunner.from_cfg(cfg)
    code = 0
    try:
        runner.train()
    except SystemExit as left:
        code = left.code
    assert code == (75 if 'custom_hooks' in options else 0)
    os._exit(0)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """``run(folder, processes, kind, resume, **options)``: a training in processes that are copies of this one."""
    root = tmp_path_factory.mktemp('runs')

    def start(name: str, processes: int, kind: str = 'sharded', resume: str | None = None, **options) -> Path:
        (root / name).mkdir(exist_ok=True)
        (root / name / 'config.py').write_text(CONFIG)
        options = {'fsdp.checkpoint': kind, **{key.replace('__', '.'): value for key, value in options.items()}}
        torch.multiprocessing.start_processes(
            train, (processes, root / name / 'work', resume, options), processes, start_method='fork'
        )
        return root / name / 'work'

    return start


@pytest.fixture(scope='module', params=[2, 1])
def stopped(request, run):
    """(processes, the checkpoints in shards and as a file of a run that was stopped after step 6)."""
    folders = [run(f'{kind}{request.param}', request.param, kind, custom_hooks=[STOP]) for kind in ('sharded', 'plain')]
    return request.param, folders[0] / 'interrupted.dcp', folders[1] / 'interrupted.pth'


def flat(content, name: str = '') -> dict:
    if isinstance(content, dict):
        return {key: value for each in content for key, value in flat(content[each], f'{name}.{each}').items()}
    return {name: content}


def assert_same(one, other) -> None:
    one, other = flat(one), flat(other)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]) if torch.is_tensor(value) else value == other[name], name


def test_each_process_writes_its_part_and_the_whole_is_the_file(stopped):
    processes, folder, file = stopped
    assert sorted(path.name for path in folder.rglob('*.distcp')) == [f'__{rank}_0.distcp' for rank in range(processes)]
    whole, plain = shards.whole(str(folder)), load_checkpoint_file(str(file))
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(whole.get(part, {}), plain.get(part, {}))
    assert {key: whole['meta'][key] for key in ('epoch', 'iter', 'seed')} == dict(
        epoch=0 + 5 * 2 * processes // 16, iter=6, seed=3
    )


# holds: another number of processes or batch
def test_another_number_of_processes_starts_from_the_same_bits(stopped, run):
    processes, folder, file = stopped
    work_dir = run(f'on {3 - processes} from {processes}', 3 - processes, resume=str(folder))
    loaded, plain = torch.load(work_dir.parent / 'loaded.pth', weights_only=True), load_checkpoint_file(str(file))
    assert_same(loaded['model'], plain['state_dict'])
    assert_same(loaded['optimizer']['state'], plain['optimizer']['state'])
    # One regular checkpoint is kept, and the best.
    left = sorted(path.name for path in work_dir.iterdir() if path.suffix in ('.dcp', '.pth'))
    assert left == ['best_toy_mAP_epoch_3.dcp', 'epoch_3.dcp']
    assert (work_dir / 'last_checkpoint').read_text() == 'epoch_3.dcp'
    assert find_resumable(str(work_dir)) == str(work_dir / 'epoch_3.dcp')
    assert [path.name for path in (work_dir / 'epoch_3.dcp').iterdir() if path.is_dir()] in (['data-0'], ['data-1'])


@pytest.fixture
def saved(stopped, tmp_path) -> Path:
    """A work dir of its own with a copy of the checkpoint."""
    shutil.copytree(stopped[1], tmp_path / 'epoch_1.dcp')
    return tmp_path


def flip(path: Path, at: int) -> None:
    """One bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


# holds: shards that are damaged or not whole
def test_a_piece_that_was_damaged_lost_or_cut_is_noticed_and_the_checkpoint_skipped(saved):
    folder = saved / 'epoch_1.dcp'
    shutil.copytree(folder, saved / 'epoch_2.dcp')
    (saved / 'last_checkpoint').write_text('epoch_2.dcp')
    piece = saved / 'epoch_2.dcp' / 'data-0' / '__0_0.distcp'
    whole = piece.read_bytes()
    assert find_resumable(str(saved)) == str(saved / 'epoch_2.dcp')
    for content in (None, b'', whole[: len(whole) // 2]):
        piece.unlink() if content is None else piece.write_bytes(content)
        with pytest.raises(CorruptCheckpoint, match=r'__0_0.distcp is damaged'):
            shards.check(str(saved / 'epoch_2.dcp'))
        assert find_resumable(str(saved)) == str(folder)


# holds: shards that are damaged or not whole
def test_every_byte_of_the_numbers_is_held_against_its_checksum(saved):
    folder = str(saved / 'epoch_1.dcp')
    index = shards.read_index(folder)
    numbers = next(
        tensor for name, _, tensor in shards.pieces(folder, index['meta']['shards']) if name == 'model.backbone.weight'
    )
    path = saved / 'epoch_1.dcp' / 'data-0' / '__0_0.distcp'
    flip(path, path.read_bytes().index(numbers.numpy().tobytes()) + 2)
    with pytest.raises(CorruptCheckpoint, match='model.backbone.weight'):
        shards.check(folder)


def test_an_index_cannot_name_other_files(saved):
    folder = saved / 'epoch_1.dcp'
    content = torch.load(folder / 'index.pth', weights_only=True)
    for key, value in (('data', '../elsewhere'), ('data', '/tmp')):
        torch.save(
            {**content, 'meta': {**content['meta'], 'shards': {**content['meta']['shards'], key: value}}},
            folder / 'index.pth',
        )
        with pytest.raises(CorruptCheckpoint, match='does not say where the shards are'):
            shards.read_index(str(folder))
    content['meta']['shards']['tensors']['model.head.bias']['pieces'][0]['file'] = '../../other.distcp'
    torch.save(content, folder / 'index.pth')
    with pytest.raises(CorruptCheckpoint, match='is no name of a shard'):
        shards.read_index(str(folder))


# holds: kill -9 at any moment
@pytest.mark.parametrize('broken', ['fsync', 'replace'])
def test_a_full_disk_leaves_the_earlier_set(saved, monkeypatch, broken):
    folder = str(saved / 'epoch_1.dcp')
    index = shards.check(folder)

    def full(*args):
        raise OSError(28, 'No space left on device')

    tensors = {name: shards.empty(index, name).fill_(1) for name in index['meta']['shards']['tensors']}
    if broken == 'fsync':
        monkeypatch.setattr(os, 'fsync', full)
        with pytest.raises(OSError, match=r'was not written by the processes \[0\].*No space left.*are intact'):
            shards.write_pieces(folder, tensors)
    else:  # the last file, the index
        shards.write_pieces(folder, tensors)
        monkeypatch.setattr(os, 'replace', full)
        with pytest.raises(OSError, match='No space left on device; the files that were there before are intact'):
            write_atomically(b'new', f'{folder}/index.pth')
    monkeypatch.undo()
    assert shards.check(folder)['meta']['shards'] == index['meta']['shards']
    shards.remove_leftovers(str(saved))
    assert sorted(path.name for path in (saved / 'epoch_1.dcp').iterdir()) == ['data-0', 'index.pth']


# holds: shards that are damaged or not whole
def test_a_save_that_was_broken_off_leaves_what_was_there(saved):
    """Pieces without an index are no checkpoint; beside an older index, that one counts. The next start tidies up."""
    folder = saved / 'epoch_1.dcp'
    shutil.copytree(folder / 'data-0', folder / 'data-1')
    shutil.copytree(folder, saved / 'epoch_2.dcp', ignore=shutil.ignore_patterns('index.pth', 'data-1'))
    (saved / 'epoch_2.dcp' / 'data-0' / 'notes.txt').write_text('mine')
    assert find_resumable(str(saved)) == str(folder)
    shards.remove_leftovers(str(saved))
    assert sorted(path.name for path in folder.iterdir()) == ['data-0', 'index.pth']
    assert [path.name for path in saved.rglob('*') if 'epoch_2' in str(path)] == ['epoch_2.dcp', 'data-0', 'notes.txt']
    shards.check(str(folder))


def test_only_its_own_files_are_removed(saved):
    folder = saved / 'epoch_1.dcp'
    (folder / 'data-0' / 'mine.txt').write_text('mine')
    shards.remove(str(folder))
    assert sorted(path.name for path in saved.rglob('*')) == ['data-0', 'epoch_1.dcp', 'mine.txt']


# holds: weights that are not finite
def test_numbers_that_are_not_finite_are_not_saved_and_not_loaded(saved, run):
    folder = str(saved / 'epoch_1.dcp')
    index = shards.read_index(folder)
    tensors = {name: shards.empty(index, name) for name in index['meta']['shards']['tensors']}
    shards.fill(folder, index, tensors)
    tensors['model.head.weight'][0, 0] = float('inf')
    made = shards.write_pieces(folder, tensors)
    assert made['data'] == 'data-1'
    torch.save({**index, 'message_hub': {}, 'meta': {**index['meta'], 'shards': made}}, f'{folder}/index.pth')
    with pytest.raises(CorruptCheckpoint, match='1 of 5 in model.head.weight'):
        shards.check(folder)


# holds: shards that are damaged or not whole
def test_where_a_file_is_wanted_the_command_is_told_that_makes_one(saved, run_tool, capsys):
    folder, file = str(saved / 'epoch_1.dcp'), str(saved / 'whole.pth')
    for ask in (lambda: load_checkpoint_file(folder), lambda: require_file(folder, 'checkpoint')):
        with pytest.raises(IsADirectoryError, match='in shards, a part a process; make it one file: mmparts gather'):
            ask()
    assert run_tool('gather', folder, file) == 0
    assert_same(load_checkpoint_file(file)['state_dict'], shards.whole(folder)['state_dict'])
    assert run_tool('gather', str(saved), file) == 1
    assert 'is no checkpoint in shards' in capsys.readouterr().err
    with pytest.raises(WorkDirInUse, match='epoch_1.dcp'):
        (saved / 'whole.pth').unlink()
        require_unused(str(saved))
