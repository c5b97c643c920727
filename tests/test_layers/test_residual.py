"""Residual branches, MLPs and token blocks: every order of norm, part and sum, against the formula written out."""

import pytest
import torch
from torch import nn

from mmparts.layers.mlp import ConvMlp, GatedMlp, Mlp
from mmparts.layers.residual import Residual
from mmparts.layers.token_block import TokenBlock, TokenBlocks, drop_path_rates


@pytest.mark.parametrize('order', ['pre', 'post', 'res-post'])
@pytest.mark.parametrize('layer_scale', [None, 0.5])
def test_each_order_is_its_formula(order, layer_scale):
    part, norm = nn.Linear(4, 4), nn.LayerNorm(4)
    nn.init.normal_(norm.weight)
    branch = Residual(part, norm, order, layer_scale, embed_dims=4)
    x, factor = torch.randn(2, 3, 4), layer_scale or 1
    expected = {
        'pre': lambda: x + factor * part(norm(x)),
        'post': lambda: norm(x + factor * part(x)),
        'res-post': lambda: x + factor * norm(part(x)),
    }[order]()
    assert torch.allclose(branch(x), expected, atol=1e-6)
    assert (branch.scale is None) == (layer_scale is None)


def test_an_unknown_order_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="order='after' is unknown; choose from pre, post, res-post"):
        Residual(nn.Identity(), nn.Identity(), 'after')


def test_drop_path_leaves_out_whole_samples_in_training_alone():
    branch = Residual(nn.Linear(4, 4), nn.LayerNorm(4), drop_path=0.5)
    x = torch.randn(64, 3, 4)
    torch.manual_seed(0)
    dropped = (branch(x) == x).flatten(1).all(1)
    assert 0 < dropped.sum() < 64
    kept = branch(x)[~dropped]
    assert len(kept) and not (branch.eval()(x) == x).flatten(1).all(1).any()


def test_a_post_norm_block_is_torchs_layer():
    theirs = nn.TransformerEncoderLayer(16, 4, 32, 0.0, activation='gelu', batch_first=True)
    ours = TokenBlock(16, 4, 32, order='post')
    names = {'attn.part': 'self_attn', 'attn.norm': 'norm1', 'mlp.norm': 'norm2', 'mlp.part.fc1': 'linear1'}
    names['mlp.part.fc2'] = 'linear2'
    for mine, other in names.items():
        ours.get_submodule(mine).load_state_dict(theirs.get_submodule(other).state_dict())
    x = torch.randn(2, 5, 16)
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)


def test_a_pre_norm_block_with_memory_is_torchs_decoder_layer():
    theirs = nn.TransformerDecoderLayer(16, 4, 64, 0.0, activation='gelu', batch_first=True, norm_first=True)
    ours = TokenBlock(16, 4, memory_dims=16)
    pairs = dict(attn='self_attn norm1', cross_attn='multihead_attn norm2', mlp='- norm3')
    for mine, (other, norm) in ((mine, pair.split()) for mine, pair in pairs.items()):
        branch = ours.get_submodule(mine)
        branch.norm.load_state_dict(theirs.get_submodule(norm).state_dict())
        if mine != 'mlp':
            branch.part.load_state_dict(theirs.get_submodule(other).state_dict())
    ours.mlp.part.fc1.load_state_dict(theirs.linear1.state_dict())
    ours.mlp.part.fc2.load_state_dict(theirs.linear2.state_dict())
    x, memory = torch.randn(2, 5, 16), torch.randn(2, 7, 16)
    blocked = torch.ones(5, 5).triu(1).bool()
    found = ours(x, bias=~blocked, memory=memory)
    assert torch.allclose(found, theirs(x, memory, tgt_mask=blocked), atol=1e-5)
    assert not torch.allclose(found, ours(x, bias=~blocked), atol=1e-2)  # without memory, without the branch


def test_blocks_give_taps_and_recompute_to_the_same_gradients():
    torch.manual_seed(0)
    blocks = TokenBlocks(3, 16, 4, layer_scale=0.1, drop_path=0.0)
    x = torch.randn(2, 5, 16, requires_grad=True)
    out, taps = blocks(x, taps=(0, 2))
    assert torch.equal(taps[1], out) and torch.equal(taps[0], blocks[0](x))
    grads = torch.autograd.grad(out.square().sum(), [x, *blocks.parameters()])
    blocks.with_cp = True
    again = torch.autograd.grad(blocks(x).square().sum(), [x, *blocks.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(grads, again)) and all(grad.any() for grad in grads[1:])


def test_drop_path_grows_from_zero():
    assert drop_path_rates(0.3, 4) == pytest.approx([0, 0.1, 0.2, 0.3])
    blocks = TokenBlocks(3, 8, 2, drop_path=0.2)
    assert [block.mlp.drop_path.drop_prob for block in list(blocks)[1:]] == pytest.approx([0.1, 0.2])
    assert isinstance(blocks[0].mlp.drop_path, nn.Identity)


def test_mlps_are_their_formulas():
    x = torch.randn(2, 6, 8)
    mlp = Mlp(8, 12, 5, act=nn.ReLU, norm=nn.LayerNorm(12))
    assert torch.allclose(mlp(x), mlp.fc2(mlp.norm(mlp.fc1(x).relu())))
    gated = GatedMlp(8, 12)
    gate, value = gated.fc1(x)[..., :12], gated.fc1(x)[..., 12:]
    assert torch.allclose(gated(x), gated.fc2(nn.functional.silu(gate) * value))


def test_a_conv_mlp_sees_neighbours_within_each_map():
    mlp = ConvMlp(4, 8)
    x = torch.randn(1, 12 + 4, 4)
    out = mlp(x, [(3, 4), (2, 2)])
    single = mlp(x[:, 12:], [(2, 2)])
    assert torch.allclose(out[:, 12:], single, atol=1e-6)
    moved = x.clone()
    moved[:, 0] += 1  # the corner of the first map: its neighbours change, others do not
    changed = (mlp(moved, [(3, 4), (2, 2)]) - out).abs().sum(-1)[0] > 1e-6
    assert changed.nonzero().flatten().tolist() == [0, 1, 4, 5]


def test_some_of_the_blocks_are_blocks():
    blocks = TokenBlocks(4, 8, 2, drop_path=0.3, with_cp=True).eval()
    part = blocks[1:3]
    assert isinstance(part, TokenBlocks) and part.with_cp and [*part] == [blocks[1], blocks[2]]
    x = torch.randn(2, 5, 8)
    assert part(x).equal(blocks[2](blocks[1](x))) and len(blocks[:0]) == 0
