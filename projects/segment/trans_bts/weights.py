"""Weights of TransBTS's repository, and the names that BiTr-Unet shares with it."""

import re

from torch import Size, Tensor

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule
from ...weights.layout import WeightLayout
from ..segmentor import Segmentor

DEAD = {
    r'linear_encoding\..*': 'never used by the official code',
    r'pre_head_ln(_4)?\..*': 'off the way: the decoder reads what leaves the last layer',
}


def flat_grid(tensor: Tensor, shape: Size) -> Tensor:
    """1 N C in the order of the axes -> *grid C."""
    return tensor.reshape(shape)


def transformer(ours: str, suffix: str = '') -> list[Rule]:
    """Tokens, their convolution and positions, and the layers, attention and MLP by turns."""
    layers = f'transformer{suffix}.net.'

    def layer(part: int, name: str):
        return lambda match: [f'{layers}{2 * int(match[1]) + part}.fn.{name}{match[2]}']

    block = ours + r'blocks\.(\d+)\.'
    return [
        Rule(ours + r'embed\.conv\.bn\.(.*)', [rf'bn{suffix}.\1']),
        Rule(ours + r'embed\.conv\.conv\.(.*)', [rf'conv_x{suffix}.\1']),
        Rule(ours + r'positions\.grid', [f'position_encoding{suffix}.position_embeddings'], flat_grid),
        Rule(block + r'attn\.norm\.(.*)', layer(0, 'norm.')),
        Rule(block + r'attn\.part\.in_proj_(.*)', layer(0, 'fn.qkv.')),
        Rule(block + r'attn\.part\.out_proj\.(.*)', layer(0, 'fn.proj.')),
        Rule(block + r'mlp\.norm\.(.*)', layer(1, 'norm.')),
        Rule(block + r'mlp\.part\.fc1\.(.*)', layer(1, 'fn.net.0.')),
        Rule(block + r'mlp\.part\.fc2\.(.*)', layer(1, 'fn.net.3.')),
    ]


def two_convs(ours: str, theirs: str) -> Rule:
    """Two convolutions with norms; ``theirs`` is a template of the names before theirs."""

    def name(match: re.Match) -> list[str]:
        return [f'{match.expand(theirs)}{match["kind"]}{int(match["number"]) + 1}.{match["rest"]}']

    return Rule(ours + r'(?P<number>\d)\.(?P<kind>conv|bn)\.(?P<rest>.*)', name)


def level(ours: str, number) -> list[Rule]:
    """A level of the way up; ``number`` gives the official one of a match."""
    steps = {'narrow': 'conv1', 'up.conv': 'conv2', 'fuse': 'conv3'}

    def block(match: re.Match) -> list[str]:
        return [f'DeBlock{number(match)}.{match["kind"]}{int(match["at"]) + 1}.{match["rest"]}']

    return [
        Rule(
            ours + r'(narrow|up\.conv|fuse)\.(weight|bias)',
            lambda m: [f'DeUp{number(m)}.{steps[m[m.lastindex - 1]]}.{m[m.lastindex]}'],
        ),
        Rule(ours + r'block\.(?P<at>\d)\.(?P<kind>conv|bn)\.(?P<rest>.*)', block),
    ]


@WEIGHT_LAYOUTS.register_module(name='trans-bts')
class TransBTSLayout(WeightLayout):
    """Wenxuan-1119/TransBTS's models."""

    model = Segmentor
    papers = ('trans_bts',)

    @staticmethod
    def matches(keys):
        return 'Unet.InitConv.conv.weight' in keys and 'conv_x_4.weight' not in keys

    @classmethod
    def rules(cls, state, model):
        kinds = {'gn': 'bn', 'conv': 'conv'}

        def block(match: re.Match) -> list[str]:
            index, place = int(match[1]), int(match[2])
            number = f'{index + 1}' if index == 0 else f'{index + 1}_{place + 1}'
            return [f'Unet.EnBlock{number}.{kinds[match[4]]}{int(match[3]) + 1}.{match[5]}']

        return [
            Rule(r'encoder\.first\.conv\.(.*)', [r'Unet.InitConv.conv.\1']),
            Rule(r'encoder\.downs\.(\d)\.(.*)', lambda m: [f'Unet.EnDown{int(m[1]) + 1}.conv.{m[2]}']),
            Rule(r'encoder\.levels\.(\d)\.(\d)\.(\d)\.(gn|conv)\.(.*)', block),
            *transformer(r'bottleneck\.'),
            two_convs(r'decoder\.stem\.0\.', 'Enblock8_1.'),
            two_convs(r'decoder\.stem\.1\.', 'Enblock8_2.'),
            *level(r'decoder\.levels\.(\d)\.', lambda m: 4 - int(m[1])),
            Rule(r'head\.convs\.0\.(.*)', [r'endconv.\1']),
        ]

    @classmethod
    def drop(cls, state, model):
        return DEAD
