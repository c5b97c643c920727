"""Weights of SpecTr's repository of 2021, of both orders of norm and convolution."""

import re

import torch
from torch import Size, Tensor

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule, reshaped
from ...weights.layout import WeightLayout
from ..segmentor import Segmentor

BLOCK = {
    'attn_norm': 'attention_norm',
    'mlp_norm': 'ffn_norm',
    'attn.query': 'attn.query',
    'attn.key': 'attn.key',
    'attn.value': 'attn.value',
    'attn.out': 'attn.out',
    'mlp.fc1': 'ffn.fc1',
    'mlp.fc2': 'ffn.fc2',
}


def sigmoid_start(alpha: Tensor, shape: Size) -> Tensor:
    """The free alpha of the official code as what a sigmoid makes it of."""
    if (alpha <= 1).any() or (alpha >= 2).any():
        raise ValueError(f'alpha {alpha.flatten().tolist()} is not between 1 and 2; set bounded=False')
    return torch.logit(alpha.reshape(shape) - 1)


@WEIGHT_LAYOUTS.register_module(name='spectr')
class SpecTrLayout(WeightLayout):
    """boxiangyun/SpecTr's models; alpha stands twice under two names; a norm of the bands, shared by all, once a
    band."""

    model = Segmentor
    papers = ('spectr',)

    @staticmethod
    def matches(keys):
        return 'encoders.1.transform.trans.encoder.layer.0.attn.query.weight' in keys

    @classmethod
    def rules(cls, state, model):
        def names(match: re.Match) -> list[str]:
            base = f'encoders.{match[1]}.basic_module.SingleConv{int(match[2]) + 1}'
            return norm_names(state, base, match[3])

        bounded = next((m.bounded for m in model.modules() if hasattr(m, 'bounded')), True)
        transform = r'encoders.\1.transform.trans.'
        alpha = transform + r'encoder.layer.\2.attn.att_fn.'
        block = r'encoder\.transformers\.(\d)\.blocks\.(\d+)\.'
        return [
            Rule(r'encoder\.convs\.(\d)\.(\d)\.conv\.(.*)', single('encoders', 'conv')),
            Rule(r'encoder\.convs\.(\d)\.(\d)\.norm\.(?:norm\.)?(.*)', names),
            Rule(
                block + r'attn\.alpha',
                [alpha + 'alpha', alpha + 'alpha_chooser'],
                sigmoid_start if bounded else reshaped,
            ),
            Rule(
                block + r'(attn_norm|mlp_norm|attn\.\w+|mlp\.fc\d)\.(.*)',
                lambda m: [f'encoders.{m[1]}.transform.trans.encoder.layer.{m[2]}.{BLOCK[m[3]]}.{m[4]}'],
            ),
            Rule(r'encoder\.transformers\.(\d)\.norm\.(.*)', [transform + r'encoder.encoder_norm.\2']),
            Rule(r'decoder\.levels\.(\d)\.block\.(\d)\.conv\.(.*)', single('decoders', 'conv')),
            Rule(r'decoder\.levels\.(\d)\.block\.(\d)\.norm\.(.*)', single('decoders', 'groupnorm')),
            Rule(r'head\.convs\.0\.(.*)', [r'final_conv.\1']),
        ]

    @classmethod
    def drop(cls, state, model):
        return {r'encoders\.\d\.transform\.trans\.embeddings\.pe': 'computed'}


def single(stack: str, part: str):
    """Names of a convolution or norm of the encoders or decoders."""
    return lambda m: [f'{stack}.{m[1]}.basic_module.SingleConv{int(m[2]) + 1}.{part}.{m[3]}']


def norm_names(state, base: str, kind: str) -> list[str]:
    """A norm of the cube, or as many copies of one as there are bands."""
    bands = [key for key in state if re.fullmatch(re.escape(base) + rf'\.spectralnorm\.bns\.\d+\.{kind}', key)]
    return sorted(bands) or [f'{base}.groupnorm.{kind}']
