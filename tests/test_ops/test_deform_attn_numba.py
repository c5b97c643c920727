"""The numba kernels of multi-scale deformable attention are the definition, on any sizes, threads and processes."""

import os
import subprocess
import sys

import pytest
import torch

from mmparts.ops import ms_deform_attn, ms_deform_attn_reference
from mmparts.ops.deform_attn.api import VARIANTS

pytest.importorskip('numba')
SHAPES = ((7, 5), (3, 4), (1, 2))


def inputs(dtype=torch.float32, batch=2, queries=9, heads=3, points=2, dim=5, shapes=SHAPES):
    """Other numbers at each call; a tenth of the locations is outside, none within 0.001 pixels of a cell's border."""
    value = torch.randn(batch, sum(height * width for height, width in shapes), heads, dim, dtype=torch.float64)
    size = torch.tensor([[width, height] for height, width in shapes], dtype=torch.float64).unsqueeze(1)
    pixels = torch.rand(batch, queries, heads, len(shapes), points, 2, dtype=torch.float64) * (size * 1.2) - size * 0.1
    pixels = pixels.floor() + 0.001 + 0.998 * pixels.frac().abs()
    weights = torch.rand(batch, queries, heads, len(shapes), points, dtype=torch.float64)
    return [tensor.to(dtype) for tensor in (value, (pixels + 0.5) / size, weights)]


def run(variant, tensors, shapes=SHAPES):
    """Output and the gradients of value, locations and weights."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    with VARIANTS.use(variant):
        output = ms_deform_attn(leaves[0], shapes, *leaves[1:])
    direction = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).cos().view_as(output)
    return output.detach(), *torch.autograd.grad(output, leaves, direction)


def error(ours, expected):
    return (ours.double() - expected).norm() / expected.norm()


@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float64, 1e-13), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)]
)
@pytest.mark.parametrize(
    'sizes',
    [
        dict(),
        dict(dim=32, heads=2, points=4, queries=60),
        dict(batch=3, points=5, heads=1, dim=1),
        dict(dim=33, queries=1, points=1, shapes=((4, 4),)),
    ],
)
def test_output_and_gradients_are_those_of_the_definition(dtype, tolerance, sizes):
    tensors = inputs(dtype, **sizes)
    if dtype == torch.bfloat16:  # locations in half precision mean nothing
        tensors[1] = inputs(torch.float32, **sizes)[1]
    shapes = sizes.get('shapes', SHAPES)
    found = run('numba', tensors, shapes)
    expected = run('reference', [tensor.double() for tensor in tensors], shapes)
    assert found[0].dtype == dtype
    assert all(error(*pair) <= tolerance for pair in zip(found, expected))


def test_gradients_are_those_of_finite_differences():
    tensors = [tensor.requires_grad_() for tensor in inputs(torch.float64, queries=2, heads=1, points=1, dim=2)]
    with VARIANTS.use('numba'):
        assert torch.autograd.gradcheck(lambda value, *rest: ms_deform_attn(value, SHAPES, *rest), tensors)


def test_only_asked_gradients_come_and_none_of_gradients():
    value, locations, weights = inputs()
    with VARIANTS.use('numba'):
        output = ms_deform_attn(value, SHAPES, locations, weights.requires_grad_())
    (grad,) = torch.autograd.grad(output.square().sum(), weights, create_graph=True)
    assert value.grad is None and locations.grad is None
    with pytest.raises(RuntimeError, match='differentiated twice'):
        grad.sum().backward()


@pytest.mark.parametrize('place', [-1.0, 0.0, 4.0, 5.0, 1e9, -1e9, 3e38])
def test_borders_and_far_outside(place):
    """In pixels of the first level: on a pixel's centre, one beyond the border, beyond all."""
    tensors = inputs(torch.float64)
    tensors[1][..., 0] = (place + 0.5) / 5
    for ours, expected in zip(run('numba', tensors)[:2], run('reference', tensors)[:2]):
        assert torch.allclose(ours, expected, atol=1e-12)


