"""`mmparts WORD ...`: every word, its help without waiting, near names, the tools that are the same commands."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mmparts import commands
from mmparts.commands import COMMANDS, attention, configs
from mmparts.visualization.attention import KINDS

ROOT = Path(__file__).resolve().parents[2]
SLOW = ('torch', 'numpy', 'mmengine', 'mmcv', 'mmdet', 'scipy', 'matplotlib', 'rich')

HELPS = f"""
import sys, time
start = time.process_time()
from mmparts import commands
for name in sys.argv[1:]:
    sys.argv = ['mmparts', *name.split(), '--help']
    try:
        commands.main()
    except SystemExit as stop:
        assert not stop.code, (name, stop.code)
sys.argv = ['mmparts', '--help']
try:
    commands.main()
except SystemExit:
    pass
assert not [name for name in {SLOW} if name in sys.modules], [name for name in {SLOW} if name in sys.modules]
seconds = time.process_time() - start
assert seconds < 1, seconds
"""


def mmparts(monkeypatch, *words) -> int | str:
    """What a command exits with."""
    monkeypatch.setattr(sys, 'argv', ['mmparts', *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        commands.main()
    return stop.value.code or 0


def test_every_help_comes_at_once():
    done = subprocess.run([sys.executable, '-c', HELPS, *COMMANDS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name, command in COMMANDS.items():
        assert f'usage: mmparts {name} ' in done.stdout
        assert f'  {name:14s}{command.what}' in done.stdout


@pytest.mark.parametrize('name', COMMANDS)
def test_a_command_is_a_file_with_a_parser_and_a_main(name):
    module = import_module(COMMANDS[name].module, 'mmparts.commands')
    assert callable(module.main) and module.parser().description


@pytest.mark.parametrize(
    ('words', 'meant'),
    [
        (['trian'], "'trian' is no command; did you mean train?"),
        (['data', 'brows'], "'brows' is none of "),
        (['--hlep'], "'--hlep' is no command; did you mean --help?"),
        (['train', 'config.py', '--reusme'], 'unrecognized arguments: --reusme; did you mean --resume?'),
        (['train', 'config.py', '--launcher', 'slrum'], 'did you mean slurm?'),
        (['attention', 'a', 'b', 'c', '--kind', 'point'], 'did you mean points?'),
        (['configs', 'dinno'], "no config has all of ['dinno'] in its name or first line; did you mean dino?"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_nearest(monkeypatch, capsys, words, meant):
    assert mmparts(monkeypatch, *words)
    assert meant in capsys.readouterr().err


def test_a_group_alone_lists_its_words(monkeypatch, capsys):
    assert mmparts(monkeypatch, 'data') == 2
    assert 'data convert' in capsys.readouterr().out


def test_module_and_version():
    done = subprocess.run([sys.executable, '-m', 'mmparts', '--version'], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith('mmparts 0.')


def test_kinds_of_attention_are_those_that_are_drawn():
    assert tuple(KINDS) == attention.KINDS


def test_configs_are_found_by_words(monkeypatch, capsys):
    assert mmparts(monkeypatch, 'configs', 'dino', 'swin') == 0
    names = [line for line in capsys.readouterr().out.splitlines() if line.startswith('mmparts::')]
    assert names and all(line.endswith('.py') for line in names)
    assert {name for name, _ in configs.shipped()} == {
        str(path.relative_to(ROOT / 'configs')) for path in (ROOT / 'configs').glob('[a-z]*/*.py')
    }
    assert all(line.strip('" ') for _, line in configs.shipped()), 'each says what it is'


def test_configs_are_listed_without_torch():
    code = f"""
import sys
from mmparts import commands
sys.argv = ['mmparts', 'configs', 'dino', 'swin']
try:
    commands.main()
finally:
    assert not [name for name in {SLOW} if name in sys.modules]
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0 and 'mmparts::' in done.stdout, done.stderr


def test_run_lists_and_names_the_tools_of_a_package(monkeypatch, capsys):
    assert mmparts(monkeypatch, 'run', 'mmdet') == 0
    assert 'analysis_tools/confusion_matrix' in capsys.readouterr().out.split()
    assert 'did you mean confusion_matrix?' in mmparts(monkeypatch, 'run', 'mmdet', 'confusion_matrx')
    assert 'did you mean mmdet?' in mmparts(monkeypatch, 'run', 'mmdett', 'train')


def test_run_gives_a_tool_its_arguments(monkeypatch, capsys):
    config = 'mmparts::dino/dino-4scale_small_2xb4-7e_shapes.py'
    (path,) = [str(ROOT / 'configs' / name) for name, _ in configs.shipped() if config.endswith(name)]
    assert mmparts(monkeypatch, 'run', 'mmdet', 'print_config', path, '--cfg-options', 'model.num_queries=7') == 0
    assert 'num_queries=7' in capsys.readouterr().out
