"""The pixel decoder equals that of transformers' Mask2Former with the same weights."""

import parity
import pytest
import torch
from mmengine.registry import DefaultScope

from mmparts.detr.mask_dino.pixel_decoder import DeformablePixelDecoder, PixelMapper
from mmparts.registry import MODELS

CHANNELS = (16, 24, 32, 40)


class Ours(torch.nn.Module):
    def __init__(self, dims: int, heads: int, layers: int = 2):
        super().__init__()
        with DefaultScope.overwrite_default_scope('mmdet'):
            self.neck = MODELS.build(dict(type=PixelMapper, in_channels=CHANNELS, out_channels=dims, num_outs=3))
            self.encoder = MODELS.build(
                dict(
                    type=DeformablePixelDecoder,
                    embed_dims=dims,
                    num_levels=3,
                    num_layers=layers,
                    num_heads=heads,
                    ffn_channels=96,
                )
            )

    def forward(self, feats):
        return self.encoder(self.neck(feats), None)


def theirs(ours: Ours, dims: int, heads: int):
    """Their pixel decoder with our weights; their levels go from coarse to fine."""
    transformers = parity.reference('transformers')
    from transformers.models.mask2former.modeling_mask2former import Mask2FormerPixelDecoder

    config = transformers.Mask2FormerConfig(
        feature_size=dims,
        mask_feature_size=dims,
        encoder_layers=len(ours.encoder.layers),
        num_attention_heads=heads,
        encoder_feedforward_dim=96,
        dropout=0.0,
    )
    model = Mask2FormerPixelDecoder(config, CHANNELS).eval()
    model.load_state_dict(dict(their_weights(ours.state_dict(), heads)), strict=True)
    return model


def their_weights(state: dict, heads: int):
    names = {
        'neck.lateral.conv': 'adapter_1.0',
        'neck.lateral.gn': 'adapter_1.1',
        'encoder.smooth.conv': 'layer_1.0',
        'encoder.smooth.gn': 'layer_1.1',
        'encoder.mask_features': 'mask_projection',
        'norm_attn': 'self_attn_layer_norm',
        'norm_ffn': 'final_layer_norm',
        'ffn.0': 'fc1',
        'ffn.3': 'fc2',
    }
    for level in range(3):
        names[f'neck.convs.{level}.conv'] = f'input_projections.{2 - level}.0'
        names[f'neck.convs.{level}.gn'] = f'input_projections.{2 - level}.1'
    for name, tensor in state.items():
        if 'sampling_offsets' in name or 'attention_weights' in name:
            tensor = tensor.unflatten(0, (heads, 3, -1)).flip(1).flatten(0, 2)
        if name == 'encoder.level_embed':
            name, tensor = 'level_embed', tensor.flip(0)
        for mine, other in names.items():
            name = name.replace(mine, other)
        yield name, tensor


@pytest.mark.parametrize(('dims', 'heads'), [(32, 4), (64, 8)])
def test_equals_transformers(dims, heads):
    torch.manual_seed(0)
    ours = Ours(dims, heads).eval()
    parity.randomise(ours)
    peer = theirs(ours, dims, heads)
    feats = [torch.randn(2, channels, 44 // 2**level, 64 // 2**level) for level, channels in enumerate(CHANNELS)]
    with torch.no_grad():
        memory = ours(feats)
        out = peer(feats)
    torch.testing.assert_close(memory.pixels, out.mask_features, rtol=1e-4, atol=1e-4)
    for mine, other in zip(memory.maps(), reversed(out.multi_scale_features)):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)
    assert memory.pixels.std() > 0.1


def test_padding_leaves_the_tokens_alone():
    """What stands in the padding changes no token of the image; the pixels' convolution looks past the border."""
    torch.manual_seed(0)
    ours = Ours(32, 4).eval()
    parity.randomise(ours)
    feats = [torch.randn(1, 32, 32 // 2**level, 32 // 2**level) for level in range(4)]
    keeps = [torch.ones(1, *feat.shape[-2:], dtype=torch.bool) for feat in feats]
    for keep in keeps:
        keep[:, :, keep.shape[2] // 2 :] = False
    other = [feat.masked_fill(~keep[:, None], 3.0) for feat, keep in zip(feats, keeps)]
    with torch.no_grad():
        first, second = (ours.encoder(each, keeps) for each in (feats, other))
    for one, two, keep in zip(first.maps(), second.maps(), keeps[1:]):
        torch.testing.assert_close(one[..., keep[0]], two[..., keep[0]], rtol=1e-4, atol=1e-5)
    assert first.valid_ratios[0, :, 0].tolist() == [0.5] * 3 and not first.pixels.equal(second.pixels)
