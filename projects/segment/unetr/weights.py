"""Weights of MONAI's UNETR, of any release."""

import re

from torch import Size, Tensor

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule
from ...weights.layout import WeightLayout
from ..monai_names import block, up_block
from ..segmentor import Segmentor

DEAD = {
    r'vit\.blocks\.\d+\.(norm_)?cross_attn\..*': 'cross-attention that MONAI 1.4 to 1.6 builds and never uses',
    r'vit\.cls_token': 'a class token that MONAI 0.8 builds and never uses',
}


def flat_grid(tensor: Tensor, shape: Size) -> Tensor:
    """1 N C in the order of the axes -> *grid C."""
    return tensor.reshape(shape)


def perceptron(tensor: Tensor, shape: Size) -> Tensor:
    """MONAI's linear projection of patches, whose channels run fastest: D p*p*p*C -> D C p p p."""
    out, channels, *patch = shape
    return tensor.reshape(out, *patch, channels).movedim(-1, 1).contiguous()


@WEIGHT_LAYOUTS.register_module(name='monai-unetr')
class UNETRLayout(WeightLayout):
    """The names of ``monai.networks.nets.UNETR``; queries, keys and values stand as in ours."""

    model = Segmentor
    papers = ('unetr',)

    @staticmethod
    def matches(keys):
        return 'vit.patch_embedding.position_embeddings' in keys and 'encoder2.transp_conv_init.conv.weight' in keys

    @classmethod
    def rules(cls, state, model):
        project = 'vit.patch_embedding.patch_embeddings'
        linear = f'{project}.1.weight' in state
        return [
            Rule(r'encoder\.positions\.grid', ['vit.patch_embedding.position_embeddings'], flat_grid),
            Rule(
                r'encoder\.patch_embed\.proj\.weight',
                [f'{project}.1.weight' if linear else f'{project}.weight'],
                perceptron if linear else None,
            ),
            Rule(r'encoder\.patch_embed\.proj\.bias', [f'{project}.1.bias' if linear else f'{project}.bias']),
            Rule(r'encoder\.blocks\.(\d+)\.attn\.norm\.(.*)', [r'vit.blocks.\1.norm1.\2']),
            Rule(r'encoder\.blocks\.(\d+)\.attn\.part\.in_proj_weight', [r'vit.blocks.\1.attn.qkv.weight']),
            Rule(r'encoder\.blocks\.(\d+)\.attn\.part\.in_proj_bias', [r'vit.blocks.\1.attn.qkv.bias']),
            Rule(r'encoder\.blocks\.(\d+)\.attn\.part\.out_proj\.(.*)', [r'vit.blocks.\1.attn.out_proj.\2']),
            Rule(r'encoder\.blocks\.(\d+)\.mlp\.norm\.(.*)', [r'vit.blocks.\1.norm2.\2']),
            Rule(r'encoder\.blocks\.(\d+)\.mlp\.part\.fc(\d)\.(.*)', [r'vit.blocks.\1.mlp.linear\2.\3']),
            Rule(r'encoder\.norm\.(.*)', [r'vit.norm.\1']),
            *block(r'decoder\.image\.', lambda m: 'encoder1.layer.'),
            *projection_rules('encoder2.blocks.0.conv.weight' in state),
            *up_block(r'decoder\.ups\.(\d)\.', lambda m: f'decoder{5 - int(m[1])}.'),
            Rule(r'head\.convs\.0\.(.*)', [r'out.conv.conv.\1']),
        ]

    @classmethod
    def drop(cls, state, model):
        return DEAD


def projection_rules(plain: bool) -> list[Rule]:
    """The taps' enlargements; ``plain`` ones have no convolutions between them (MONAI's ``conv_block=False``)."""

    def theirs(match: re.Match) -> str:
        return f'encoder{int(match[1]) + 2}.'

    inner = '' if plain else '.0'
    tap = r'decoder\.projections\.(\d)\.'
    return [
        Rule(tap + r'first\.conv\.(weight|bias)', lambda m: [f'{theirs(m)}transp_conv_init.conv.{m[2]}']),
        Rule(tap + r'steps\.(\d)\.0\.conv\.(weight|bias)', lambda m: [f'{theirs(m)}blocks.{m[2]}{inner}.conv.{m[3]}']),
        *block(tap + r'steps\.(\d)\.1\.', lambda m: f'{theirs(m)}blocks.{m[2]}.1.'),
    ]
