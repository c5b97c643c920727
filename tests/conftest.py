"""Comes before every test: one thread a process; mmparts, by which mmdet imports on mmcv-lite; a small data set."""

import os

# Two workers share two cores (`pytest -n 2`); more threads than cores make tiny ops many times slower. Set before torch
# is imported; tests that need several threads ask for them.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import pytest

import mmparts  # noqa: F401


@pytest.fixture(scope='session')
def shapes(tmp_path_factory):
    """A folder with 24 + 24 pictures of up to 64 px."""
    from mmparts.datasets import make_shapes

    out = tmp_path_factory.mktemp('data') / 'shapes'
    make_shapes(out, images=24, val_images=24, size=64)
    return out
