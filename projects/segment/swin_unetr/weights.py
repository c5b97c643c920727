"""Weights of MONAI's Swin UNETR: three merge orders, versions 1 and 2."""

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule
from ...weights.layout import WeightLayout
from ..monai_names import block, up_block
from ..segmentor import Segmentor

SKIPS = ('encoder2', 'encoder3', 'encoder4', None, 'encoder10')


@WEIGHT_LAYOUTS.register_module(name='monai-swin-unetr')
class SwinUNETRLayout(WeightLayout):
    """The names of ``monai.networks.nets.SwinUNETR``. A file does not tell its merge order: it is MONAI's release that
    does ('legacy' up to 1.4), and the config must say the same."""

    model = Segmentor
    papers = ('swin_unetr',)

    @staticmethod
    def matches(keys):
        return 'swinViT.patch_embed.proj.weight' in keys and 'encoder10.layer.conv1.conv.weight' in keys

    @classmethod
    def rules(cls, state, model):
        stage = r'encoder\.stages\.(\d)\.'
        return [
            Rule(r'encoder\.patch_embed\.(.*)', [r'swinViT.patch_embed.\1']),
            Rule(
                stage + r'blocks\.(\d+)\.mlp\.fc(\d)\.(.*)',
                lambda m: [f'swinViT.layers{int(m[1]) + 1}.0.blocks.{m[2]}.mlp.linear{m[3]}.{m[4]}'],
            ),
            Rule(stage + r'(.*)', lambda m: [f'swinViT.layers{int(m[1]) + 1}.0.{m[2]}']),
            *block(r'encoder\.convs\.(\d)\.', lambda m: f'swinViT.layers{int(m[1]) + 1}c.0.layer.'),
            *block(r'decoder\.image\.', lambda m: 'encoder1.layer.'),
            *block(r'decoder\.skips\.(\d)\.', lambda m: f'{SKIPS[int(m[1])]}.layer.'),
            *up_block(r'decoder\.ups\.(\d)\.', lambda m: f'decoder{5 - int(m[1])}.'),
            Rule(r'head\.convs\.0\.(.*)', [r'out.conv.conv.\1']),
        ]

    @classmethod
    def drop(cls, state, model):
        return {r'.*\.relative_position_index': 'computed'}
