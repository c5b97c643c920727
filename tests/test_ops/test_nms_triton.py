"""The Triton kernels of non-maximum suppression, without a GPU: interpreted they keep what the reference keeps, and the
compiler takes them for sm_90. The interpreter runs one program after another, so that it cannot see races; the kernels
have none to see, for no program reads what another one of the same launch writes."""

import os
import subprocess
import sys

import pytest
import torch

from mmparts.ops.nms.api import nms_reference

triton = pytest.importorskip('triton', reason='needs triton: pip install triton==3.7.1 for torch 2.13')


def crowd(count: int):
    corner = torch.randint(0, 60, (count, 2))
    boxes = torch.cat([corner, corner + torch.randint(0, 30, (count, 2))], 1).float()
    return boxes, torch.rand(count)


def chain(count: int):
    """Each box suppresses the next one, so every other box is kept, across all words."""
    left = torch.arange(float(count)) * 4
    return torch.stack([left, left * 0, left + 10, left * 0 + 1], 1), torch.linspace(1, 0, count)


def equal(count: int):
    return torch.tensor([[0.0, 0.0, 9.0, 9.0]]).repeat(count, 1), torch.ones(count)


def with_nan(count: int):
    boxes, scores = crowd(count)
    boxes[3, 1] = float('nan')
    return boxes, scores


# Name: boxes and scores, threshold, offset.
CASES = {
    'none': (lambda: crowd(0), 0.5, 0),
    'one': (lambda: crowd(1), 0.5, 0),
    'a full word': (lambda: crowd(64), 0.5, 0),
    'a word and one': (lambda: crowd(65), 0.3, 1),
    'three words': (lambda: crowd(150), 0.7, 0),
    'low threshold': (lambda: crowd(140), 0.0, 0),
    'chain': (lambda: chain(140), 0.4, 0),
    'equal': (lambda: equal(130), 0.5, 0),
    'nan': (lambda: with_nan(20), 0.5, 0),
}


def interpreted(path: str):
    """In the other process: everything, written as {name: (found, expected)}."""
    from mmparts.ops.nms.triton_kernels import nms_triton

    results = {}
    for name, (make, threshold, offset) in CASES.items():
        boxes, scores = make()
        results[name] = [op(boxes, scores, threshold, offset).tolist() for op in (nms_triton, nms_reference)]
    torch.save(results, path)


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp('triton') / 'results.pt'
    code = f'import torch, test_nms_triton; torch.manual_seed(7); test_nms_triton.interpreted({str(path)!r})'
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        capture_output=True,
        text=True,
        cwd=os.path.dirname(__file__),
        env={**os.environ, 'TRITON_INTERPRET': '1'},
    )
    assert done.returncode == 0, done.stderr
    return torch.load(path)


@pytest.mark.parametrize('name', CASES)
def test_keeps_what_the_reference_keeps(results, name):
    found, expected = results[name]
    assert found == expected


@pytest.mark.skipif('TRITON_INTERPRET' in os.environ, reason='kernels are interpreted here')
def test_compiles_for_sm_90():
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmparts.ops.nms import triton_kernels as nms_triton

    target = GPUTarget('cuda', 90, 32)
    suppress = dict(boxes='*fp32', words='*i64', count='i32', blocks='i32', threshold='fp32', offset='i32')
    resolve = dict(words='*i64', kept='*i8', count='i32', blocks='i32')
    for kernel, signature, constants in (
        (nms_triton._suppress, suppress, dict(WORD=64)),
        (nms_triton._resolve, resolve, dict(WORD=64, ROWS=8, COLUMNS=32)),
    ):
        signature = {**signature, **dict.fromkeys(constants, 'constexpr')}
        code = triton.compile(ASTSource(kernel, signature, constants), target=target)
        assert '.target sm_90' in code.asm['ptx'] and code.asm['cubin']
