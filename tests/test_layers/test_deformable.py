"""Deformable attention on plain tensors is the loop over single samples, in images and in volumes."""

import math
from itertools import product

import pytest
import torch

from mmparts.layers.deformable import DeformableAttention, centres, directions, level_sizes
from mmparts.ops.deform_attn.volume import VARIANTS, ms_deform_attn_3d

SHAPES = {2: ((3, 5), (2, 2)), 3: ((3, 2, 4), (1, 2, 2))}


def sample(volume, place):
    """``volume`` (C *size) at a point in cells, in the order of the axes: multilinear, zero outside."""
    value = volume.new_zeros(volume.shape[0])
    for corner in product((0, 1), repeat=len(place)):
        cell = [math.floor(at) + step for at, step in zip(place, corner)]
        if all(0 <= at < length for at, length in zip(cell, volume.shape[1:])):
            share = math.prod(1 - abs(at - where) for at, where in zip(cell, place))
            value = value + volume[(slice(None), *cell)] * share
    return value


def loop(value, shapes, locations, weights):
    """The op as a loop: value B S H D, locations B Q H L P dims (x first), weights B Q H L P -> B Q H*D."""
    batch, queries, heads, _, points, dims = locations.shape
    output = value.new_zeros(batch, queries, heads, value.shape[3])
    for b, q, h in product(range(batch), range(queries), range(heads)):
        first = 0
        for level, shape in enumerate(shapes):
            volume = value[b, first : first + math.prod(shape), h].T.unflatten(1, shape)
            first += math.prod(shape)
            for point in range(points):
                where = locations[b, q, h, level, point].tolist()[::-1]
                place = [at * length - 0.5 for at, length in zip(where, shape)]
                output[b, q, h] += weights[b, q, h, level, point] * sample(volume, place)
    return output.flatten(2)


def arguments(dims=3, dtype=torch.float64):
    random = torch.Generator().manual_seed(0)
    tokens = sum(map(math.prod, SHAPES[dims]))
    value = torch.randn(2, tokens, 2, 3, generator=random, dtype=dtype)
    locations = torch.randn(2, 4, 2, 2, 3, dims, generator=random, dtype=dtype) * 0.6 + 0.5  # some far outside
    weights = torch.rand(2, 4, 2, 2, 3, generator=random, dtype=dtype)
    return [each.requires_grad_() for each in (value, locations, weights)]


@pytest.mark.parametrize('variant', ['torch', 'reference'])
def test_in_volumes_it_is_the_loop_with_its_gradients(variant):
    value, locations, weights = arguments()
    with VARIANTS.use(variant):
        found = ms_deform_attn_3d(value, SHAPES[3], locations, weights)
    expected = loop(value, SHAPES[3], locations, weights)
    assert torch.allclose(found, expected, atol=1e-12)

    direction = torch.linspace(-1, 1, found.numel(), dtype=found.dtype).view_as(found)
    with VARIANTS.use('reference'):
        definition = ms_deform_attn_3d(value, SHAPES[3], locations, weights)
    wanted = torch.autograd.grad((definition * direction).sum(), (value, locations, weights))
    for ours, right in zip(torch.autograd.grad((found * direction).sum(), (value, locations, weights)), wanted):
        assert torch.allclose(ours, right, atol=1e-11)


def test_gradients_in_volumes_are_those_of_finite_differences():
    with VARIANTS.use('torch'):
        assert torch.autograd.gradcheck(
            lambda value, locations, weights: ms_deform_attn_3d(value, SHAPES[3], locations, weights), arguments()
        )


def test_a_wrong_number_of_tokens_is_named():
    value, locations, weights = arguments()
    with pytest.raises(ValueError, match='28 tokens, but the levels .* have 24'):
        ms_deform_attn_3d(value, SHAPES[3][:1], locations, weights)


@pytest.mark.parametrize('dims', [2, 3])
@pytest.mark.parametrize('boxes', [False, True])
def test_the_part_is_its_formula(dims, boxes):
    """Offsets of one are a cell around points, and `num_points` of them half of a box; padding counts as zero."""
    torch.manual_seed(dims)
    shapes = SHAPES[dims]
    attn = DeformableAttention(8, num_heads=2, num_levels=2, num_points=3, dims=dims).double()
    for parameter in attn.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    tokens = sum(map(math.prod, shapes))
    query, value = torch.randn(2, 4, 8).double(), torch.randn(2, tokens, 8).double()
    reference = torch.rand(2, 4, 2, dims * (2 if boxes else 1)).double()
    keep = torch.rand(2, tokens) < 0.7

    offsets = attn.sampling_offsets(query).view(2, 4, 2, 2, 3, dims)
    weights = attn.attention_weights(query).view(2, 4, 2, 6).softmax(-1).view(2, 4, 2, 2, 3)
    if boxes:
        reach = reference[:, :, None, :, None, dims:] / 2 / 3
    else:
        reach = 1 / torch.tensor([shape[::-1] for shape in shapes]).double()[:, None]
    locations = reference[:, :, None, :, None, :dims] + offsets * reach
    seen = attn.value_proj(value) * keep[..., None]
    expected = attn.output_proj(loop(seen.view(2, tokens, 2, 4), shapes, locations, weights))

    sizes = level_sizes(shapes).double()
    assert torch.allclose(attn(query, value, shapes, reference, keep, sizes), expected, atol=1e-10)
    places, shares = attn.samples(query, reference, sizes)
    assert torch.allclose(places, locations) and torch.allclose(shares, weights)


@pytest.mark.parametrize('shape', [(3, 5), (2, 3, 4)])
def test_without_offsets_a_cell_sees_itself(shape):
    """Also off the diagonal of a cube, where CoTr's code sees another one."""
    attn = DeformableAttention(4, num_heads=1, num_levels=1, num_points=1, dims=len(shape))
    torch.nn.init.zeros_(attn.sampling_offsets.bias)
    value = torch.randn(1, math.prod(shape), 4)
    expected = attn.output_proj(attn.value_proj(value))
    assert torch.allclose(attn(value, value, (shape,), centres(shape)[None, :, None]), expected, atol=1e-5)


@pytest.mark.parametrize('dims', [2, 3])
def test_heads_start_in_directions_that_differ(dims):
    rays = directions(6, dims)
    assert torch.allclose(rays.norm(dim=-1), torch.ones(6))
    assert (rays @ rays.T - 2 * torch.eye(6)).max() < 0.9


def test_heads_that_do_not_divide_are_named():
    with pytest.raises(ValueError, match='embed_dims 10 is not a multiple of num_heads 4'):
        DeformableAttention(10, num_heads=4)


def test_at_the_start_all_points_weigh_alike_and_lie_where_no_query_says():
    part = DeformableAttention(16, num_heads=4, num_levels=2, num_points=3)
    queries = torch.randn(5, 16)
    assert (part.attention_weights(queries) == 0).all()
    offsets = part.sampling_offsets(queries)
    assert offsets.equal(offsets[:1].expand_as(offsets)) and offsets.abs().amax() == 3
