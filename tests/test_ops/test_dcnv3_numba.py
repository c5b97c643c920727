"""The numba kernels of deformable convolution v3 are the definition, on any sizes and threads."""

import dcnv3_cases as cases
import pytest
import torch

from mmparts.ops.dcnv3.api import VARIANTS, dcnv3

pytest.importorskip('numba')


@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)]
)
@pytest.mark.parametrize('softmax', [False, True])
def test_output_and_gradients_are_those_of_the_definition(dtype, tolerance, softmax):
    value, offset, mask = cases.inputs(dtype)
    if dtype == torch.bfloat16:  # the offsets may stay in float32
        offset = cases.inputs()[1]
    found = cases.run('numba', (value, offset, mask), softmax=softmax)
    expected = cases.run('reference', [tensor.double() for tensor in (value, offset, mask)], softmax=softmax)
    assert found[0].dtype == dtype
    assert all(cases.error(*pair) <= tolerance for pair in zip(found, expected))


@pytest.mark.parametrize(
    ('size', 'groups', 'dim', 'geometry'),
    [
        ((7, 9), 2, 32, dict(stride=2, offset_scale=1.7)),
        ((1, 6), 2, 5, dict(remove_center=True, softmax=True)),
        ((5, 1), 1, 3, dict(kernel_size=1, padding=0)),
        ((1, 1), 1, 1, dict(dilation=2, padding=2)),
    ],
)
def test_any_sizes(size, groups, dim, geometry):
    tensors = cases.inputs(size=size, groups=groups, dim=dim, **geometry)
    expected = cases.run('reference', [tensor.double() for tensor in tensors], **geometry)
    found = cases.run('numba', tensors, **geometry)
    for ours, right in zip(found, expected):
        assert torch.allclose(ours.double(), right, rtol=1e-5, atol=1e-5 * float(right.abs().max()))


def test_gradients_are_those_of_finite_differences():
    tensors = [tensor.requires_grad_() for tensor in cases.inputs(torch.float64, size=(1, 2), groups=1, batch=1)]
    with VARIANTS.use('numba'):
        assert torch.autograd.gradcheck(lambda *leaves: dcnv3(*leaves, softmax=True), tensors)


def test_on_cell_borders_the_gradient_is_that_towards_the_next_cell():
    """Where a network begins: all offsets zero. grid_sample leaves it to rounding, the loop does not."""
    value, offset, mask = cases.inputs(torch.float64, batch=1, size=(3, 4), groups=1)
    tensors = value, torch.zeros_like(offset), mask
    for ours, expected in zip(cases.run('numba', tensors, softmax=True), cases.run(cases.loop, tensors, softmax=True)):
        assert torch.allclose(ours, expected, atol=1e-12)


@pytest.mark.parametrize('far', [-1e9, -9.0, 8.5, 1e9, 1e300, float('inf'), -float('inf')])
def test_far_outside_nothing_is_seen_and_nothing_pulls_back(far):
    value, offset, mask = cases.inputs(torch.float64)
    output, *grads = cases.run('numba', (value, torch.full_like(offset, far), mask))
    assert not output.any() and not any(grad.any() for grad in grads)


def test_a_nan_offset_spoils_its_own_cell_and_group_only():
    tensors = cases.inputs(torch.float64)
    whole = cases.run('numba', tensors)
    tensors[1][1, 2, 3, 1, 4, 0] = float('nan')
    output, grad_value, grad_offset, grad_mask = cases.run('numba', tensors)
    assert output[1, 2, 3, 16:32].isnan().all() and output.isnan().sum() == 16
    assert grad_offset[1, 2, 3, 1, 4].isnan().any() and grad_offset.isnan().sum() <= 2
    assert grad_mask[1, 2, 3, 1, 4].isnan() and grad_mask.isnan().sum() == 1
    assert not grad_value.isnan().any()
    kept = ~output.isnan()
    assert torch.equal(output[kept], whole[0][kept])


def test_softmax_of_extreme_logits():
    value, offset, mask = cases.inputs(torch.float64)
    for shift in (1e4, -1e4):
        assert torch.allclose(
            *(dcnv3_by(variant, value, offset, 1e3 * mask + shift, softmax=True) for variant in ('numba', 'reference')),
            atol=1e-11,
        )
    mask[..., 3] = -float('inf')
    assert torch.allclose(*(dcnv3_by(variant, value, offset, mask, softmax=True) for variant in ('numba', 'reference')))
    mask[..., 3] = float('nan')
    assert dcnv3_by('numba', value, offset, mask, softmax=True).isnan().all()


def dcnv3_by(variant, *tensors, **geometry):
    with VARIANTS.use(variant):
        return dcnv3(*tensors, **geometry)


def test_nothing_in_nothing_out():
    output, *grads = cases.run('numba', cases.inputs(batch=0))
    assert output.shape == (0, 7, 5, 48) and [len(grad) for grad in grads] == [0, 0, 0]


def test_strides_do_not_matter():
    value, offset, mask = cases.inputs()
    strided = [
        value.transpose(1, 2).contiguous().transpose(1, 2),
        offset.transpose(0, 3).contiguous().transpose(0, 3),
        torch.stack([mask, mask], -1)[..., 0],
    ]
    assert not any(tensor.is_contiguous() for tensor in strided)
    for ours, expected in zip(cases.run('numba', strided), cases.run('numba', [value, offset, mask])):
        assert torch.equal(ours, expected)


def test_result_does_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr('mmparts.ops.kernels.numba_tools.GRAIN', 1)
    before, tensors, results = torch.get_num_threads(), cases.inputs(), []
    for count in (1, 2, 3, 5):
        torch.set_num_threads(count)
        results.append(cases.run('numba', tensors, softmax=True))
    torch.set_num_threads(before)
    assert all(torch.equal(*pair) for result in results[1:] for pair in zip(results[0], result))


def test_only_asked_gradients_come_and_none_of_gradients():
    value, offset, mask = cases.inputs()
    output = dcnv3_by('numba', value, offset, mask.requires_grad_())
    (grad,) = torch.autograd.grad(output.square().sum(), mask, create_graph=True)
    assert value.grad is None and offset.grad is None
    with pytest.raises(RuntimeError, match='differentiated twice'):
        grad.sum().backward()


def test_compiles_into_one_graph():
    tensors = cases.inputs(torch.float64)
    with VARIANTS.use('numba'):
        function = torch.compile(
            lambda *leaves: dcnv3(*leaves, softmax=True).relu(), backend='aot_eager', fullgraph=True
        )
        assert torch.allclose(function(*tensors), dcnv3_by('reference', *tensors, softmax=True).relu())


def test_is_the_variant_of_choice():
    assert VARIANTS.choose(torch.device('cpu')).__name__ == 'dcnv3_numba'
