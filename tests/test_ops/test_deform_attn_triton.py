"""The Triton kernels of multi-scale deformable attention, without a GPU.

Triton's interpreter runs them on the CPU, in one other process for all cases, where they must be the definition; it
runs one program after another, so that it cannot see races. The compiler translates them for sm_90, and the machine
code must have what makes them fast.
"""

import os
import re
import subprocess
import sys

import pytest
import torch

from mmparts.ops import ms_deform_attn
from mmparts.ops.deform_attn import fused as deform_attn_fused
from mmparts.ops.deform_attn.api import VARIANTS
from mmparts.ops.kernels.variants import Variant

triton = pytest.importorskip('triton', reason='needs triton (691 MB): pip install triton==3.7.1 for torch 2.13')
SHAPES = ((5, 3), (1, 2))


def inputs(dtype=torch.float32, batch=2, queries=3, heads=2, points=2, dim=5, shapes=SHAPES):
    """Fresh numbers at each call; a tenth of the locations is outside, none within 0.001 pixels of a cell's border."""
    value = torch.randn(batch, sum(height * width for height, width in shapes), heads, dim, dtype=torch.float64)
    size = torch.tensor([[width, height] for height, width in shapes], dtype=torch.float64).unsqueeze(1)
    pixels = torch.rand(batch, queries, heads, len(shapes), points, 2, dtype=torch.float64) * (size * 1.2) - size * 0.1
    pixels = pixels.floor() + 0.001 + 0.998 * (pixels - pixels.floor())
    weights = torch.rand(batch, queries, heads, len(shapes), points, dtype=torch.float64)
    precise = torch.promote_types(dtype, torch.float32)
    return [value.to(dtype), ((pixels + 0.5) / size).to(precise), weights.to(precise)]


def with_borders():
    """On the centres of the first and last pixel, one beyond, and far outside."""
    value, locations, weights = inputs(torch.float64, batch=1, queries=8, heads=1)
    places = torch.tensor([-1.0, 0.0, 2.0, 3.0, 1e9, -1e9, float('inf'), 3e307], dtype=torch.float64)
    locations[0, :, 0, :, :, 0] = ((places + 0.5) / 3).view(-1, 1, 1)
    return value, locations, weights


def with_nan():
    value, locations, weights = inputs()
    locations[1, 2, 0, 1, 1, 0] = float('nan')
    return value, locations, weights


def with_infinity():
    """One token is infinite, and only the first query may see it."""
    value, locations, weights = inputs()
    value[:, 0] = float('inf')
    locations[:, 1:] = 3.0
    return value, locations, weights


def strided():
    value, locations, weights = inputs()
    tensors = [
        value.transpose(1, 2).contiguous().transpose(1, 2),
        locations.transpose(0, 1).contiguous().transpose(0, 1),
        torch.stack([weights, weights], -1)[..., 0],
    ]
    assert not any(tensor.is_contiguous() for tensor in tensors)
    return tensors


def fused(shared=False, **options):
    """Centre, reach, offsets and logits; ``shared``: one reach for all queries, as where references are points."""
    value, locations, _ = inputs(**options)
    batch, queries, heads, levels, points, _ = locations.shape
    centre = torch.rand(batch, queries, levels, 2, dtype=locations.dtype)
    reach = 0.1 + torch.rand(levels, 2) if shared else 0.1 + torch.rand(batch, queries, levels, 2)
    reach = reach.to(locations.dtype)
    offsets = (locations - centre[:, :, None, :, None]) / reach.unsqueeze(-2).unsqueeze(-4)
    logits = 3 * torch.randn(locations.shape[:-1], dtype=torch.float64)
    return [value, centre, reach, offsets.to(value.dtype), logits.to(value.dtype)]


