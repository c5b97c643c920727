"""Every tool says what it is for."""

import runpy
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.mark.parametrize('name', [path.name for path in sorted(TOOLS.glob('*.py'))])
def test_help(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [name, '--help'])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(TOOLS / name), run_name='__main__')
    assert not stop.value.code
    text = capsys.readouterr().out
    assert text.startswith(f'usage: {name}')
    assert len(text.split('options:')[0].split()) > 10, 'says in a sentence what it does'
