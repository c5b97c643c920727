"""Comes before every test: one thread a process; mmparts, by which mmdet imports on mmcv-lite; a small data set."""

import os
import runpy
import sys
from pathlib import Path

# Two workers share two cores (`pytest -n 2`); more threads than cores make tiny ops many times slower. Set before torch
# is imported; tests that need several threads ask for them.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import pytest

import mmparts  # noqa: F401
from mmparts.engine.faults.signals import stop

TOOLS = Path(__file__).resolve().parents[1] / 'tools'


@pytest.fixture(scope='session')
def shapes(tmp_path_factory):
    """A folder with 24 + 24 images of up to 64 px."""
    from mmparts.datasets import make_shapes

    out = tmp_path_factory.mktemp('data') / 'shapes'
    make_shapes(out, images=24, val_images=24, size=64)
    return out


def run_tool(name: str, *args) -> int:
    """Run ``tools/NAME.py`` in this process; returns its exit code (1 where it leaves with a message)."""
    environ, argv = dict(os.environ), sys.argv
    sys.argv = [name, *map(str, args)]
    try:
        runpy.run_path(str(TOOLS / f'{name}.py'), run_name='__main__')
    except SystemExit as left:
        if isinstance(left.code, str):
            print(left.code, file=sys.stderr)
            return 1
        return left.code or 0
    finally:
        stop.until_exit = False  # this process goes on
        stop.forget()
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environ)
    return 0


@pytest.fixture(name='run_tool', scope='session')
def run_tool_fixture():
    return run_tool


@pytest.fixture(autouse=True)
def own_environment():
    """What a tool sets in the environment ends with its test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
