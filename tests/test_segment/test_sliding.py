"""Windows against MONAI's; pieces against the whole; mirrors against a net that does not care."""

import pytest
import torch
from torch import nn

from mmparts.segment.inference import WholeInference
from mmparts.segment.sliding import SlidingInference


def net(axes=3, classes=3):
    torch.manual_seed(0)
    conv = nn.Conv3d if axes == 3 else nn.Conv2d
    return conv(2, classes, 3, padding=1).requires_grad_(False)


@pytest.mark.parametrize('size', [(37, 41, 29), (10, 41, 29), (16, 16, 16), (5, 6, 7)])
@pytest.mark.parametrize('overlap', [0.25, 0.5])
@pytest.mark.parametrize('weights', ['gaussian', 'constant'])
def test_equals_monai(size, overlap, weights):  # V6
    monai = pytest.importorskip('monai.inferers')
    inputs = torch.randn(2, 2, *size)
    inference = SlidingInference((16, 16, 16), overlap, weights, batch_size=3)
    expected = monai.sliding_window_inference(inputs, (16, 16, 16), 3, net(), overlap, weights)
    assert (inference(inputs, net()) - expected).abs().max() < 1e-5


def test_two_dimensions():
    monai = pytest.importorskip('monai.inferers')
    inputs = torch.randn(1, 2, 30, 23)
    expected = monai.sliding_window_inference(inputs, (12, 16), 1, net(2), 0.5, 'gaussian')
    assert (SlidingInference((12, 16))(inputs, net(2)) - expected).abs().max() < 1e-5


@pytest.mark.parametrize('size', [(37, 20, 29), (10, 20, 9), (9, 17, 33)])
def test_slabs_are_the_whole(size):
    inputs, inference = torch.randn(1, 2, *size), SlidingInference((16, 12, 8))
    whole = inference(inputs, net())
    row = 0
    for start, part in inference.slabs(inputs, net()):
        assert start == row and torch.equal(part, whole[:, :, start : start + part.shape[2]])
        row += part.shape[2]
    assert row == size[0]


def test_every_weight_is_positive():
    assert SlidingInference((64, 64, 64))._weight().min() >= 1e-3


def test_memory_of_slabs_does_not_grow_with_the_depth():
    def peak(depth):
        inference, inputs = SlidingInference((8, 16, 16)), torch.zeros(1, 2, depth, 16, 16)
        largest = 0
        for _, part in inference.slabs(inputs, net(classes=50)):
            largest = max(largest, part.untyped_storage().nbytes())
        return largest

    assert peak(16) == peak(64) == 50 * 8 * 16 * 16 * 4


def test_mirrors_of_an_equivariant_net_change_nothing():  # V11
    inputs = torch.randn(1, 2, 20, 18, 17)
    pointwise = nn.Conv3d(2, 3, 1).requires_grad_(False)
    for make in (lambda axes: SlidingInference((8, 8, 8), mirror_axes=axes), lambda axes: WholeInference(4, 0.0, axes)):
        plain, mirrored = make(())(inputs, pointwise), make((0, 1, 2))(inputs, pointwise)
        assert (plain - mirrored).abs().max() < 1e-6
        assert (make((0, 2))(inputs, net()) - make(())(inputs, net())).abs().max() > 1e-3  # others notice


def test_mirror_is_the_mean_over_flips():
    inputs = torch.randn(1, 2, 6, 5, 4)
    flips = [(), (2,), (4,), (2, 4)]
    expected = sum(net()(inputs.flip(axes)).flip(axes) for axes in flips) / 4
    assert (WholeInference(mirror_axes=(0, 2))(inputs, net()) - expected).abs().max() < 1e-6


def test_axes_that_were_not_trained_are_dropped():
    inference = SlidingInference((8, 8), mirror_axes=(0, 1))
    assert inference.restrict_mirror((1,)) == (0,) and inference.mirror_axes == (1,)


def test_whole_fills_up_to_a_divisor():
    seen = []

    def forward(x):
        seen.append(tuple(x.shape[2:]))
        return x

    inputs = torch.randn(1, 1, 9, 16, 5)
    assert torch.equal(WholeInference(8)(inputs, forward), inputs) and seen == [(16, 16, 8)]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match='windows 8x8 over images of shape'):
        SlidingInference((8, 8))(torch.zeros(1, 2, 9, 9, 9), net())
    with pytest.raises(ValueError, match='overlap=1'):
        SlidingInference((8, 8), overlap=1)
    with pytest.raises(ValueError, match=r'logits of \(7, 8, 8\) for windows'):
        SlidingInference((8, 8, 8))(torch.zeros(1, 2, 9, 9, 9), lambda x: x[:, :, 1:])
