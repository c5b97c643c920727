"""Nothing that is read is written over, nothing from outside runs or reaches outside, nothing made is lost."""

import hashlib
import json
import pickle
import runpy
import sys
from pathlib import Path

import pytest
import torch
from damaged import put
from mmengine.config import Config

from mmparts.datasets import CheckedCocoDataset, ProposalFile
from mmparts.datasets.files import refuse_inputs
from mmparts.datasets.members import data_folders
from mmparts.engine import cli
from mmparts.engine.checkpoints.checkpoint import load_from_url
from mmparts.inference.inferencer import Inferencer
from mmparts.inference.predictions import Records
from mmparts.weights.errors import CorruptCheckpoint

TOOLS = Path(__file__).parents[2] / 'tools'


def call(tool: str, *args, monkeypatch) -> str:
    """The message with which a tool ends."""
    monkeypatch.setattr(sys, 'argv', [tool, *map(str, args)])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(TOOLS / f'{tool}.py'), run_name='__main__')
    return str(stop.value.code)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A current folder with data/, photos/, config.py and model.pth."""
    monkeypatch.chdir(tmp_path)
    for name in ('data/train', 'photos', 'elsewhere'):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / 'photos' / 'a.jpg').write_bytes(b'mine')
    (tmp_path / 'data' / 'ann.json').write_bytes(b'mine')
    (tmp_path / 'model.pth').write_bytes(b'mine')
    dataset = dict(data_root='data/', ann_file='ann.json', data_prefix=dict(img='train/'))
    text = f'train_dataloader = dict(dataset={dataset})\nval_dataloader = test_dataloader = train_dataloader\n'
    (tmp_path / 'config.py').write_text(text)
    return tmp_path


TARGETS = [
    ('predict', ['photos', 'config.py', 'model.pth', '--out', 'photos'], '--out photos is'),
    ('predict', ['photos', 'config.py', 'model.pth', '--out', 'photos/new'], '--out photos/new is'),
    ('predict', ['photos', 'config.py', 'model.pth', '--out', 'data/new'], 'data of the train set'),
    ('predict', ['photos/a.jpg', 'config.py', 'model.pth', '--out', 'photos'], 'is the folder of the images'),
    ('test', ['config.py', 'model.pth', '--out', 'model.pth'], '--out model.pth is'),
    ('test', ['config.py', 'model.pth', '--out', 'data/out.json'], '--out data/out.json is'),
    ('test', ['config.py', 'model.pth', '--show-dir', 'data/train'], '--show-dir data/train is'),
    ('test', ['config.py', 'model.pth', '--work-dir', 'data'], '--work-dir data is'),
    ('train', ['config.py', '--work-dir', 'data/run'], '--work-dir data/run is'),
    ('convert_weights', ['model.pth', 'model.pth', '--config', 'config.py'], 'OUT model.pth is'),
    ('convert_weights', ['model.pth', 'config.py', '--config', 'config.py'], 'OUT config.py is'),
    ('browse_dataset', ['config.py', '--out', 'data/train'], '--out data/train is'),
    ('visualize_attention', ['photos/a.jpg', 'config.py', 'model.pth', '--out', 'photos/a.jpg'], 'in the image, '),
    ('visualize_attention', ['photos/a.jpg', 'config.py', 'model.pth', '--out', 'model.pth'], 'in the checkpoint, '),
    ('benchmark', ['config.py', '--json', 'config.py'], '--json config.py is'),
    ('convergence', ['config.py', '--data-root', 'data', '--work-dir', 'data/x'], '--work-dir data/x is'),
]


# holds: an output that is an input
@pytest.mark.parametrize(('tool', 'args', 'words'), TARGETS, ids=[f'{tool} {args[-2:]}' for tool, args, _ in TARGETS])
def test_no_tool_writes_over_what_it_reads(place, monkeypatch, tool, args, words):
    before = {path: path.read_bytes() for path in place.rglob('*') if path.is_file()}
    message = call(tool, *args, monkeypatch=monkeypatch)
    assert message.startswith('error: ') and words in message and '\n' not in message
    assert {path: path.read_bytes() for path in place.rglob('*') if path.is_file()} == before


# holds: an output that is an input
def test_links_are_seen_through(place):
    (place / 'link').symlink_to(place / 'photos')
    with pytest.raises(FileExistsError, match='link/new is, holds or lies in'):
        refuse_inputs('link/new', {'photos': 'photos'})
    refuse_inputs('photos_2', {'photos': 'photos'})
    refuse_inputs('.', {'photos': 'photos'})
    with pytest.raises(FileExistsError):
        refuse_inputs('.', {'photos': 'photos'}, replaces=True)


def test_a_root_that_holds_everything_says_nothing(place):
    dataset = dict(data_root='./', ann_file='ann.json', data_prefix=dict(img='photos/'))
    found = data_folders(dict(train_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=dataset))))
    assert sorted(map(str, found.values())) == ['./ann.json', './photos/']


# holds: YAML configs
@pytest.mark.parametrize('suffix', ['yaml', 'yml', 'toml'])
def test_a_config_in_yaml_is_refused_before_it_is_read(tmp_path, suffix):
    path, mark = tmp_path / f'config.{suffix}', tmp_path / 'ran'
    path.write_text(f'model: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{mark}]]')
    with pytest.raises(SystemExit, match='YAML is refused'):
        cli.load_config(str(path))
    with pytest.raises(ValueError, match='YAML is refused'):
        Inferencer(str(path))
    assert not mark.exists()


class Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


# holds: YAML configs
@pytest.mark.parametrize('name', ['boxes.pkl', 'boxes.pickle', 'boxes.npy', 'boxes'])
def test_proposals_are_json_only(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Evil(tmp_path / 'ran')))
    with pytest.raises(ValueError, match='from JSON only'):
        ProposalFile(str(tmp_path / name))
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize(
    ('content', 'words'),
    [('[]', 'holds a list'), ('{"a": 3}', 'boxes of a are 3'), ('{"a": [[1, 2]]}', 'x1 y1 x2 y2'), ('', 'is empty')],
)
def test_proposals_that_are_none(tmp_path, content, words):
    (tmp_path / 'boxes.json').write_text(content)
    with pytest.raises(ValueError, match=words):
        ProposalFile(str(tmp_path / 'boxes.json'))


def test_a_proposal_file_of_mmdet_is_refused(write):
    with pytest.raises(ValueError, match='mmdet unpickles it'):
        CheckedCocoDataset(ann_file='ann.json', data_root=str(write()), proposal_file='x.pkl')


# holds: names of files that leave
def test_nothing_is_fetched_for_an_annotation(write, monkeypatch):
    monkeypatch.setattr('mmengine.fileio.HTTPBackend.get', lambda *_, **__: pytest.fail('it was fetched'))
    folder = write(put('images', file_name='http://example.com/a.png'))
    with pytest.raises(ValueError, match='a URL or drive'):
        CheckedCocoDataset(ann_file=str(folder / 'ann.json'))


# Checkpoints by URL.


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A file that every address gives; returns its hash and the addresses asked."""
    torch.save(dict(state_dict=dict(a=torch.ones(2))), tmp_path / 'served.pth')
    asked = []

    def fetch(url, path, **_):
        asked.append(url)
        Path(path).write_bytes((tmp_path / 'served.pth').read_bytes())

    monkeypatch.setattr('torch.hub.download_url_to_file', fetch)
    return hashlib.sha256((tmp_path / 'served.pth').read_bytes()).hexdigest(), asked


