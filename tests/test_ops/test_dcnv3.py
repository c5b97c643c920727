"""Deformable convolution v3: the plain forms are the loop, in value and gradient, and agree with its relatives."""

import dcnv3_cases as cases
import pytest
import torch
import torch.nn.functional as F

from mmparts.ops.dcnv3.api import VARIANTS, dcnv3
from mmparts.ops.deform_conv import deform_conv2d

GEOMETRIES = [
    {},
    dict(softmax=True),
    dict(stride=2, offset_scale=1.7),
    dict(remove_center=True, softmax=True),
    dict(kernel_size=5, padding=2, offset_scale=0.6, remove_center=True),
    dict(padding=0, dilation=2),
    dict(kernel_size=2, padding=1, dilation=3),
]


@pytest.fixture(autouse=True)
def plain_torch():
    with VARIANTS.use('torch'):
        yield


@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_is_the_loop(geometry):
    tensors = cases.inputs(torch.float64, batch=1, size=(5, 6), groups=2, dim=2, **geometry)
    expected = cases.run(cases.loop, tensors, **geometry)
    for variant in ('reference', 'torch'):
        assert all(cases.error(*pair) <= 1e-12 for pair in zip(cases.run(variant, tensors, **geometry), expected))


@pytest.mark.parametrize('variant', ['reference', 'torch'])
def test_gradients_are_those_of_finite_differences(variant):
    tensors = [tensor.requires_grad_() for tensor in cases.inputs(torch.float64, batch=2, size=(1, 2), groups=1, dim=2)]
    with VARIANTS.use(variant):
        assert torch.autograd.gradcheck(lambda *leaves: dcnv3(*leaves, offset_scale=0.7, softmax=True), tensors)


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_precision(dtype, tolerance):
    value, offset, mask = cases.inputs(dtype)
    if dtype == torch.bfloat16:  # the offsets may stay in float32
        offset = cases.inputs()[1]
    found = cases.run('torch', (value, offset, mask), softmax=True)
    expected = cases.run('reference', [tensor.double() for tensor in (value, offset, mask)], softmax=True)
    assert found[0].dtype == dtype
    assert all(cases.error(*pair) <= tolerance for pair in zip(found, expected))


@pytest.mark.parametrize('stride', [1, 2])
def test_without_offsets_and_with_equal_weights_it_is_average_pooling(stride):
    value, offset, mask = cases.inputs(torch.float64, stride=stride)
    pooled = F.avg_pool2d(value.permute(0, 3, 1, 2), 3, stride, padding=1).permute(0, 2, 3, 1)
    output = dcnv3(value, 0 * offset, 0 * mask, stride=stride, softmax=True)
    assert torch.allclose(output, pooled, atol=1e-12)


def test_is_modulated_deformable_convolution_with_a_kernel_of_ones():
    value, offset, mask = cases.inputs(torch.float64, groups=3, dim=2)
    # There the points run along rows and an offset is (y, x).
    by_rows = offset.unflatten(4, (3, 3)).transpose(4, 5).flip(-1).flatten(3).permute(0, 3, 1, 2)
    weights = mask.unflatten(4, (3, 3)).transpose(4, 5).flatten(3).permute(0, 3, 1, 2)
    output = deform_conv2d(
        value.permute(0, 3, 1, 2),
        by_rows,
        value.new_ones(6, 1, 3, 3),
        weights,
        padding=(1, 1),
        groups=6,
        deform_groups=3,
    )
    assert torch.allclose(dcnv3(value, offset, mask), output.permute(0, 2, 3, 1), atol=1e-12)


def test_the_scale_stretches_grid_and_offsets():
    value, offset, mask = cases.inputs(torch.float64)
    far = dcnv3(value, offset, mask, offset_scale=2.0)
    # (tap + offset) twice as far is one more tap, and the offset twice.
    taps = torch.tensor([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)])
    assert torch.allclose(far, dcnv3(value, taps + 2 * offset, mask), atol=1e-12)


def test_far_outside_nothing_is_seen_and_nothing_pulls_back():
    value, offset, mask = cases.inputs(torch.float64)
    for far in (-1e9, -9.0, 8.5, 1e9, float('inf')):
        output, *grads = cases.run('torch', (value, torch.full_like(offset, far), mask))
        assert not output.any() and not any(grad.any() for grad in grads)


def test_a_nan_offset_spoils_its_own_cell_and_group_only():
    value, offset, mask = cases.inputs(torch.float64)
    whole = dcnv3(value, offset, mask)
    offset[1, 2, 3, 1, 4, 0] = float('nan')
    spoiled = dcnv3(value, offset, mask)
    assert spoiled[1, 2, 3, 16:32].isnan().all()
    spoiled[1, 2, 3, 16:32] = whole[1, 2, 3, 16:32]
    assert torch.equal(spoiled, whole)


@pytest.mark.parametrize('batch', [0, 2])
def test_meta_device_gives_the_shape(batch):
    tensors = [tensor.to('meta') for tensor in cases.inputs(batch=batch, size=(7, 6), stride=2)]
    output = dcnv3(*tensors, stride=2)
    assert output.is_meta and output.shape == (batch, 4, 3, 48)


def test_wrong_sizes_are_named():
    value, offset, mask = cases.inputs()
    with pytest.raises(ValueError, match=r'here \(2, 4, 3, 3, 9, 2\)'):
        dcnv3(value, offset, mask, stride=2)
    with pytest.raises(ValueError, match=r'here \(2, 7, 5, 3, 8, 2\)'):
        dcnv3(value, offset, mask, remove_center=True)
    with pytest.raises(ValueError, match=r'with 1 groups here \(2, 7, 5, 1, 9, 2\)'):
        dcnv3(value, offset.flatten(3), mask.flatten(3))
    with pytest.raises(ValueError, match='47 channels of value do not divide into the 3 groups'):
        dcnv3(value[..., :47], offset, mask)
    with pytest.raises(ValueError, match='needs an odd kernel_size, got 2'):
        dcnv3(value, offset, mask, kernel_size=2, remove_center=True)
