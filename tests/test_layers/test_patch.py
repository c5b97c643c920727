"""Patches and maps in one, two and three dimensions, against torch's own folding and loops."""

from itertools import product

import pytest
import torch
from torch import nn

from mmparts.layers.conv_block import ConvBlock, ResidualConvBlock, UpConv, conv_norm_act, crop_or_pad, join
from mmparts.layers.patch import PatchEmbed, PatchExpand, PatchMerging, spread


@pytest.mark.parametrize('size', [(6,), (6, 4), (4, 6, 2)])
def test_patches_are_linear_maps_of_their_pixels(size):
    dims = len(size)
    embed = PatchEmbed(3, 5, 2, dims=dims)
    images = torch.randn(2, 3, *size)
    found = embed(images)
    assert found.shape == (2, *(length // 2 for length in size), 5)
    for place in product(*(range(length // 2) for length in size)):
        patch = images[(slice(None), slice(None), *(slice(2 * at, 2 * at + 2) for at in place))]
        right = patch.flatten(1) @ embed.proj.weight.flatten(1).T + embed.proj.bias
        assert torch.allclose(found[(slice(None), *place)], right, atol=1e-5)


def test_what_is_left_over_is_padded_or_refused():
    images = torch.randn(1, 3, 30, 44)
    padded = PatchEmbed(3, 4, 16)(images)
    whole = nn.functional.pad(images, (0, 4, 0, 2))
    assert padded.shape == (1, 2, 3, 4)
    strict = PatchEmbed(3, 4, 16, pad=False)
    with pytest.raises(ValueError, match='image 30x44 is not a multiple of 16x16; pad to 32x48'):
        strict(images)
    assert strict(whole).shape == padded.shape
    with pytest.raises(ValueError, match='images have 1 channels, patches are made of 3'):
        strict(whole[:, :1])


@pytest.mark.parametrize('size', [(5, 4), (3, 4, 5)])
@pytest.mark.parametrize('norm_last', [False, True])
def test_merging_joins_neighbours_first_axis_fastest(size, norm_last):
    dims = len(size)
    merge = PatchMerging(3, dims=dims, norm_last=norm_last)
    x = torch.randn(2, *size, 3)
    found = merge(x)
    assert found.shape == (2, *(-(-length // 2) for length in size), 6)
    neighbours = []
    for offset in product((0, 1), repeat=dims):
        place = offset[::-1]  # the first axis runs fastest
        inside = all(at < length for at, length in zip(place, size))
        neighbours.append(x[(slice(None), *place)] if inside else torch.zeros(2, 3))
    joined = torch.cat(neighbours, -1)
    right = merge.norm(merge.reduction(joined)) if norm_last else merge.reduction(merge.norm(joined))
    assert torch.allclose(found[(slice(None), *(0,) * dims)], right, atol=1e-5)


def test_merging_takes_another_order_even_with_doubled_neighbours():
    order = [(0, 0), (0, 1), (0, 1)]
    merge = PatchMerging(2, dims=2, order=order)
    x = torch.randn(1, 2, 2, 2)
    right = merge.reduction(merge.norm(torch.cat([x[0, 0, 0], x[0, 0, 1], x[0, 0, 1]])))
    assert torch.allclose(merge(x)[0, 0, 0], right, atol=1e-6)


@pytest.mark.parametrize('scale', [(2, 3), (2, 1, 2)])
def test_expanding_puts_channels_beside_each_other(scale):
    dims = len(scale)
    expand = PatchExpand(4, scale, out_dims=3, dims=dims)
    x = torch.randn(2, *(2,) * dims, 4)
    found = expand(x)
    assert found.shape == (2, *(2 * each for each in scale), 3)
    channels = expand.expand(x)
    for offset in product(*map(range, scale)):
        index = 0
        for at, side in zip(offset, scale):
            index = index * side + at
        right = expand.norm(channels[(slice(None), *(1,) * dims)][:, 3 * index : 3 * index + 3])
        place = tuple(side + at for side, at in zip(scale, offset))
        assert torch.allclose(found[(slice(None), *place)], right, atol=1e-5)
    in_two = torch.randn(1, 2, 3, 8)
    shuffled = nn.functional.pixel_shuffle(in_two.unflatten(-1, (4, 2)).transpose(-1, -2).flatten(-2).movedim(-1, 1), 2)
    assert torch.equal(spread(in_two, (2, 2)), shuffled.movedim(1, -1))


@pytest.mark.parametrize('dims', [1, 2, 3])
def test_convolution_blocks_of_any_dimension(dims):
    x = torch.randn(2, 3, *(6,) * dims)
    block = ConvBlock(3, 4, dims=dims).eval()
    assert block(x).shape == (2, 4, *(6,) * dims) and (block(x) >= 0).all()
    assert ConvBlock(3, 4, dims=dims, padding=0)(x).shape == (2, 4, *(2,) * dims)
    residual = ResidualConvBlock(3, 4, stride=2, dims=dims).eval()
    assert torch.allclose(residual(x), (residual.body(x) + residual.shortcut(x)).relu())
    same = ResidualConvBlock(3, 3, dims=dims)
    assert isinstance(same.shortcut, nn.Identity)
    for interpolate in (False, True):
        assert UpConv(3, 2, dims=dims, interpolate=interpolate)(x).shape == (2, 2, *(12,) * dims)
    first = conv_norm_act(3, 4, dims=dims, norm=dict(type='IN'), order=('norm', 'act', 'conv'))
    assert sum(parameter.numel() for parameter in first.parameters()) == 3 * 4 * 3**dims


def test_crops_and_pads_are_about_the_centre():
    x = torch.arange(25.0).view(1, 1, 5, 5)
    assert torch.equal(crop_or_pad(x, (3, 3)), x[..., 1:4, 1:4])
    assert torch.equal(crop_or_pad(crop_or_pad(x, (9, 7)), (5, 5)), x)
    assert crop_or_pad(x, (5, 5)) is x
    assert join(x[..., :4, :4], x).shape == (1, 2, 4, 4)
