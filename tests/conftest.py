"""Comes before every test: one thread a process, and mmparts, which makes mmdet importable on mmcv-lite."""

import os

# Two workers share two cores (`pytest -n 2`); more threads than cores make tiny ops many times slower. Set before torch
# is imported; tests that need several threads ask for them.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import mmparts  # noqa: F401
