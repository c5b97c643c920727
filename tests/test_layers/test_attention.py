"""Multi-head attention against torch's own, with every choice of bias, mask, width and order of the arguments."""

import math

import pytest
import torch
from torch import nn

from mmparts.layers.attention import MultiheadAttention, attend, attention_map
from mmparts.layers.position import RotaryGrid


def tensors(*lengths, dims=16):
    return [torch.randn(2, length, dims, dtype=torch.float64) for length in lengths]


def pair():
    torch.manual_seed(0)
    ours = MultiheadAttention(16, 4).double()
    theirs = nn.MultiheadAttention(16, 4, batch_first=True).double()
    nn.init.normal_(ours.in_proj_bias)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize('given', [1, 2, 3])
def test_is_torchs(given):
    ours, theirs = pair()
    query, key, value = tensors(5, 7, 7)
    inputs = [(query,), (query, key), (query, key, value)][given - 1]
    full = [(query, query, query), (query, key, key), (query, key, value)][given - 1]
    assert torch.allclose(ours(*inputs), theirs(*full)[0], atol=1e-12)


@pytest.mark.parametrize('kind', ['bool', 'float', 'learned'])
def test_masks_and_biases_are_torchs(kind):
    ours, theirs = pair()
    (query,) = tensors(6)
    bias = torch.randn(4, 6, 6, dtype=torch.float64)
    allowed = torch.rand(6, 6) < 0.7
    allowed.fill_diagonal_(True)
    if kind == 'bool':
        found, mask = ours(query, bias=allowed), ~allowed
    else:
        found = ours(query, bias=bias.requires_grad_() if kind == 'learned' else bias)
        mask = bias.detach().repeat(2, 1, 1)
    assert torch.allclose(found, theirs(query, query, query, attn_mask=mask)[0], atol=1e-12)
    if kind == 'learned':  # the fast backward pass has torch's gradients
        mask.requires_grad_()
        (grad,) = torch.autograd.grad(found.square().sum(), bias)
        out = theirs(query, query, query, attn_mask=mask, need_weights=False)[0]
        (right,) = torch.autograd.grad(out.square().sum(), mask)
        assert torch.allclose(grad, right.view(2, 4, 6, 6).sum(0), atol=1e-10)


def test_weights_are_those_that_attention_uses():
    ours, theirs = pair()
    query, key = tensors(5, 7)
    allowed = torch.rand(5, 7) < 0.8
    allowed[:, 0] = True
    right = theirs(query, key, key, attn_mask=~allowed, average_attn_weights=False)[1]
    assert torch.allclose(ours.weights(query, key, allowed), right, atol=1e-12)
    float_mask = torch.zeros(5, 7).double().masked_fill(~allowed, -math.inf)
    assert torch.allclose(ours.weights(query, key, float_mask), right, atol=1e-12)


@pytest.mark.parametrize('biases', list(torch.cartesian_prod(*[torch.tensor([0, 1])] * 3).bool().tolist()))
@pytest.mark.parametrize('kv_dims', [None, 12])
def test_each_projection_has_its_bias_or_none(biases, kv_dims):
    attn = MultiheadAttention(16, 2, kv_dims=kv_dims, qk_dims=8, v_dims=20, biases=biases).double()
    query, (key,) = tensors(5)[0], tensors(7, dims=kv_dims or 16)
    names = [name for name, parameter in attn.named_parameters() if 'bias' in name and 'out' not in name]
    if all(biases) and kv_dims is None:
        assert names == ['in_proj_bias']
    else:
        assert len(names) == sum(biases)
    for name in names:
        nn.init.normal_(attn.get_parameter(name))

    def plain(which, source):
        width = (8, 8, 20)[which]
        if kv_dims:
            return getattr(attn, f'{"qkv"[which]}_proj')(source)
        start = sum((8, 8, 20)[:which])
        out = source @ attn.in_proj_weight[start : start + width].T
        if not biases[which]:
            return out
        return out + (
            attn.in_proj_bias[start : start + width] if all(biases) else getattr(attn, f'{"qkv"[which]}_bias')
        )

    projected = plain(0, query), plain(1, key), plain(2, key)
    expected = attn.out_proj(attend(*projected, 2))
    assert torch.allclose(attn(query, key), expected, atol=1e-12)
    q, k, v = (x.unflatten(-1, (2, -1)).transpose(1, 2) for x in projected)
    by_hand = ((q @ k.transpose(-1, -2) / 2).softmax(-1) @ v).transpose(1, 2).flatten(2)
    assert torch.allclose(expected, attn.out_proj(by_hand), atol=1e-12)
    assert torch.allclose(attention_map(*projected[:2], 2), (q @ k.transpose(-1, -2) / 2).softmax(-1))


def test_the_inner_norm_comes_before_the_output_projection():
    attn = MultiheadAttention(8, 2, inner_norm=nn.LayerNorm(8))
    (x,) = (torch.randn(1, 3, 8),)
    assert torch.allclose(attn(x), attn.out_proj(attn.inner_norm(attend(*attn.project(x), 2))))


def test_rotary_positions_depend_on_distance_alone():
    """Logits of one query and key that lie equally far apart are equal wherever they lie."""
    rotate = RotaryGrid(8, skip=1)((6, 6))
    query, key = torch.randn(8), torch.randn(8)
    q, k = rotate(query.expand(1, 1, 37, 8)), rotate(key.expand(1, 1, 37, 8))
    logits = (q @ k.transpose(-1, -2))[0, 0]
    assert torch.equal(q[0, 0, 0], query)  # the class token is not turned
    grid = logits[1:, 1:].view(6, 6, 6, 6)
    assert torch.allclose(grid[0, 0, 2, 1], grid[3, 4, 5, 5], atol=1e-5)
    assert not torch.allclose(grid[0, 0, 2, 1], grid[0, 0, 1, 2], atol=1e-3)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(embed_dims=10, num_heads=4), 'embed_dims 10 is not a multiple of num_heads 4'),
        (dict(embed_dims=8, num_heads=4, v_dims=6), 'v_dims 6 is not a multiple of num_heads 4'),
    ],
)
def test_heads_that_do_not_divide_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        MultiheadAttention(**kwargs)
