"""Deformable convolutions are the loop, with the loop's gradients, through mmcv's own autograd functions."""

import loops
import pytest
import torch
from mmcv.ops import deform_conv2d, modulated_deform_conv2d

from mmparts.ops.deform_conv import deform_conv2d as plain

LAYOUTS = [
    dict(kernel=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1, deform_groups=1),
    dict(kernel=(3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2, deform_groups=1),
    dict(kernel=(2, 2), stride=(1, 2), padding=(0, 1), dilation=(2, 1), groups=1, deform_groups=2),
    dict(kernel=(1, 1), stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=2, deform_groups=4),
]


def inputs(kernel, stride, padding, dilation, groups, deform_groups, height=4):
    """Features, offsets (some far outside), weight, mask, bias of a batch of two; then the layout."""
    random = torch.Generator().manual_seed(0)
    size = [
        (length + 2 * pad - gap * (taps - 1) - 1) // step + 1
        for length, pad, gap, taps, step in zip((height, 4), padding, dilation, kernel, stride)
    ]
    taps = deform_groups * kernel[0] * kernel[1]
    shapes = (2, 4, height, 4), (2, 2 * taps, *size), (4, 4 // groups, *kernel), (2, taps, *size), (4,)
    tensors = [torch.randn(*shape, generator=random, dtype=torch.float64) for shape in shapes]
    tensors[1] *= 2
    return [tensor.requires_grad_() for tensor in tensors], (stride, padding, dilation, groups, deform_groups)


def same_with_gradients(output, expected, tensors):
    assert torch.allclose(output, expected, atol=1e-11)
    direction = torch.randn_like(output)
    ours, theirs = (torch.autograd.grad((result * direction).sum(), tensors) for result in (output, expected))
    return all(torch.allclose(a, b, atol=1e-11) for a, b in zip(ours, theirs))


@pytest.mark.parametrize('layout', LAYOUTS)
def test_modulated_is_the_loop(layout):
    (features, offset, weight, mask, bias), layout = inputs(**layout)
    expected = loops.deform_conv2d(features, offset, weight, mask, bias, *layout)
    assert torch.allclose(plain(features, offset, weight, mask, bias, *layout), expected, atol=1e-12)
    # The loop reads offsets as plain numbers; their gradient is checked below.
    output = modulated_deform_conv2d(features, offset, mask, weight, bias, *layout)
    assert same_with_gradients(output, expected, (features, weight, mask, bias))


@pytest.mark.parametrize('layout', LAYOUTS)
def test_first_form_is_the_modulated_one_with_a_mask_of_ones(layout):
    (features, offset, weight, mask, _), layout = inputs(**layout)
    output = deform_conv2d(features, offset, weight, *layout)
    expected = modulated_deform_conv2d(features, offset, torch.ones_like(mask), weight, None, *layout)
    assert same_with_gradients(output, expected, (features, offset, weight))


@pytest.mark.parametrize('layout', LAYOUTS[1:3])
def test_gradients_are_those_of_finite_differences(layout):
    tensors, layout = inputs(**layout, height=3)
    assert torch.autograd.gradcheck(
        lambda features, offset, weight, mask, bias: modulated_deform_conv2d(
            features, offset, mask, weight, bias, *layout
        ),
        tensors,
        fast_mode=True,
    )


def test_zero_offsets_are_a_convolution():
    (features, offset, weight, *_), (stride, padding, dilation, groups, _) = inputs(**LAYOUTS[1])
    output = deform_conv2d(features, offset * 0, weight, stride, padding, dilation, groups)
    expected = torch.nn.functional.conv2d(features, weight, None, stride, padding, dilation, groups)
    assert torch.allclose(output, expected, atol=1e-12)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_halves_sample_where_they_should_on_a_wide_map(dtype):
    """As good as rounding the inputs alone allows: positions beyond 256 have no thirds in bfloat16."""
    torch.manual_seed(0)
    tensors = [torch.randn(1, 4, 4, 512), 0.7 * torch.randn(1, 18, 4, 512), torch.randn(4, 4, 3, 3) / 6]
    rounded = [tensor.to(dtype) for tensor in tensors]
    found = plain(*rounded, padding=(1, 1))
    want = plain(*(tensor.float() for tensor in rounded), padding=(1, 1))
    assert found.dtype == dtype
    assert (found - want).norm() < 4 * torch.finfo(dtype).eps * want.norm()
