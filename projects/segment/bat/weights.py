"""Weights of BAT's repository. Names below its parts (gates, pyramid) are those of its modules at commit d1ccdff."""

import re

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule
from ...weights.layout import WeightLayout
from ..segmentor import Segmentor

RESNET = {'conv1': '0', 'bn1': '1', 'layer1': '4', 'layer2': '5', 'layer3': '6'}
PYRAMID = {'point': '1x1_1', 'pooled': '1x1_2', 'fuse': '1x1_3'}


def layer(ours: str, theirs, names: dict[str, str]) -> list[Rule]:
    """A post-norm layer; ``names`` of its parts, ``theirs`` gives the official prefix of a match."""

    def attention(match: re.Match) -> list[str]:
        return [f'{theirs(match)}{names[match["part"]]}.{match["rest"]}']

    return [
        Rule(ours + r'(?P<part>self_attn|cross_attn|norm\d)\.(?P<rest>.*)', attention),
        Rule(ours + r'mlp\.fc(?P<part>\d)\.(?P<rest>.*)', lambda m: [f'{theirs(m)}linear{m["part"]}.{m["rest"]}']),
    ]


@WEIGHT_LAYOUTS.register_module(name='bat')
class BATLayout(WeightLayout):
    """jcwang123/BA-Transformer's models."""

    model = Segmentor
    papers = ('bat',)

    @staticmethod
    def matches(keys):
        return 'deeplab.aspp.conv_1x1_1.weight' in keys and 'convolution_mapping.weight' in keys

    @classmethod
    def rules(cls, state, model):
        kinds = {'conv': 'conv', 'bn': 'bn_conv'}
        gate = {'conv': 0, 'bn': 1}
        return [
            Rule(r'encoder\.layer4\.(.*)', [r'deeplab.resnet.layer5.\1']),
            Rule(r'encoder\.(conv1|bn1|layer\d)\.(.*)', lambda m: [f'deeplab.resnet.resnet.{RESNET[m[1]]}.{m[2]}']),
            Rule(
                r'decoder\.(point|pooled|fuse)\.(conv|bn)\.(.*)',
                lambda m: [f'deeplab.aspp.{kinds[m[2]]}_{PYRAMID[m[1]]}.{m[3]}'],
            ),
            Rule(
                r'decoder\.atrous\.(\d)\.(conv|bn)\.(.*)',
                lambda m: [f'deeplab.aspp.{kinds[m[2]]}_3x3_{int(m[1]) + 1}.{m[3]}'],
            ),
            Rule(r'head\.convs\.0\.(.*)', [r'deeplab.aspp.conv_1x1_4.\1']),
            Rule(r'bottleneck\.into\.(.*)', [r'convolution_mapping.\1']),
            Rule(r'bottleneck\.out\.(.*)', [r'trans_out_conv.\1']),
            Rule(r'bottleneck\.positions\.axes\.0\.weight', ['row_embedding']),
            Rule(r'bottleneck\.positions\.axes\.1\.weight', ['column_embedding']),
            Rule(r'bottleneck\.queries', ['query_positions']),
            *layer(
                r'bottleneck\.layers\.(\d+)\.',
                lambda m: f'transformer.encoder.layers.{m[1]}.',
                {'self_attn': 'self_attn', 'norm1': 'norm1', 'norm3': 'norm2'},
            ),
            Rule(
                r'bottleneck\.gates\.(\d+)\.convs\.(\d)\.(conv|bn)\.(.*)',
                lambda m: [f'transformer.encoder.layers.{m[1]}.BAG.{3 * int(m[2]) + gate[m[3]]}.{m[4]}'],
            ),
            Rule(r'bottleneck\.gates\.(\d+)\.out\.(.*)', [r'transformer.encoder.layers.\1.BAG.6.\2']),
            *layer(
                r'bottleneck\.decoder\.(\d+)\.',
                lambda m: f'transformer.decoder.layers.{m[1]}.',
                {
                    'self_attn': 'self_attn',
                    'cross_attn': 'multihead_attn',
                    'norm1': 'norm1',
                    'norm2': 'norm2',
                    'norm3': 'norm3',
                },
            ),
            Rule(r'bottleneck\.norm\.(.*)', [r'transformer.decoder.norm.\1']),
            *layer(
                r'bottleneck\.ask\.', lambda m: 'BCA.', {'cross_attn': 'cross_attn', 'norm2': 'norm1', 'norm3': 'norm2'}
            ),
            Rule(
                r'bottleneck\.last_gate\.convs\.(\d)\.(conv|bn)\.(.*)',
                lambda m: [f'BCA.BAG.convs.{m[1]}.{gate[m[2]]}.{m[3]}'],
            ),
            Rule(r'bottleneck\.last_gate\.out\.(.*)', [r'BCA.BAG.conv_out.\1']),
        ]
