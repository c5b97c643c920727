"""The Triton kernels of deformable convolution v3, without a GPU.

Triton's interpreter runs them on the CPU, where they must be the definition; it runs one program after another, so that
it cannot see races. The compiler translates them for sm_90, and the machine code must have what makes them fast.
"""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not find_spec('triton'), reason='needs triton')

# The interpreter is chosen when triton is imported, so it gets a process of its own. Every program takes a good part of
# a second: tiles are smaller than the GPU's, and images just large enough for two of them.
CODE = """
import sys
import dcnv3_cases as cases
import torch
from mmparts.ops.dcnv3 import triton_kernels as dcnv3_triton
from mmparts.ops.dcnv3.api import dcnv3, kernel_taps

dcnv3_triton.BLOCK = 128

def run(tensors, softmax=False, **geometry):
    taps = kernel_taps(**{**dict(kernel_size=3, padding=1, dilation=1, offset_scale=1., remove_center=False), **{
        key: number for key, number in geometry.items() if key != 'stride'}})
    taps = [side for tap in taps for side in tap]
    rest = taps, geometry.get('stride', 1), geometry.get('offset_scale', 1.), softmax
    output = dcnv3_triton.forward(*tensors, *rest)
    return output, *dcnv3_triton.backward(cases.direction(output), output, *tensors, *rest)

def check(tensors, tolerance, **geometry):
    expected = cases.run('reference', [tensor.double() for tensor in tensors], **geometry)
    for ours, right in zip(run(tensors, **geometry), expected):
        assert cases.error(ours, right) <= tolerance, (geometry, ours.dtype, cases.error(ours, right))
"""

CASES = {
    'float32': 'check(cases.inputs(batch=1, size=(2, 9), groups=2), 1e-5, softmax=True)',
    'geometry': 'g = dict(stride=2, offset_scale=1.7, remove_center=True)\n'
    'check(cases.inputs(torch.float64, size=(3, 3), groups=1, dim=5, **g), 1e-12, **g)',
    'bfloat16': 'tensors = cases.inputs(batch=1, size=(2, 3), groups=1)\n'
    'check([tensors[0].bfloat16(), *tensors[1:]], 1e-2, softmax=True)',
    'deterministic': """
torch.use_deterministic_algorithms(True)
check(cases.inputs(batch=1, size=(2, 2), groups=1), 1e-5)
tensors = cases.inputs(batch=1, size=(1, 2), groups=1)
tensors[2][0, 0, 1, 0, 3] = float('nan')
assert run(tensors, softmax=True)[1].isnan().all()                           # rather loud than wrong
""",
    'nan': """
tensors = cases.inputs(batch=1, size=(2, 3), groups=1)
tensors[1][0, 1, 2, 0, 4, 0] = float('nan')
output, grad_value, grad_offset, grad_mask = run(tensors)
assert output[0, 1, 2].isnan().all() and output.isnan().sum() == 16
assert grad_offset[0, 1, 2, 0, 4, 0].isnan() and grad_mask[0, 1, 2, 0, 4].isnan() and grad_mask.isnan().sum() == 1
assert not grad_value.isnan().any()
""",
    'empty': 'assert [len(tensor) for tensor in run(cases.inputs(batch=0))] == [0] * 4',
}


@pytest.mark.parametrize('case', CASES)
def test_is_the_definition(case):
    tests = str(Path(__file__).parents[1])
    environment = {
        **os.environ,
        'TRITON_INTERPRET': '1',
        'OMP_NUM_THREADS': '1',
        'PYTHONPATH': os.pathsep.join(filter(None, [tests, os.environ.get('PYTHONPATH')])),
    }
    result = subprocess.run([sys.executable, '-c', CODE + CASES[case]], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_importing_the_package_does_not_import_triton():
    code = 'import sys, mmparts, mmparts.ops.dcnv3; assert "triton" not in sys.modules'
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0


@pytest.mark.parametrize(('name', 'flags'), [('_forward_kernel', {}), ('_backward_kernel', dict(EXACT=False))])
def test_machine_code_for_sm_90(name, flags, tmp_path):
    """9 points of 4 corners, 2 times 16 bytes of each per thread: gathers and atomics of 16 bytes, nothing spilled."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmparts.ops.dcnv3 import triton_kernels as dcnv3_triton

    kernel = getattr(dcnv3_triton, name)
    pointers = {'value', 'offset', 'mask', 'grid', 'output', 'grad', 'unit', 'sums', 'grad_offset', 'grad_mask'}
    constants = dict(GROUPS=4, POINTS=9, DIM=16, BLOCK_DIM=16, TALL=8, WIDE=8, SOFTMAX=True, **flags)
    signature = {
        each: '*fp32' if each in pointers else 'constexpr' if each in constants else 'i32' for each in kernel.arg_names
    }
    aligned = {(i,): [['tt.divisibility', 16]] for i, each in enumerate(kernel.arg_names) if each in pointers}
    binary = triton.compile(ASTSource(kernel, signature, constants, aligned), target=GPUTarget('cuda', 90, 32))
    path = tmp_path / 'kernel.cubin'
    path.write_bytes(binary.asm['cubin'])
    text = subprocess.run(
        [triton.knobs.nvidia.cuobjdump.path, '-sass', '-res-usage', path], capture_output=True, text=True, check=True
    ).stdout
    resources = {key: int(number) for key, number in re.findall(r'(REG|STACK|LOCAL):(\d+)', text)}
    code = re.findall(r'/\*[0-9a-f]{4,}\*/ +(?:@!?U?P\w+ +)?([A-Z][\w.]*)', text)
    assert resources['STACK'] == resources['LOCAL'] == 0 and resources['REG'] <= 96
    assert sum(each.startswith('LDG.E.128') for each in code) >= 72
    atomics = [each for each in code if each.startswith(('RED', 'ATOM'))]
    assert len(atomics) == (72 if flags else 0) and all('F32x4' in each for each in atomics)
