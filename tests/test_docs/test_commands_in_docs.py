"""Commands in README.md and docs/: their words and options exist; those of the guide run, word for word."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mmparts import commands

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md')), *sorted((ROOT / 'configs').glob('*/README.md'))]
GUIDE = '## Train on your own data'


def lines_of(path: Path) -> list[str]:
    """Commands of `mmparts` in code blocks and in the last column of tables."""
    text, found = path.read_text(encoding='utf-8'), []
    for block in re.findall(r'```bash\n(.*?)```', text, re.DOTALL):
        found += [line for line in block.replace('\\\n', ' ').splitlines() if line.startswith('mmparts ')]
    return found + re.findall(r'\| `(mmparts [^`]*)`', text)


COMMANDS = [(path, line) for path in DOCS for line in lines_of(path)]


@pytest.mark.parametrize(('path', 'line'), COMMANDS, ids=[line[:60] for _, line in COMMANDS])
def test_words_and_options_of_a_command_exist(path, line):
    words = shlex.split(line, comments=True)[1:]
    if words[0] == '--help':
        return
    name, rest = commands.find(words)
    module = import_module(commands.COMMANDS[name].module, 'mmparts.commands')
    assert module.parser().parse_args(rest)


def test_tools_that_are_named_exist():
    for path in DOCS:
        for name in re.findall(r'python (tools/\w+\.py)', path.read_text(encoding='utf-8')):
            assert (ROOT / name).is_file(), f'{path.name} names {name}'


def test_every_tool_of_mmdet_has_a_row():
    from mmparts.commands.run import tools_of

    text = (ROOT / 'docs' / 'coming_from.md').read_text(encoding='utf-8')
    lacking = [name for name in tools_of('mmdet') if Path(name).name not in text]
    assert not lacking


@pytest.fixture
def place(tmp_path, shapes):
    """A folder with photos/, whose annotations are COCO's."""
    (tmp_path / 'photos').mkdir()
    for each in sorted((shapes / 'val').iterdir())[:12]:
        shutil.copy(each, tmp_path / 'photos')
    shutil.copy(shapes / 'annotations' / 'instances_val.json', tmp_path / 'photos' / 'labels.json')
    shutil.copy(tmp_path / 'photos' / sorted(os.listdir(tmp_path / 'photos'))[0], tmp_path / 'photos' / '1.jpg')
    return tmp_path


@pytest.mark.long
def test_the_guide_runs_word_for_word(place):
    """Up to the larger model, which needs a GPU and the network."""
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    section = text[text.index(GUIDE) : text.index('Larger models, with a GPU')]
    environment = {**os.environ, 'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}', 'OMP_NUM_THREADS': '1'}
    blocks = re.findall(r'```(bash|python)\n(.*?)```', section, re.DOTALL)
    assert len(blocks) == 3
    for kind, block in blocks:
        command = ['bash', '-euc', block] if kind == 'bash' else [sys.executable, '-c', block]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, block + done.stdout[-2000:] + done.stderr[-3000:]
    assert (place / 'predictions' / 'predictions.json').is_file() and (place / 'found.jpg').is_file()
    assert (place / 'work_dirs' / 'photos' / 'report.html').is_file()
