"""RoIAlign is the loop in each variant, and its gradient the loop's, through mmcv's own autograd function."""

import loops
import pytest
import torch
from mmcv.ops import RoIAlign

from mmparts.ops.roi_align.api import VARIANTS, RoIGrid, roi_align, roi_align_grad

# image, xyxy: inside, across each border, far outside, whole image, a line, a point, and mixed sample counts.
ROIS = torch.tensor(
    [
        [0, 2, 3, 9, 12],
        [1, -3, -4, 5, 6],
        [1, 14, 10, 30, 28],
        [0, 50, 50, 60, 60],
        [0, 0, 0, 20, 16],
        [1, 4, 4, 4, 9],
        [1, 3.5, 3.5, 3.5, 3.5],
        [1, 1, 1, 19, 3],
    ],
    dtype=torch.float64,
)


@pytest.fixture(autouse=True, params=['numba', 'reference'])
def variant(request):
    if request.param == 'numba':
        pytest.importorskip('numba')
    with VARIANTS.use(request.param):
        yield


@pytest.mark.parametrize('sampling_ratio', [0, 2])
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize(('spatial_scale', 'output_size'), [(1.0, (2, 3)), (0.5, (3, 2))])
def test_is_the_loop(spatial_scale, output_size, aligned, sampling_ratio):
    features = torch.randn(2, 3, 8, 10, dtype=torch.float64, requires_grad=True)
    layer = RoIAlign(output_size, spatial_scale, sampling_ratio, aligned=aligned)
    output = layer(features, ROIS)
    expected = loops.roi_align(features, ROIS, output_size, spatial_scale, sampling_ratio, aligned)
    assert output.abs().sum() > 0 and torch.allclose(output, expected, atol=1e-12)

    direction = torch.randn_like(output)
    (grad,) = torch.autograd.grad((output * direction).sum(), features)
    (expected,) = torch.autograd.grad((expected * direction).sum(), features)
    assert torch.allclose(grad, expected, atol=1e-12)


def test_no_regions():
    features = torch.randn(2, 3, 8, 10, requires_grad=True)
    output = RoIAlign(2)(features, torch.zeros(0, 5))
    output.sum().backward()
    assert output.shape == (0, 3, 2, 2) and not features.grad.any()


def test_half_precision():
    features = torch.randn(2, 3, 8, 10).bfloat16().requires_grad_()
    rois = ROIS.bfloat16()
    output = RoIAlign(2)(features, rois)
    output.sum().backward()
    assert output.dtype == features.grad.dtype == torch.bfloat16
    assert torch.equal(output, RoIAlign(2)(features.float(), rois.float()).bfloat16())


def test_max_pooling_is_refused():
    with pytest.raises(NotImplementedError, match="pool_mode='avg'"):
        RoIAlign(2, pool_mode='max')(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5))


def both(features, rois, grid, variant):
    with VARIANTS.use(variant):
        output = roi_align(features, rois, grid)
        direction = torch.linspace(-1, 1, output.numel()).cos().view(output.shape).to(output)
        return output, roi_align_grad(direction, rois, grid, features.shape)


@pytest.mark.parametrize('channels', [1, 7, 67, 128])
@pytest.mark.parametrize('grid', [RoIGrid((7, 7), 0.25), RoIGrid((3, 5), 0.5, 3), RoIGrid((1, 2), 1.0, 0, False)])
def test_any_number_of_channels_in_float32(channels, grid):
    pytest.importorskip('numba')
    features = torch.randn(3, 14, channels, 11).transpose(1, 2)  # not contiguous
    rois = torch.cat([torch.randint(0, 3, (20, 1)), 90 * torch.rand(20, 4) - 20], 1)  # some upside down
    for ours, expected in zip(both(features, rois, grid, 'numba'), both(features, rois, grid, 'reference')):
        assert (ours - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize('height', [8, 80])
def test_few_regions_on_a_large_map_as_well_as_many_on_a_small_one(height):
    """The kernels read the former in place and copy the latter; either may come channels last."""
    pytest.importorskip('numba')
    features, rois, grid = torch.randn(2, 6, height, 10), ROIS.float(), RoIGrid((2, 2))
    expected = both(features, rois, grid, 'reference')
    for layout in (torch.contiguous_format, torch.channels_last):
        found = both(features.contiguous(memory_format=layout), rois, grid, 'numba')
        assert all((a - b).norm() <= 1e-5 * b.norm() for a, b in zip(found, expected))


def test_the_result_does_not_depend_on_the_number_of_threads(monkeypatch):
    kernels = pytest.importorskip('mmparts.ops.kernels.numba_tools')
    monkeypatch.setattr(kernels, 'GRAIN', 1)
    features, threads, results = torch.randn(2, 128, 8, 10), torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(both(features, ROIS.float(), RoIGrid((2, 2)), 'numba'))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(*pair) for result in results[1:] for pair in zip(results[0], result))


def test_a_region_at_nan_is_empty_in_the_kernels():
    pytest.importorskip('numba')
    rois = torch.tensor([[0, 1, 1, 5, 5], [0, float('nan'), 1, 5, 5]])
    output, grad = both(torch.randn(1, 3, 8, 8), rois, RoIGrid((2, 2)), 'numba')
    assert output[0].all() and not output[1].any() and not grad.isnan().any()


def test_a_region_of_no_image_is_refused():
    for index in (-1, 2):
        with pytest.raises(IndexError, match='the batch has 2'):
            roi_align(torch.zeros(2, 1, 4, 4), torch.tensor([[index, 0, 0, 2, 2.0]]), RoIGrid((1, 1)))