def test_a_nan_location_spoils_its_own_query_and_head_only():
    tensors = inputs(torch.float64)
    whole = run('numba', tensors)
    tensors[1][1, 4, 2, 0, 1, 0] = float('nan')
    output, grad_value, grad_locations, grad_weights = run('numba', tensors)
    assert output[1, 4, 10:].isnan().all() and output.isnan().sum() == 5
    assert grad_locations[1, 4, 2, 0, 1].isnan().any() and grad_weights[1, 4, 2, 0, 1].isnan()
    assert not grad_value.isnan().any()
    kept = ~output.isnan()
    assert torch.equal(output[kept], whole[0][kept])


def test_an_infinite_value_reaches_only_the_samples_that_touch_it():
    tensors = inputs(torch.float64)
    tensors[0][:, 0] = float('inf')
    tensors[1][:, 1:] = 3.0  # outside
    assert not run('numba', tensors)[0][:, 1:].any()


@pytest.mark.parametrize('sizes', [dict(batch=0), dict(queries=0)])
def test_nothing_in_nothing_out(sizes):
    output, *grads = run('numba', inputs(**sizes))
    assert output.shape == (sizes.get('batch', 2), sizes.get('queries', 9), 15)
    assert not any(grad.any() for grad in grads)


def test_strides_do_not_matter():
    value, locations, weights = inputs()
    strided = [
        value.transpose(1, 2).contiguous().transpose(1, 2),
        locations.transpose(0, 1).contiguous().transpose(0, 1),
        torch.stack([weights, weights], -1)[..., 0],
    ]
    assert not any(tensor.is_contiguous() for tensor in strided)
    for ours, expected in zip(run('numba', strided), run('numba', [value, locations, weights])):
        assert torch.equal(ours, expected)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_result_does_not_depend_on_the_number_of_threads(threads, monkeypatch):
    monkeypatch.setattr('mmparts.ops.kernels.numba_tools.GRAIN', 1)
    tensors = inputs(queries=50)
    results = []
    for count in (1, 2, 3, 5):
        threads(count)
        results.append(run('numba', tensors))
    assert all(torch.equal(*pair) for result in results[1:] for pair in zip(results[0], result))


def test_the_threads_outlive_a_fork(threads, monkeypatch):
    monkeypatch.setattr('mmparts.ops.kernels.numba_tools.GRAIN', 1)
    threads(2)
    tensors = inputs()
    with VARIANTS.use('numba'):
        expected = ms_deform_attn(tensors[0], SHAPES, *tensors[1:])
        child = os.fork()
        if not child:
            same = torch.equal(ms_deform_attn(tensors[0], SHAPES, *tensors[1:]), expected)
            os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


class Attended(torch.utils.data.Dataset):
    def __init__(self, tensors):
        self.tensors = tensors

    def __len__(self):
        return 2

    def __getitem__(self, index):
        with VARIANTS.use('numba'):
            return ms_deform_attn(self.tensors[0], SHAPES, *self.tensors[1:])[index]


def test_works_in_a_loaders_worker():
    data = Attended(inputs())
    loader = torch.utils.data.DataLoader(data, num_workers=1, multiprocessing_context='fork')
    assert torch.equal(torch.cat(list(loader)), torch.stack([data[0], data[1]]))


def test_compiles_into_one_graph_and_infers_shapes():
    tensors = inputs(torch.float64)
    with VARIANTS.use('numba'):
        function = torch.compile(
            lambda value, *rest: ms_deform_attn(value, SHAPES, *rest).relu(), backend='aot_eager', fullgraph=True
        )
        expected = ms_deform_attn_reference(tensors[0], SHAPES, *tensors[1:]).relu()
        assert torch.allclose(function(*tensors), expected)
        on_meta = ms_deform_attn(tensors[0].to('meta'), SHAPES, *(tensor.to('meta') for tensor in tensors[1:]))
    assert on_meta.shape == (2, 9, 15)


