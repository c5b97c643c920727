"""Other numbers in each test, and the same in each of its runs: a bound that holds today holds tomorrow."""

import zlib

import pytest
import torch


@pytest.fixture(autouse=True)
def own_numbers(request):
    torch.manual_seed(zlib.crc32(request.node.nodeid.rpartition('::')[2].encode()))