def test_a_url_with_the_right_hash_is_fetched_once(served, tmp_path):
    digest, asked = served
    for url in (f'https://x/a.pth#sha256={digest}', f'https://x/a-{digest[:8]}.pth', 'https://x/a.pth'):
        for _ in range(2):
            assert load_from_url(url, str(tmp_path))['state_dict']['a'].tolist() == [1, 1]
    assert asked == ['https://x/a.pth', f'https://x/a-{digest[:8]}.pth']


def test_one_name_at_two_addresses_is_two_files(served, tmp_path):
    for url in ('https://x/a.pth', 'https://y/a.pth', 'https://x/a.pth?v=2'):
        load_from_url(url, str(tmp_path))
    assert len(served[1]) == 3


# holds: a checkpoint by URL
@pytest.mark.parametrize('url', ['https://x/a.pth#sha256=' + 64 * '0', 'https://x/a-00000000.pth'])
def test_a_url_with_another_hash_is_refused(served, tmp_path, url):
    with pytest.raises(CorruptCheckpoint, match='not 00000000.* was removed'):
        load_from_url(url, str(tmp_path))
    assert not [*tmp_path.rglob('a*.pth')]


# Records.


# holds: a prediction that stops half way
def test_records_are_on_disk_as_they_are_made(tmp_path):
    path = tmp_path / 'new' / 'predictions.json'
    with Records(str(path), dict(config='c')) as records:
        records.add(dict(a=1))
        assert json.loads(Path(f'{path}.lines').read_text()) == dict(a=1)
        records.add(dict(a=2))
    assert json.loads(path.read_text()) == dict(config='c', predictions=[dict(a=1), dict(a=2)])
    assert [each.name for each in path.parent.iterdir()] == ['predictions.json']


# holds: a prediction that stops half way
def test_what_stops_before_the_end_leaves_the_records(tmp_path):
    path = tmp_path / 'predictions.json'
    with pytest.raises(KeyboardInterrupt), Records(str(path)) as records:
        records.add(dict(a=1))
        raise KeyboardInterrupt
    assert not path.exists() and json.loads(Path(f'{path}.lines').read_text()) == dict(a=1)


@pytest.mark.parametrize('tool', ['train', 'test', 'predict', 'browse_dataset', 'check_configs'])
def test_help_says_that_a_config_is_code(tool, monkeypatch, capsys):
    call(tool, '--help', monkeypatch=monkeypatch)
    assert 'code and is run' in ' '.join(capsys.readouterr().out.split())


def test_a_config_is_found_by_name_only_where_it_is(tmp_path):
    assert Config.fromfile(cli.find_config('mmparts::detr/detr_small_1xb8-9e_shapes.py'))
    with pytest.raises(FileNotFoundError, match='no config at'):
        cli.find_config(str(tmp_path / 'x.py'))
