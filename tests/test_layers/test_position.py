"""Positions and relative biases against loops, torch and transformers."""

import math

import pytest
import torch
from torch import nn

from mmparts.layers.position import (
    LearnedAxes,
    LearnedGrid,
    axis_coordinates,
    fourier_features,
    resize_grid,
    sine_positions,
)
from mmparts.layers.relative_bias import BucketBias, RelativeBiasTable, log_bucket
from mmparts.ops.mmcv.torchvision_guard import declare_ops_where_broken

declare_ops_where_broken()  # timm and transformers import torchvision


def test_a_grid_of_the_same_size_stays_and_others_are_interpolated():
    grid = torch.randn(4, 6, 3)
    assert resize_grid(grid, (4, 6)) is grid
    for mode, align in (('bicubic', False), ('linear', True)):
        right = nn.functional.interpolate(
            grid.permute(2, 0, 1)[None], (7, 5), mode=dict(linear='bilinear').get(mode, mode), align_corners=align
        )
        assert torch.equal(resize_grid(grid, (7, 5), mode, align), right[0].permute(1, 2, 0))
    corners = resize_grid(grid, (9, 9), 'linear', align_corners=True)
    assert torch.allclose(corners[0, -1], grid[0, -1], atol=1e-6)
    assert resize_grid(torch.randn(2, 3, 4, 5), (4, 4, 4), 'linear').shape == (4, 4, 4, 5)


def test_a_learned_grid_gets_gradients_at_any_size():
    grid = LearnedGrid(4, (3, 3))
    grid((5, 2)).sum().backward()
    assert grid.grid.grad.any()


@pytest.mark.parametrize('joined', [False, True])
def test_rows_and_columns(joined):
    axes = LearnedAxes(6, (5, 4, 7), joined)
    found = axes((2, 3, 4))
    parts = [axis.weight[at] for axis, at in zip(axes.axes, (1, 2, 3))]
    assert torch.equal(found[1, 2, 3], torch.cat(parts) if joined else torch.stack(parts).sum(0))
    with pytest.raises(ValueError, match=r'a map of \(2, 5, 4\) places; at most \[5, 4, 7\]'):
        axes((2, 5, 4))


def test_sines_are_the_first_transformers_along_each_axis():
    found = sine_positions((3, 5), 8, temperature=100.0)
    for y, x in ((0, 0), (2, 1), (1, 4)):
        right = []
        for place in (y, x):
            angles = [place / 100 ** (i / 2) for i in range(2)]
            right += [*map(math.sin, angles), *map(math.cos, angles)]
        assert found[y, x].tolist() == pytest.approx(right, abs=1e-6)
    with pytest.raises(ValueError, match='embed_dims 10 is no multiple of 6, two for each of 3 axes'):
        sine_positions((2, 2, 2), 10)


def test_fourier_features_are_the_perceivers():
    from transformers.models.perceiver.modeling_perceiver import build_linear_positions, generate_fourier_features

    places = build_linear_positions((4, 6)).flatten(0, 1)[None]
    right = generate_fourier_features(places, num_bands=5, max_resolution=(4, 6))
    found = fourier_features(axis_coordinates((4, 6)), 5, (4, 6)).flatten(0, 1)
    assert torch.allclose(found, right[0], atol=1e-5)


def test_buckets_are_those_of_t5():
    from transformers.models.t5.modeling_t5 import T5Attention

    offset = torch.arange(-200, 200)
    assert torch.equal(log_bucket(offset), T5Attention._relative_position_bucket(offset))
    bias = BucketBias(2)
    found = bias(4, 7)
    assert found.shape == (2, 4, 7)
    assert torch.equal(found[:, 3, 1], bias.table.weight[log_bucket(torch.tensor(-2))])


def test_a_table_with_a_class_token_is_beits():
    from timm.models.beit import gen_relative_position_index

    table = RelativeBiasTable(2, (3, 4), class_token=True)
    assert torch.equal(table.index, gen_relative_position_index((3, 4)))
    nn.init.normal_(table.table)
    assert torch.equal(table()[:, 0, 5], table.table[-3]) and torch.equal(table()[:, 5, 0], table.table[-2])
    assert torch.equal(table()[:, 0, 0], table.table[-1])
    plain = RelativeBiasTable(2, (2, 2, 2))
    nn.init.normal_(plain.table)
    # Query (0, 1, 0) and key (1, 0, 0): offsets (-1, 1, 0) of a table of 3 x 3 x 3.
    assert torch.equal(plain()[:, 2, 4], plain.table[(0 * 3 + 2) * 3 + 1])
