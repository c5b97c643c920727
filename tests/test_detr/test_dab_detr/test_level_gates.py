"""A dense decoder over several levels: what a query sees of each, and how much of it it takes."""

import pytest
import tiny
import torch

from mmparts.detr.dab_detr.attention import ConditionalCrossAttention
from mmparts.detr.dab_detr.level_gates import LevelGatedAttention, levels
from mmparts.detr.structures import Memory

BASE = 'dn_detr_deformable_encoder_r50'
SHAPES = ((3, 4), (2, 2))


def memory(padded=True) -> Memory:
    """Two levels; of the second image the last column of each is padding."""
    torch.manual_seed(0)
    keeps = [torch.ones(2, *shape, dtype=torch.bool) for shape in SHAPES]
    for keep in keeps:
        keep[1, :, -1] = False
    feats, pos = ([torch.randn(2, 8, *shape) for shape in SHAPES] for _ in range(2))
    return Memory.from_levels(feats, pos, keeps if padded else None)


def looked(attention, seen: Memory, gate):
    torch.manual_seed(1)
    content, pos = torch.randn(2, 3, 8), torch.randn(2, 3, 16)
    return [method(content, pos, None, seen, gate) for method in (attention.forward, attention.weights)]


def gated(num_heads=2) -> LevelGatedAttention:
    torch.manual_seed(2)
    return LevelGatedAttention(8, base=dict(type=ConditionalCrossAttention), num_heads=num_heads)


@pytest.mark.parametrize('padded', [True, False])
def test_what_is_seen_is_the_gated_mean_of_the_values(padded):
    """Written out: within a level the weights sum to its gate, and make the mean of all tokens' values."""
    attention, seen = gated(), memory(padded)
    gate = torch.rand(2, 3, 2).softmax(-1)
    out, weights = looked(attention, seen, gate)
    torch.testing.assert_close(weights[..., :12].sum(-1), gate[:, None, :, 0].expand(-1, 2, -1))
    torch.testing.assert_close(weights[..., 12:].sum(-1), gate[:, None, :, 1].expand(-1, 2, -1))
    assert not padded or weights[1, ..., [3, 7, 11, 13, 15]].max() == 0
    value = attention.base.value(seen.tokens).unflatten(-1, (2, 4))
    torch.testing.assert_close(out, attention.base.out_proj(torch.einsum('bhns,bshc->bnhc', weights, value).flatten(2)))


def test_an_open_gate_is_attention_to_one_level():
    attention, seen = gated(), memory()
    out, _ = looked(attention, seen, torch.tensor([0.0, 1.0]).expand(2, 3, 2))
    content, pos = (torch.manual_seed(1), torch.randn(2, 3, 8), torch.randn(2, 3, 16))[1:]
    torch.testing.assert_close(out, attention.base(content, pos, None, levels(seen)[1]))


def test_levels_are_memories():
    fine, coarse = levels(memory())
    assert (fine.shapes, coarse.shapes) == (((3, 4),), ((2, 2),))
    assert torch.cat([fine.tokens, coarse.tokens], 1).equal(memory().tokens)
    assert fine.valid_ratios[1].tolist() == [[0.75, 1.0]] and coarse.valid_ratios[1].tolist() == [[0.5, 1.0]]
    assert torch.cat([fine.keep, coarse.keep], 1).equal(memory().keep)


def test_gates_follow_from_the_queries_of_self_attention():
    """As in the official code: from content and position that enter the layer."""
    model = tiny.build(tiny.base(BASE)).eval()
    layer, seen = model.decoder.layers[1], []
    layer.cross_attn.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[-1]))
    layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[:2]))
    with torch.no_grad():
        model(**tiny.batch(model), mode='tensor')
        (content, pos), gate = seen
        own = layer.self_attn
        query = own.query_content(content) + own.query_pos(pos[..., :32])
        torch.testing.assert_close(gate, layer.gate(query).softmax(-1))
    assert gate.shape == (2, 20, 4)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(cross_attn=dict(type='mmparts.DeformableCrossAttention')), 'DeformableCrossAttention samples, or has a'),
        (
            dict(
                cross_attn=dict(
                    type='mmparts.GaussianCrossAttention', base=dict(type='mmparts.ConditionalCrossAttention')
                ),
                spatial_prior=dict(type='mmparts.GaussianPrior'),
            ),
            'GaussianCrossAttention samples, or has a prior over',
        ),
        (dict(self_attn=dict(type='mmparts.DenseSelfAttention')), 'DenseSelfAttention has no method `query`'),
        (dict(cross_attn=dict(type='mmparts.DenseCrossAttention')), 'takes positions of one width'),
    ],
)
def test_attention_that_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(tiny.base(BASE, decoder=change))
