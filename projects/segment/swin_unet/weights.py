"""Weights of Swin-Unet's repository, and of the Swin-T classifier that it starts from."""

import re

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule
from ...weights.layout import WeightLayout
from ..segmentor import Segmentor

COMPUTED = {r'.*\.(relative_position_index|attn_mask)': 'computed'}


def unet_rules(prefix: str) -> list[Rule]:
    """Names that Swin-Unet and VT-UNet share."""

    def level(match: re.Match) -> list[str]:
        return [f'{prefix}layers_up.{int(match[1]) + 1}.{match[2].replace("downsample", "upsample")}']

    return [
        Rule(r'encoder\.stages\.(.*)', [prefix + r'layers.\1']),
        Rule(r'encoder\.(patch_embed|norm)\.(.*)', [prefix + r'\1.\2']),
        Rule(r'decoder\.expand\.(.*)', [prefix + r'layers_up.0.\1']),
        Rule(r'decoder\.joins\.(\d)\.(.*)', lambda m: [f'{prefix}concat_back_dim.{int(m[1]) + 1}.{m[2]}']),
        Rule(r'decoder\.levels\.(\d)\.(.*)', level),
        Rule(r'decoder\.norm\.(.*)', [prefix + r'norm_up.\1']),
        Rule(r'decoder\.last\.(.*)', [prefix + r'up.\1']),
        Rule(r'head\.convs\.0\.(.*)', [prefix + r'output.\1']),
    ]


@WEIGHT_LAYOUTS.register_module(name='swin-unet')
class SwinUnetLayout(WeightLayout):
    """HuCaoFighting/Swin-Unet's models."""

    model = Segmentor
    papers = ('swin_unet',)

    @staticmethod
    def matches(keys):
        name = 'swin_unet.layers_up.1.blocks.0.attn.relative_position_bias_table'
        return name in keys and 'swin_unet.concat_back_dim.1.bias' in keys

    @classmethod
    def rules(cls, state, model):
        return unet_rules('swin_unet.')

    @classmethod
    def drop(cls, state, model):
        return COMPUTED


@WEIGHT_LAYOUTS.register_module(name='swin-to-swin-unet')
class SwinClassifierLayout(WeightLayout):
    """microsoft/Swin-Transformer's classifier for encoder and decoder: blocks of stage i fill those of both ways at
    that resolution, as the official code does. Never recognised by its names, which are a backbone's; ask for it."""

    model = Segmentor

    @staticmethod
    def matches(keys):
        return False

    @classmethod
    def rules(cls, state, model):
        finest = len(model.decoder.levels) - 1
        return [
            Rule(r'encoder\.stages\.(.*)', [r'layers.\1']),
            Rule(r'encoder\.(patch_embed|norm)\.(.*)', [r'\1.\2']),
            Rule(r'decoder\.levels\.(\d)\.blocks\.(.*)', lambda m: [f'layers.{finest - int(m[1])}.blocks.{m[2]}']),
        ]

    @classmethod
    def drop(cls, state, model):
        depths = [len(stage.blocks) for stage in model.encoder.stages]
        unbuilt = {
            rf'layers\.{stage}\.blocks\.{block}\..*': 'the encoder has fewer blocks there'
            for stage, depth in enumerate(depths)
            for block in range(depth, 24)
        }
        return {r'head\.(weight|bias)': 'a segmentor has no classifier', **COMPUTED, **unbuilt}

    @classmethod
    def fresh(cls, state, model):
        return {r'decoder\.(expand|joins|norm|last|levels\.\d\.downsample)\..*|head\..*': 'a classifier has no way up'}
