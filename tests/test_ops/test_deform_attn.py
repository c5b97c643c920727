"""Multi-scale deformable attention: both plain forms are the loop, in value and gradient, in and outside the image."""

import loops
import pytest
import torch

from mmparts.ops import ms_deform_attn, ms_deform_attn_reference
from mmparts.ops.deform_attn.api import VARIANTS
from mmparts.ops.mmcv import compiled

SHAPES = ((3, 5), (4, 4), (1, 2))


@pytest.fixture(autouse=True)
def plain_torch():
    with VARIANTS.use('torch'):
        yield


def inputs(dtype=torch.float64, queries=3, heads=2, points=2, dim=3, batch=2):
    random = torch.Generator().manual_seed(0)
    tokens = sum(height * width for height, width in SHAPES)
    value = torch.randn(batch, tokens, heads, dim, generator=random, dtype=torch.float64)
    # A third of the locations is outside, some of them far.
    locations = torch.randn(batch, queries, heads, len(SHAPES), points, 2, generator=random, dtype=torch.float64) + 0.5
    weights = torch.randn(batch, queries, heads, len(SHAPES) * points, generator=random, dtype=torch.float64)
    weights = weights.softmax(-1).unflatten(-1, (len(SHAPES), points))
    return [tensor.to(dtype).requires_grad_() for tensor in (value, locations, weights)]


def gradients(op, value, locations, weights):
    output = op(value, SHAPES, locations, weights)
    direction = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    return torch.autograd.grad((output * direction).sum(), (value, locations, weights))


@pytest.mark.parametrize('op', [ms_deform_attn, ms_deform_attn_reference])
@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_is_the_loop(op, dtype, tolerance):
    value, locations, weights = inputs(dtype)
    expected = loops.ms_deform_attn(value, SHAPES, locations, weights)
    assert torch.allclose(op(value, SHAPES, locations, weights), expected, atol=tolerance)


@pytest.mark.parametrize('sizes', [{}, dict(queries=40, heads=4, points=4, dim=16)])
def test_has_the_gradients_of_the_definition(sizes):
    arguments = inputs(**sizes)
    for ours, expected in zip(gradients(ms_deform_attn, *arguments), gradients(ms_deform_attn_reference, *arguments)):
        assert torch.allclose(ours, expected, atol=1e-11)


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(
        lambda value, locations, weights: ms_deform_attn(value, SHAPES, locations, weights),
        inputs(queries=2, points=1, dim=2),
    )


def test_far_outside_nothing_is_seen_and_nothing_pulls_back():
    value, _, weights = inputs()
    for far in (-1e9, -2.5, 3.5, 1e9, float('inf')):
        locations = torch.full((2, 3, 2, 3, 2, 2), far, dtype=torch.float64, requires_grad=True)
        assert not ms_deform_attn(value, SHAPES, locations, weights).any()
        assert not any(grad.any() for grad in gradients(ms_deform_attn, value, locations, weights))


def test_a_nan_location_spoils_its_own_query_and_head_only():
    value, locations, weights = inputs()
    broken = locations.detach().clone()
    broken[0, 1, 0, 2, 1, 0] = float('nan')
    spoiled = ms_deform_attn(value, SHAPES, broken, weights)
    assert spoiled[0, 1, :3].isnan().all()
    spoiled[0, 1, :3] = ms_deform_attn(value, SHAPES, locations, weights)[0, 1, :3]
    assert torch.equal(spoiled, ms_deform_attn(value, SHAPES, locations, weights))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_and_cast_back(dtype):
    value, locations, weights = inputs(torch.float32)
    output = ms_deform_attn(value.to(dtype), SHAPES, locations, weights)
    precise = ms_deform_attn(value.to(dtype).float(), SHAPES, locations, weights)
    assert output.dtype == dtype and torch.equal(output, precise.to(dtype))
    assert (
        gradients(
            ms_deform_attn, *(tensor.detach().to(dtype).requires_grad_() for tensor in (value, locations, weights))
        )[0].dtype
        == dtype
    )


@pytest.mark.parametrize('sizes', [dict(), dict(batch=3, queries=7), dict(queries=0)])
def test_hands_mmcv_its_arguments(sizes):
    """mmcv's function with the op that we lend to mmcv-lite: its CUDA op takes the same."""
    arguments = inputs(torch.float32, **sizes)
    for ours, expected in zip(
        gradients(compiled.ms_deform_attn, *arguments), gradients(ms_deform_attn_reference, *arguments)
    ):
        assert torch.allclose(ours, expected, atol=1e-4)


def test_no_queries():
    value, locations, weights = inputs(queries=0)
    output = ms_deform_attn(value, SHAPES, locations, weights)
    assert output.shape == (2, 0, 6)
    assert not torch.autograd.grad(output.sum(), value)[0].any()


def test_meta_device_gives_the_shape():
    output = ms_deform_attn(
        *(part.to('meta') if torch.is_tensor(part) else part for part in (inputs()[0], SHAPES, *inputs()[1:]))
    )
    assert output.is_meta and output.shape == (2, 3, 6)


def test_wrong_sizes_are_named():
    value, locations, weights = inputs()
    with pytest.raises(ValueError, match='33 tokens, but the levels .* have 31'):
        ms_deform_attn(value, ((3, 5), (4, 4)), locations, weights)
    with pytest.raises(ValueError, match=r'here \(2, 3, 2, 3, 2, 2\)'):
        ms_deform_attn(value, SHAPES, locations, weights[..., :1])
