"""Weights of nnFormer's repository (its last state; the first release had other parts)."""

import re

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule
from ...weights.layout import WeightLayout
from ..segmentor import Segmentor


@WEIGHT_LAYOUTS.register_module(name='nn-former')
class NNFormerLayout(WeightLayout):
    """282857341/nnFormer's models; they were trained with ``index='colliding'``. Heads of coarser levels, which a model
    without deep supervision does not have, are dropped."""

    model = Segmentor
    papers = ('nn_former',)

    @staticmethod
    def matches(keys):
        return (
            'model_down.patch_embed.proj1.conv1.weight' in keys and 'decoder.layers.0.blocks.0.attn.kv.weight' in keys
        )

    @classmethod
    def rules(cls, state, model):
        def stem(match: re.Match) -> list[str]:
            pair, place = divmod(int(match[2]), 2)
            kind = match[1].removesuffix('s')
            if (kind, pair, place) == ('norm', 1, 1):
                return [f'model_down.patch_embed.norm.{match[3]}']
            return [f'model_down.patch_embed.proj{pair + 1}.{kind}{place + 1}.{match[3]}']

        return [
            Rule(r'encoder\.patch_embed\.(convs|norms)\.(\d)\.(.*)', stem),
            Rule(r'encoder\.stages\.(.*)', [r'model_down.layers.\1']),
            Rule(r'encoder\.norms\.(\d)\.(.*)', [r'model_down.norm\1.\2']),
            Rule(r'decoder\.levels\.(\d)\.(.*)', [r'decoder.layers.\1.blocks.\2']),
            Rule(r'decoder\.ups\.(\d)\.(.*)', [r'decoder.layers.\1.Upsample.\2']),
            Rule(r'head\.convs\.(\d)\.(.*)', lambda m: [f'final.{cls.last(state) - int(m[1])}.up.{m[2]}']),
        ]

    @staticmethod
    def last(state) -> int:
        """Number of the finest head; with deep supervision they are counted from the coarsest."""
        return max((int(key.split('.')[1]) for key in state if key.startswith('final.')), default=0)

    @classmethod
    def drop(cls, state, model):
        heads = len(model.head.convs)
        coarse = {rf'final\.{i}\..*': 'the model has no deep supervision' for i in range(cls.last(state) + 1 - heads)}
        return {r'.*\.relative_position_index': 'computed', **coarse}
