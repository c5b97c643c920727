"""Weights of TransUNet's repository, and of the hybrid ViT in Flax's npz form that its training starts from."""

import math

import torch
import torch.nn.functional as F
from torch import Size, Tensor

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule, reshaped
from ...weights.layout import WeightLayout
from ..segmentor import Segmentor


def grid_of(tensor: Tensor, shape: Size) -> Tensor:
    """1 N C, or 1 1+N C with a class token before, -> H W C; resized linearly, first and last place kept."""
    places = tensor[0]
    if len(places) != math.prod(shape[:-1]):
        side = math.isqrt(len(places) - 1)
        if side * side + 1 != len(places):
            raise ValueError(f'{len(places)} positions are neither {math.prod(shape[:-1])} nor a square and one more')
        grid = places[1:].reshape(1, side, side, -1).movedim(-1, 1)
        grid = F.interpolate(grid, tuple(shape[:-1]), mode='bilinear', align_corners=True)
        return grid[0].movedim(0, -1).contiguous()
    return places.reshape(shape)


class Names:
    """The repository's names."""

    block = r'bottleneck\.blocks\.(\d+)\.'

    @classmethod
    def rules(cls, base: str = 'transformer') -> list[Rule]:
        layer = rf'{base}.encoder.layer.\1.'
        parts = ('query', 'key', 'value')
        return [
            Rule(r'encoder\.root\.(conv|gn)\.(.*)', [rf'{base}.embeddings.hybrid_model.root.\1.\2']),
            Rule(
                r'encoder\.stages\.(\d)\.(\d+)\.(.*)',
                lambda m: [f'{base}.embeddings.hybrid_model.body.block{int(m[1]) + 1}.unit{int(m[2]) + 1}.{m[3]}'],
            ),
            Rule(r'bottleneck\.embed\.proj\.(.*)', [rf'{base}.embeddings.patch_embeddings.\1']),
            Rule(r'bottleneck\.positions\.grid', [f'{base}.embeddings.position_embeddings'], grid_of),
            Rule(cls.block + r'attn\.norm\.(.*)', [layer + r'attention_norm.\2']),
            Rule(cls.block + r'mlp\.norm\.(.*)', [layer + r'ffn_norm.\2']),
            Rule(cls.block + r'attn\.part\.in_proj_(.*)', [layer + rf'attn.{part}.\2' for part in parts], joined=True),
            Rule(cls.block + r'attn\.part\.out_proj\.(.*)', [layer + r'attn.out.\2']),
            Rule(cls.block + r'mlp\.part\.(fc\d)\.(.*)', [layer + r'ffn.\2.\3']),
            Rule(r'bottleneck\.norm\.(.*)', [rf'{base}.encoder.encoder_norm.\1']),
        ]


@WEIGHT_LAYOUTS.register_module(name='trans-unet')
class TransUNetLayout(WeightLayout):
    """Beckschen/TransUNet's R50-ViT models."""

    model = Segmentor
    papers = ('trans_unet',)

    @staticmethod
    def matches(keys):
        return 'decoder.conv_more.0.weight' in keys and 'transformer.embeddings.position_embeddings' in keys

    @classmethod
    def rules(cls, state, model):
        which = {'conv': 0, 'bn': 1}
        return [
            *Names.rules(),
            Rule(r'decoder\.stem\.0\.0\.(conv|bn)\.(.*)', lambda m: [f'decoder.conv_more.{which[m[1]]}.{m[2]}']),
            Rule(
                r'decoder\.levels\.(\d)\.block\.(\d)\.(conv|bn)\.(.*)',
                lambda m: [f'decoder.blocks.{m[1]}.conv{int(m[2]) + 1}.{which[m[3]]}.{m[4]}'],
            ),
            Rule(r'head\.convs\.0\.(.*)', [r'segmentation_head.0.\1']),
        ]


