"""The examples in docstrings run as they stand; ``torch`` is imported for them."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest
import torch

PACKAGE = Path(__file__).resolve().parent.parent / 'projects'
WITH_EXAMPLES = [
    '.'.join(('mmparts', *path.relative_to(PACKAGE).with_suffix('').parts)).removesuffix('.__init__')
    for path in sorted(PACKAGE.rglob('*.py'))
    if '.mim' not in path.parts and '>>> ' in path.read_text(encoding='utf-8')
]


@pytest.mark.parametrize('name', WITH_EXAMPLES)
def test_examples_run(name):
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.testmod(import_module(name), extraglobs=dict(torch=torch), optionflags=flags)
    assert tried and not failed
