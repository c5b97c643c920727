"""tools/launch.py: processes, signals, exit codes, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
NAMES = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')


@pytest.fixture
def launch(tmp_path):
    """``launch(code, processes, **environment)``: the launcher running a file of Python ``code``, as a Popen."""

    def start(code: str, processes: int = 2, **environment) -> subprocess.Popen:
        (tmp_path / 'tool.py').write_text(code)
        clean = {
            name: value for name, value in os.environ.items() if name not in ('PORT', 'NNODES', 'NODE_RANK', *NAMES)
        }
        command = [sys.executable, TOOLS / 'launch.py', str(processes), tmp_path / 'tool.py']
        return subprocess.Popen(command, env={**clean, **environment}, stdout=subprocess.PIPE, text=True, cwd=tmp_path)

    return start


def test_each_process_knows_its_place(launch):
    # One write a line: print would do two, and lines of two processes could meet.
    code = f"import os, sys; sys.stdout.write(' '.join(os.environ[name] for name in {NAMES}) + chr(10))"
    rows = [line.split() for line in launch(code).communicate()[0].splitlines()]
    assert sorted(row[:5] for row in rows) == [[str(rank), '2', str(rank), '2', '127.0.0.1'] for rank in (0, 1)]
    assert rows[0][5] == rows[1][5]
    second = launch(code, NNODES='2', NODE_RANK='1', MASTER_ADDR='head', PORT='1234').communicate()[0].splitlines()
    assert sorted(second) == ['2 4 0 2 head 1234', '3 4 1 2 head 1234']


# holds: a signal to the launcher
@pytest.mark.parametrize('name', ['SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGUSR2'])
def test_a_signal_reaches_all_and_their_code_comes_back(launch, tmp_path, name):
    code = f"""
import os, signal, sys, time
def leave(number, frame):
    open('got' + os.environ['RANK'], 'w').write(signal.Signals(number).name)
    time.sleep(0.3)
    sys.exit(75)
signal.signal(signal.{name}, leave)
open('ready' + os.environ['RANK'], 'w')
time.sleep(60)
"""
    launcher = launch(code)
    while len(list(tmp_path.glob('ready*'))) < 2:
        time.sleep(0.02)
    launcher.send_signal(signal.Signals[name])
    assert launcher.wait(20) == 75
    assert [(tmp_path / f'got{rank}').read_text() for rank in (0, 1)] == [name, name]


# holds: a signal to the launcher
def test_one_that_fails_ends_all_with_what_they_started(launch, tmp_path):
    code = """
import os, subprocess, sys, time
if os.environ['RANK'] == '0':
    child = subprocess.Popen(['sleep', '60'])
    open('pid', 'w').write(str(child.pid))
    time.sleep(60)
while not os.path.exists('pid'):
    time.sleep(0.02)
os.kill(os.getpid(), 9)
"""
    start = time.monotonic()
    assert launch(code).wait(20) == 128 + 9
    assert time.monotonic() - start < 10
    pid = int((tmp_path / 'pid').read_text())
    state = Path(f'/proc/{pid}/stat')
    assert not state.exists() or state.read_text().split()[2] == 'Z'