@WEIGHT_LAYOUTS.register_module(name='flax-hybrid-vit')
class HybridViTLayout(WeightLayout):
    """The npz file of R50+ViT-B/16: encoder and bottleneck; decoder and head stay as initialised."""

    model = Segmentor

    @staticmethod
    def matches(keys):
        return 'conv_root/kernel' in keys and 'Transformer/posembed_input/pos_embedding' in keys

    @classmethod
    def rules(cls, state, model):
        layer = r'Transformer/encoderblock_\1/'
        attention = layer + 'MultiHeadDotProductAttention_1/'
        parts = ('query', 'key', 'value')
        kinds = {'weight': 'scale', 'bias': 'bias'}
        block = Names.block
        norm = {'attn': 'LayerNorm_0', 'mlp': 'LayerNorm_2'}
        return [
            Rule(r'encoder\.root\.conv\.weight', ['conv_root/kernel'], convolution),
            Rule(r'encoder\.root\.gn\.(\w+)', lambda m: [f'gn_root/{kinds[m[1]]}'], reshaped),
            Rule(
                r'encoder\.stages\.(\d)\.(\d+)\.(conv\d|downsample)\.weight',
                lambda m: [
                    f'block{int(m[1]) + 1}/unit{int(m[2]) + 1}/{m[3].replace("downsample", "conv_proj")}/kernel'
                ],
                convolution,
            ),
            Rule(
                r'encoder\.stages\.(\d)\.(\d+)\.(gn\w+)\.(\w+)',
                lambda m: [f'block{int(m[1]) + 1}/unit{int(m[2]) + 1}/{m[3]}/{kinds[m[4]]}'],
                reshaped,
            ),
            Rule(r'bottleneck\.embed\.proj\.weight', ['embedding/kernel'], convolution),
            Rule(r'bottleneck\.embed\.proj\.bias', ['embedding/bias']),
            Rule(r'bottleneck\.positions\.grid', ['Transformer/posembed_input/pos_embedding'], grid_of),
            Rule(
                block + r'(attn|mlp)\.norm\.(\w+)',
                lambda m: [f'Transformer/encoderblock_{m[1]}/{norm[m[2]]}/{kinds[m[3]]}'],
            ),
            QueryKeyValue(block + r'attn\.part\.in_proj_weight', [attention + f'{part}/kernel' for part in parts]),
            QueryKeyValue(block + r'attn\.part\.in_proj_bias', [attention + f'{part}/bias' for part in parts]),
            Rule(block + r'attn\.part\.out_proj\.weight', [attention + 'out/kernel'], merged_heads),
            Rule(block + r'attn\.part\.out_proj\.bias', [attention + 'out/bias']),
            Rule(
                block + r'mlp\.part\.fc(\d)\.weight',
                lambda m: [f'Transformer/encoderblock_{m[1]}/MlpBlock_3/Dense_{int(m[2]) - 1}/kernel'],
                transposed,
            ),
            Rule(
                block + r'mlp\.part\.fc(\d)\.bias',
                lambda m: [f'Transformer/encoderblock_{m[1]}/MlpBlock_3/Dense_{int(m[2]) - 1}/bias'],
            ),
            Rule(r'bottleneck\.norm\.(\w+)', lambda m: [f'Transformer/encoder_norm/{kinds[m[1]]}']),
        ]

    @classmethod
    def drop(cls, state, model):
        return {r'head/.*': 'a segmentor has no classifier', r'pre_logits/.*': 'the same', 'cls': 'no class token'}

    @classmethod
    def fresh(cls, state, model):
        return {r'(decoder|head)\..*': 'a ViT has no decoder'}


class QueryKeyValue(Rule):
    """Kernels C heads d, or biases heads d, of queries, keys and values stacked into one projection."""

    def __init__(self, ours, theirs):
        super().__init__(ours, theirs, joined=True)

    def tensor(self, official, shape):
        rows = [each.reshape(-1, each.shape[-1] * each.shape[-2]).t() for each in official.values()]
        return torch.cat(rows).reshape(shape).contiguous()


def convolution(kernel: Tensor, shape: Size) -> Tensor:
    """H W I O -> O I H W."""
    return kernel.permute(3, 2, 0, 1).contiguous()


def transposed(kernel: Tensor, shape: Size) -> Tensor:
    return kernel.t().contiguous()


def merged_heads(kernel: Tensor, shape: Size) -> Tensor:
    """heads d C -> C heads*d."""
    return kernel.flatten(0, 1).t().contiguous()