# Name: inputs, tolerance of the relative error in the 2-norm, deterministic.
CASES = {
    'float64': (lambda: inputs(torch.float64), 1e-13, False),
    'float32': (inputs, 1e-5, False),
    'bfloat16': (lambda: inputs(torch.bfloat16, batch=1), 1e-2, False),
    'float16': (lambda: inputs(torch.float16, batch=1), 1e-3, False),
    'two blocks of queries': (lambda: inputs(batch=1, queries=17, heads=1, points=1, dim=64), 1e-5, False),
    'one of all': (lambda: inputs(batch=1, queries=1, heads=1, points=1, dim=1, shapes=((2, 2),)), 1e-5, False),
    'three levels, three points': (lambda: inputs(points=3, dim=3, shapes=((2, 3), (1, 1), (4, 1))), 1e-5, False),
    'strided': (strided, 1e-5, False),
    'deterministic': (inputs, 1e-5, True),
    'deterministic, bfloat16': (lambda: inputs(torch.bfloat16, batch=1, dim=8), 1e-2, True),
    'borders': (with_borders, 1e-13, False),
    'nan': (with_nan, 1e-5, False),
    'nan, deterministic': (with_nan, 1e-5, True),
    'infinity': (with_infinity, 1e-5, False),
    'no images': (lambda: inputs(batch=0), 1e-5, False),
    'no queries': (lambda: inputs(queries=0), 1e-5, False),
}
SIZES = {'one of all': ((2, 2),), 'three levels, three points': ((2, 3), (1, 1), (4, 1))}


FUSED = {
    'float64': (lambda: fused(dtype=torch.float64), 1e-13, False),
    'float32': (fused, 1e-5, False),
    'float32, one reach': (lambda: fused(shared=True), 1e-5, False),
    'bfloat16': (lambda: fused(dtype=torch.bfloat16, batch=1), 1e-2, False),
    'two blocks of queries': (lambda: fused(batch=1, queries=17, heads=1, points=1, dim=64), 1e-5, False),
    'deterministic': (fused, 1e-5, True),
    'no queries': (lambda: fused(queries=0), 1e-5, False),
}