def test_environment_names_the_variant_and_use_wins(monkeypatch):
    monkeypatch.setenv('MMPARTS_MS_DEFORM_ATTN', 'reference')
    cpu = torch.device('cpu')
    assert VARIANTS.choose(cpu) is ms_deform_attn_reference
    with VARIANTS.use('torch'):
        assert VARIANTS.choose(cpu).__name__ == 'ms_deform_attn_cpu'
    monkeypatch.delenv('MMPARTS_MS_DEFORM_ATTN')
    assert VARIANTS.choose(cpu).__name__ == 'ms_deform_attn_numba'
    assert VARIANTS.choose(torch.device('mps')) is ms_deform_attn_reference


def test_a_variant_that_cannot_run_says_why(monkeypatch):
    with VARIANTS.use('numba'), pytest.raises(RuntimeError, match='runs on cpu and the tensors are on cuda'):
        VARIANTS.choose(torch.device('cuda'))
    monkeypatch.setenv('MMPARTS_MS_DEFORM_ATTN', 'fastest')
    with pytest.raises(ValueError, match="no variant 'fastest'.*numba, torch, gather, reference"):
        VARIANTS.choose(torch.device('cpu'))


def python(code, **environment):
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', **environment}
    return subprocess.run([sys.executable, '-c', code], env=environment, capture_output=True, text=True)


CALL = """
import sys, torch
sys.modules['numba'] = None if BLOCKED else sys.modules.get('numba')
import mmparts.ops
ones = torch.ones(1, 2, 1, 1), ((1, 2),), torch.full((1, 1, 1, 1, 1, 2), 0.5), torch.ones(1, 1, 1, 1, 1)
for _ in range(2):
    print(mmparts.ops.ms_deform_attn(*ones).item())
"""


@pytest.mark.long
def test_four_processes_may_compile_into_one_empty_cache(tmp_path):
    """As four ranks do on a machine that has never run the kernels; afterwards a fifth loads what they left."""
    code = '\n'.join(line for line in CALL.splitlines() if 'BLOCKED' not in line)
    code += '\nprint(mmparts.ops.deform_attn.api.VARIANTS.chosen(torch.device("cpu")))'
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'NUMBA_CACHE_DIR': str(tmp_path)}
    command = [sys.executable, '-W', 'ignore', '-c', code]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in started:
        out, err = process.communicate(timeout=280)
        assert process.returncode == 0 and out.startswith('1.0\n1.0\n') and out.endswith('numba\n'), err
    cached = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.nb?')}
    assert cached
    assert python(code, NUMBA_CACHE_DIR=str(tmp_path)).stdout.startswith('1.0\n1.0\n')
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.nb?')} == cached


def test_without_numba_plain_torch_runs_and_that_is_said_once():
    result = python(CALL.replace('BLOCKED', 'True'))
    assert result.stdout == '1.0\n1.0\n', result.stderr
    assert result.stderr.count('mmparts-toolbox[fast]') == 1

    forced = python(CALL.replace('BLOCKED', 'True'), MMPARTS_MS_DEFORM_ATTN='numba')
    assert forced.returncode and 'was asked for, but' in forced.stderr and 'mmparts-toolbox[fast]' in forced.stderr


def test_importing_the_package_does_not_import_numba():
    assert python('import sys, mmparts, mmparts.ops.deform_attn; assert "numba" not in sys.modules').returncode == 0


def test_compiles_where_nothing_can_be_written(tmp_path):
    """No place for the cache: every process compiles for itself."""
    code = 'import numba.core.caching as caching; caching.CacheImpl._locator_classes = []\n' + CALL
    result = python(code.replace('BLOCKED', 'False'))
    assert result.stdout == '1.0\n1.0\n', result.stderr
