"""RoIAlign is the loop, and its gradient the loop's, through mmcv's own autograd function."""
import loops
import pytest
import torch
from mmcv.ops import RoIAlign

# image, xyxy: inside, across each border, far outside, whole image, a line, a point, and mixed sample counts.
ROIS = torch.tensor([[0, 2, 3, 9, 12], [1, -3, -4, 5, 6], [1, 14, 10, 30, 28], [0, 50, 50, 60, 60], [0, 0, 0, 20, 16],
                     [1, 4, 4, 4, 9], [1, 3.5, 3.5, 3.5, 3.5], [1, 1, 1, 19, 3]], dtype=torch.float64)


@pytest.mark.parametrize('sampling_ratio', [0, 2])
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('spatial_scale, output_size', [(1., (2, 3)), (0.5, (3, 2))])
def test_is_the_loop(spatial_scale, output_size, aligned, sampling_ratio):
    features = torch.randn(2, 3, 8, 10, dtype=torch.float64, requires_grad=True)
    layer = RoIAlign(output_size, spatial_scale, sampling_ratio, aligned=aligned)
    output = layer(features, ROIS)
    expected = loops.roi_align(features, ROIS, output_size, spatial_scale, sampling_ratio, aligned)
    assert output.abs().sum() > 0 and torch.allclose(output, expected, atol=1e-12)

    direction = torch.randn_like(output)
    grad, = torch.autograd.grad((output * direction).sum(), features)
    expected, = torch.autograd.grad((expected * direction).sum(), features)
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
