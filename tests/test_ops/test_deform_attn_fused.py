"""Deformable attention from offsets and logits, on CPUs; the Triton kernels: test_deform_attn_triton.py."""

import pytest
import torch

from mmparts.ops.deform_attn.api import ms_deform_attn_reference
from mmparts.ops.deform_attn.fused import VARIANTS, ms_deform_attn_fused, samples

SHAPES = ((5, 3), (1, 2))


def inputs(shared: bool, dtype=torch.float64):
    """2 images, 3 queries, 2 heads of 4, 2 levels, 5 points; ``shared``: one reach for all queries."""
    value = torch.randn(2, 17, 2, 4, dtype=dtype)
    centre = torch.rand(2, 3, 2, 2, dtype=dtype)
    reach = 0.3 * torch.rand(*(() if shared else (2, 3)), 2, 2, dtype=dtype)
    offsets, logits = torch.randn(2, 3, 2, 2, 5, 2, dtype=dtype), torch.randn(2, 3, 2, 2, 5, dtype=dtype)
    return [each.requires_grad_() for each in (value, centre, reach, offsets, logits)]


@pytest.mark.parametrize('shared', [True, False])
def test_samples_lie_around_the_centre_and_weigh_one_together(shared):
    _, centre, reach, offsets, logits = inputs(shared)
    locations, weights = samples(centre, reach, offsets, logits)
    reach = reach.expand(2, 3, 2, 2)
    for image, query, head, level, point in [(0, 0, 0, 0, 0), (1, 2, 1, 1, 4), (1, 0, 0, 1, 2), (0, 2, 1, 0, 3)]:
        expected = centre[image, query, level] + reach[image, query, level] * offsets[image, query, head, level, point]
        torch.testing.assert_close(locations[image, query, head, level, point], expected)
    torch.testing.assert_close(weights.sum((-1, -2)), torch.ones(2, 3, 2, dtype=weights.dtype))
    torch.testing.assert_close(weights / weights[..., :1, :1], (logits - logits[..., :1, :1]).exp())


@pytest.mark.parametrize('shared', [True, False])
@pytest.mark.parametrize('variant', ['apart', 'reference'])
def test_gradients_of_all_five(shared, variant):
    def call(value, *rest):
        return ms_deform_attn_fused(value, SHAPES, *rest)

    tensors = inputs(shared)
    with VARIANTS.use(variant):
        torch.testing.assert_close(call(*tensors), ms_deform_attn_reference(tensors[0], SHAPES, *samples(*tensors[1:])))
        assert torch.autograd.gradcheck(call, tensors)


def test_half_precision_keeps_locations_in_float32():
    value, centre, reach, offsets, logits = (each.detach().float() for each in inputs(shared=False))
    rounded = [value.bfloat16(), centre, reach, offsets.bfloat16(), logits.bfloat16()]
    assert samples(*rounded[1:])[0].dtype == torch.float32
    found = ms_deform_attn_fused(rounded[0], SHAPES, *rounded[1:])
    expected = ms_deform_attn_fused(rounded[0].float(), SHAPES, centre, reach, rounded[3].float(), rounded[4].float())
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).norm() < 1e-2 * expected.norm()


def test_the_unmeasured_kernel_runs_only_by_name():
    assert VARIANTS.chosen(torch.device('cuda')) == 'apart'
    with VARIANTS.use('triton'), pytest.raises(RuntimeError, match='runs on cuda and the tensors are on cpu'):
        VARIANTS.chosen(torch.device('cpu'))
