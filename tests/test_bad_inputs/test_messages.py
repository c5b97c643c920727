"""Errors as a user reads them: one message, without what libraries and data workers put around it."""

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmparts.datasets.loading import LoadCheckedImage
from mmparts.engine import cli
from mmparts.engine.errors import explain, foreseen, words


def raised(call) -> Exception:
    try:
        call()
    except Exception as error:
        return error
    pytest.fail('nothing was raised')


class Broken(Dataset):
    """Items that fail as one asks."""

    def __init__(self, kind: str):
        self.kind = kind

    def __len__(self):
        return 2

    def __getitem__(self, index):
        if self.kind == 'ours':
            return LoadCheckedImage().transform(dict(img_path='/no/such.png'))
        if self.kind == 'key':
            return dict()['missing']
        raise RuntimeError('first line\nKind: second line')


@pytest.mark.parametrize(
    ('kind', 'text', 'known'),
    [('ours', 'cannot load the image /no/such.png: there is no such file', True), ('key', "'missing'", False)],
)
def test_a_data_worker_adds_nothing(kind, text, known):
    error = raised(lambda: next(iter(DataLoader(Broken(kind), num_workers=1))))
    assert words(error) == text and foreseen(error) == known
    assert 'Traceback' not in explain(error)


@pytest.mark.parametrize(
    ('error', 'text'),
    [
        (RuntimeError('CUDA error: invalid device ordinal\nCUDA kernel errors'), 'there is no GPU of that number'),
        (AssertionError('Torch not compiled with CUDA enabled'), 'no GPU can be used here: --device cpu'),
        (torch.OutOfMemoryError('CUDA out of memory. Tried'), 'the GPU is full: a smaller batch_size'),
        (OSError(28, 'No space left on device'), 'the disk is full'),
        (RuntimeError('The server socket has failed: Address already in use'), 'the port is taken'),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 'the memory is full'),
    ],
)
def test_known_words_of_libraries_are_told_in_plain_ones(error, text):
    def call():
        raise error

    said = explain(raised(call))
    assert said.startswith(text) and '\n' not in said


def test_what_nobody_foresaw_names_its_kind_and_place():
    def call():
        return [][3]

    said = explain(raised(call))
    assert said.startswith('IndexError: list index out of range (') and 'test_messages.py:' in said


@pytest.mark.parametrize('debug', [False, True])
def test_run_shows_the_traceback_on_demand(monkeypatch, debug):
    monkeypatch.setattr('sys.argv', ['tool', '--debug'] if debug else ['tool'])

    def main():
        return dict()['missing']

    if debug:
        with pytest.raises(KeyError):
            cli.run(main)
        return
    with pytest.raises(SystemExit) as stop:
        cli.run(main)
    assert stop.value.code.startswith('error: KeyError: missing (') and '--debug shows' in stop.value.code


def test_run_says_no_more_than_our_own_words(monkeypatch):
    monkeypatch.setattr('sys.argv', ['tool'])
    with pytest.raises(SystemExit) as stop:
        cli.run(lambda: LoadCheckedImage().transform(dict(img_path='/no/such.png')))
    assert stop.value.code == 'error: cannot load the image /no/such.png: there is no such file'
