"""The layer that HTC++ adds on the coarsest map."""

import pytest
import torch
from mmengine.registry import MODELS
from tiny import without_gradient
from torch import nn

from mmparts.backbones import LastMapAttention


def plain(neck: LastMapAttention) -> nn.TransformerEncoderLayer:
    """PyTorch's layer, before whose branches norms stand, with the same weights."""
    layer = nn.TransformerEncoderLayer(32, 4, 128, dropout=0.0, activation='gelu', batch_first=True, norm_first=True)
    attn, mlp = neck.block.attn, neck.block.mlp
    layer.self_attn.load_state_dict(attn.part.state_dict())
    layer.norm1.load_state_dict(attn.norm.state_dict())
    layer.norm2.load_state_dict(mlp.norm.state_dict())
    for theirs, ours in ((layer.linear1, mlp.part.fc1), (layer.linear2, mlp.part.fc2)):
        theirs.load_state_dict(ours.state_dict())
    return layer.eval()


def test_equals_the_layer_of_torch_on_the_places_of_the_last_map():
    torch.manual_seed(0)
    neck = LastMapAttention(32, num_heads=4).eval()
    for each in neck.parameters():
        nn.init.normal_(each, std=0.3)
    first, last = torch.randn(2, 16, 8, 6), torch.randn(2, 32, 4, 3)
    same, seen = neck([first, last])
    assert same is first
    tokens = neck.norm(plain(neck)(last.flatten(2).transpose(1, 2)))
    torch.testing.assert_close(seen, tokens.transpose(1, 2).view_as(last), atol=1e-5, rtol=1e-5)
    seen.square().sum().backward()
    assert not without_gradient(neck)


def test_stands_before_a_pyramid():
    attention = dict(type='mmparts.LastMapAttention', in_channels=32, num_heads=4)
    pyramid = dict(type='mmdet.FPN', in_channels=[16, 32], out_channels=8, num_outs=3)
    neck = MODELS.build([attention, pyramid])
    levels = neck([torch.zeros(1, 16, 8, 6), torch.zeros(1, 32, 4, 3)])
    assert [tuple(level.shape) for level in levels] == [(1, 8, 8, 6), (1, 8, 4, 3), (1, 8, 2, 2)]


def test_refuses_channels_that_the_heads_do_not_divide():
    with pytest.raises(ValueError, match='30 is not a multiple of num_heads 4'):
        LastMapAttention(30, num_heads=4)
