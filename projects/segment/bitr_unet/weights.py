"""Weights of BiTr-Unet's repository, whose broken class names do not matter here."""

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule
from ...weights.layout import WeightLayout
from ..segmentor import Segmentor
from ..trans_bts.weights import DEAD, level, transformer, two_convs

STAGES = ('encoder1', 'encoder2', 'encoder3', 'encoder4', 'bottom')


@WEIGHT_LAYOUTS.register_module(name='bitr-unet')
class BiTrUnetLayout(WeightLayout):
    """JustaTinyDot/BiTr-Unet's models."""

    model = Segmentor
    papers = ('bitr_unet',)

    @staticmethod
    def matches(keys):
        return 'conv_x_4.weight' in keys and 'position_encoding_4.position_embeddings' in keys

    @classmethod
    def rules(cls, state, model):
        stage = r'encoder\.levels\.(\d)\.'
        cat = {'narrow': 'conv1', 'same.conv': 'conv2', 'fuse': 'conv3'}

        return [
            Rule(r'encoder\.stem\.0\.conv\.(.*)', [r'Unet.InitConv.conv.\1']),
            Rule(
                stage + r'convs\.(\d)\.conv\.(.*)',
                lambda m: [f'Unet.{STAGES[int(m[1])]}.UBlock.ConvBnRelu{int(m[2]) + 1}.conv.{m[3]}'],
            ),
            Rule(
                stage + r'channel_gate\.mlp\.(0|2)\.(.*)',
                lambda m: [f'Unet.{STAGES[int(m[1])]}.CBAM.ChannelGate.mlp.{int(m[2]) + 1}.{m[3]}'],
            ),
            Rule(
                stage + r'place_gate\.conv\.(.*)',
                lambda m: [f'Unet.{STAGES[int(m[1])]}.CBAM.SpatialGate.spatial.conv.{m[2]}'],
            ),
            *transformer(r'bottleneck\.coarse\.'),
            *transformer(r'bottleneck\.fine\.', '_4'),
            two_convs(r'decoder\.coarse\.0\.', 'Enblock8_1.'),
            two_convs(r'decoder\.coarse\.1\.', 'Enblock8_2.'),
            two_convs(r'decoder\.fine\.0\.', 'Enblock7_1.'),
            two_convs(r'decoder\.fine\.1\.', 'Enblock7_2.'),
            *level(r'decoder\.first\.', lambda m: 5),
            Rule(r'decoder\.(narrow|same\.conv|fuse)\.(.*)', lambda m: [f'Cat4.{cat[m[1]]}.{m[2]}']),
            two_convs(r'decoder\.block\.', 'Block4.'),
            *level(r'decoder\.levels\.(\d)\.', lambda m: 4 - int(m[1])),
            Rule(r'head\.convs\.0\.(.*)', [r'endconv.\1']),
        ]

    @classmethod
    def drop(cls, state, model):
        return {
            **DEAD,
            r'Unet\.(bottom_2|decoder\d|outconv)\..*': "the encoder's own way up, which the official code never takes",
        }