def gradients(op, tensors, shapes, dtype):
    """Output and the gradients of all tensors, from one direction, rounded to ``dtype``."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    output = op(leaves[0], shapes, *leaves[1:])
    direction = torch.linspace(-1, 1, output.numel(), dtype=torch.float64).cos().to(dtype).view_as(output)
    return output.detach(), *torch.autograd.grad(output, leaves, direction.to(output.dtype))


def interpret(path):
    """Run in the other process: of each case what the kernels give and what the definition gives in float64."""
    from mmparts.ops.deform_attn import triton_kernels as ours
    from mmparts.ops.deform_attn.op import MS_DEFORM_ATTN, MS_DEFORM_ATTN_FUSED

    MS_DEFORM_ATTN.implement('cpu', ours.forward, ours.backward)
    MS_DEFORM_ATTN_FUSED.implement('cpu', ours.fused_forward, ours.fused_backward)
    results = {}
    for name, (make, _, deterministic) in CASES.items():
        # grid_sample turns an infinite location into NaN, a far one into zeros.
        results[name] = both(
            ms_deform_attn,
            VARIANTS,
            ours.ms_deform_attn_triton,
            make(),
            SIZES.get(name, SHAPES),
            deterministic,
            lambda value, places, weights: [value, places.clamp(-1e9, 1e9), weights],
        )
    for name, (make, _, deterministic) in FUSED.items():
        results[f'fused, {name}'] = both(
            deform_attn_fused.ms_deform_attn_fused,
            deform_attn_fused.VARIANTS,
            ours.ms_deform_attn_fused_triton,
            make(),
            SHAPES,
            deterministic,
        )
    torch.save(results, path)


def both(op, variants, kernel, tensors, shapes, deterministic, prepare=lambda *tensors: tensors):
    variants.variants['triton'] = Variant(lambda: kernel)
    torch.use_deterministic_algorithms(deterministic)
    with variants.use('triton'):
        found = gradients(op, tensors, shapes, tensors[0].dtype)
    torch.use_deterministic_algorithms(False)
    with variants.use('reference'):
        expected = gradients(op, prepare(*(tensor.double() for tensor in tensors)), shapes, tensors[0].dtype)
    return found, expected, [tensor.dtype for tensor in tensors]


@pytest.fixture(scope='module')
def interpreted(tmp_path_factory):
    path = tmp_path_factory.mktemp('triton') / 'results.pt'
    environment = {**os.environ, 'TRITON_INTERPRET': '1', 'OMP_NUM_THREADS': '1'}
    result = subprocess.run([sys.executable, __file__, str(path)], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    print(result.stdout)  # the seed
    return torch.load(path)


@pytest.mark.parametrize('case', CASES)
def test_the_interpreted_kernels_are_the_definition(interpreted, case):
    found, expected, dtypes = interpreted[case]
    assert [tensor.dtype for tensor in found] == [dtypes[0], *dtypes]
    for index, (ours, right) in enumerate(zip(found, expected)):
        # The gradient of a location jumps at the border of a cell; the definition's of an infinite value is a NaN.
        if (index == 2 and 'borders' in case) or (index > 1 and case == 'infinity'):
            continue
        finite = ours.isfinite() & right.isfinite()
        # Of a location of which one coordinate is NaN, both gradients are here, one is in the definition.
        assert ours.shape == right.shape and (finite == right.isfinite()).sum() >= finite.numel() - (index == 2)
        error, scale = (ours.double() - right)[finite].norm(), right[finite].norm()
        assert error <= CASES[case][1] * scale


@pytest.mark.parametrize('case', FUSED)
def test_the_fused_kernels_are_the_definition(interpreted, case):
    """Of value, centre, reach, offsets and logits."""
    found, expected, dtypes = interpreted[f'fused, {case}']
    assert [tensor.dtype for tensor in found] == [dtypes[0], *dtypes]
    for ours, right in zip(found, expected):
        assert ours.shape == right.shape
        assert (ours.double() - right).norm() <= FUSED[case][1] * right.norm()
        assert right.norm() > 0 or not right.numel() or case == 'no queries'


@pytest.mark.parametrize('op', ['ms_deform_attn', 'ms_deform_attn_fused', 'dcnv3'])
@pytest.mark.parametrize('direction', ['', '_backward'])
def test_gpus_have_the_kernels(op, direction):
    from mmparts.ops.dcnv3 import triton_kernels as dcnv3_triton  # noqa: F401  as the variants do
    from mmparts.ops.deform_attn import triton_kernels as deform_attn_triton  # noqa: F401  as the variants do

    assert torch._C._dispatch_has_kernel_for_dispatch_key(f'mmparts::{op}{direction}', 'CUDA')


@pytest.mark.parametrize('case', ['nan', 'nan, deterministic'])
def test_nan_spoils_its_own_query_and_head_only(interpreted, case):
    output, grad_value, grad_locations, grad_weights = interpreted[case][0]
    assert output[1, 2, :5].isnan().all() and output.isnan().sum() == 5
    assert grad_locations[1, 2, 0, 1, 1].isnan().all() and grad_locations.isnan().sum() == 2
    assert grad_weights[1, 2, 0, 1, 1].isnan() and grad_weights.isnan().sum() == 1
    assert grad_value.isfinite().all()


def test_no_images_and_no_queries_have_zero_gradients(interpreted):
    assert interpreted['no images'][0][1].shape == (0, 17, 2, 5)
    assert interpreted['no queries'][0][1].shape == (2, 17, 2, 5) and not interpreted['no queries'][0][1].any()


def machine_code(kernel, size, dtype, tmp_path, **flags):
    """Resources and instructions of a kernel on an H100: 4 levels x 4 points, 8 heads of 32."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    types = dict(
        value=dtype,
        output=dtype,
        grad=dtype,
        sizes='i32',
        target='fp32' if flags.get('SCATTER') else 'i32',
        locations='fp32',
        weights='fp32',
        corners='fp32',
        grad_locations='fp32',
        grad_weights='fp32',
        centre='fp32',
        reach='fp32',
    )
    if flags['FUSED']:
        types.update(locations=dtype, weights=dtype)
    options, numbers = size
    constants = dict(HEADS=8, LEVELS=4, POINTS=4, DIM=32, BLOCK_DIM=32, BLOCK=numbers // 32, **flags)
    names = kernel.arg_names
    signature = {
        name: f'*{types[name]}' if name in types else 'constexpr' if name in constants else 'i32' for name in names
    }
    aligned = {(index,): [['tt.divisibility', 16]] for index, name in enumerate(names) if name in types}
    binary = triton.compile(
        ASTSource(kernel, signature, constants, aligned), target=GPUTarget('cuda', 90, 32), options=options
    )
    path = tmp_path / 'kernel.cubin'
    path.write_bytes(binary.asm['cubin'])
    text = subprocess.run(
        [triton.knobs.nvidia.cuobjdump.path, '-sass', '-res-usage', path], capture_output=True, text=True, check=True
    ).stdout
    resources = {name: int(number) for name, number in re.findall(r'(REG|STACK|LOCAL|SHARED):(\d+)', text)}
    return resources, re.findall(r'/\*[0-9a-f]{4,}\*/ +(?:@!?U?P\w+ +)?([A-Z][\w.]*)', text)


# Kernel, dtype of value; what the 4 points of a level take: gathers (16 corners x rows per thread) of so many bits, and
# vector atomics; at most so many registers (warps that fit beside each other), and instructions of the kernel: 5 %
# above those of triton 3.7.1. `listing` is the backward in deterministic mode.
@pytest.mark.parametrize(
    ('kernel', 'dtype', 'gathers', 'bits', 'atomics', 'registers', 'length'),
    [
        ('forward', 'fp32', 32, 128, 0, 72, 806),
        ('forward', 'bf16', 16, 128, 0, 64, 714),
        ('forward', 'fp16', 16, 128, 0, 64, 714),
        ('backward', 'fp32', 32, 128, 32, 84, 1604),
        ('backward', 'bf16', 32, 64, 32, 84, 1823),
        ('listing', 'fp32', 32, 128, 0, 96, 1478),
        ('fused forward', 'fp32', 32, 128, 0, 84, 1285),
        ('fused forward', 'bf16', 16, 128, 0, 60, 991),
        ('fused backward', 'fp32', 32, 128, 32, 128, 2327),
        ('fused backward', 'bf16', 32, 64, 32, 118, 2630),
    ],
)
def test_machine_code(kernel, dtype, gathers, bits, atomics, registers, length, tmp_path):
    from mmparts.ops.deform_attn import triton_kernels as ours

    fused = 'fused' in kernel
    if 'forward' in kernel:
        resources, code = machine_code(ours._forward_kernel, ours.FORWARD, dtype, tmp_path, FUSED=fused)
    else:
        resources, code = machine_code(
            ours._backward_kernel, ours.BACKWARD, dtype, tmp_path, FUSED=fused, SCATTER='backward' in kernel
        )
    print(resources, len(code))
    assert resources['STACK'] == resources['LOCAL'] == resources['SHARED'] == 0
    assert not any(name.startswith(('LDL', 'STL', 'ATOM')) for name in code)
    # Fused, one before the gradients of the logits, and none in a loop.
    assert sum(name.startswith('BAR') for name in code) == (kernel == 'fused backward')
    # With the rows of the gradient, in the backward.
    rows = 0 if 'forward' in kernel else gathers // 16
    assert sum(name.startswith(f'LDG.E.{bits}') for name in code) == gathers + rows
    # Offsets and logits are one number each.
    assert fused or not any(name.startswith(('LDG.E.U16', 'LDG.E.U8')) for name in code)
    assert [name.startswith('REDG.E.ADD.F32x4') for name in code if 'RED' in name] == [True] * atomics
    assert resources['REG'] <= registers and len(code) <= length


if __name__ == '__main__':
    interpret(sys.argv[1])
