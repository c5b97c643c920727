"""Weights of GT U-Net's repository, which were trained with ``group_mode='reshape'``."""

import re

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule
from ...weights.layout import WeightLayout
from ..segmentor import Segmentor

PARTS = {'shortcut': 'shortcut', 'narrow': 'conv1', 'widen': 'conv3'}
TABLES = {'rows': 'rel_emb_h', 'columns': 'rel_emb_w'}


def block(ours: str, theirs) -> list[Rule]:
    """A group transformer; ``theirs`` gives the official prefix of a match."""

    def conv(match: re.Match) -> list[str]:
        place = '0' if match['kind'] == 'conv' else '1.norm'
        return [f'{theirs(match)}{PARTS[match["part"]]}.{place}.{match["rest"]}']

    return [
        Rule(ours + r'(?P<part>shortcut|narrow|widen)\.(?P<kind>conv|bn)\.(?P<rest>.*)', conv),
        Rule(ours + r'norm\.(?P<rest>.*)', lambda m: [f'{theirs(m)}conv2.0.norm.{m["rest"]}']),
        Rule(ours + r'attn\.(?P<part>query|key|value)', lambda m: [f'{theirs(m)}mhsa.{m["part"][0]}_proj.w']),
        Rule(ours + r'attn\.(?P<part>rows|columns)', lambda m: [f'{theirs(m)}mhsa.self_attention.{TABLES[m["part"]]}']),
    ]


@WEIGHT_LAYOUTS.register_module(name='gt-unet')
class GTUNetLayout(WeightLayout):
    """Kent0n-Li/GT-U-Net's models (not the tiny one, whose plain blocks have other names)."""

    model = Segmentor

    @staticmethod
    def matches(keys):
        return 'Conv1.0.mhsa.q_proj.w' in keys and 'Up_conv5.0.mhsa.q_proj.w' in keys

    @classmethod
    def rules(cls, state, model):
        up = {'conv': '1', 'bn': '2'}
        return [
            *block(r'encoder\.levels\.(\d)\.', lambda m: f'Conv{int(m[1]) + 1}.0.'),
            *block(r'decoder\.levels\.(\d)\.block\.', lambda m: f'Up_conv{5 - int(m[1])}.0.'),
            Rule(
                r'decoder\.levels\.(\d)\.up\.conv\.(conv|bn)\.(.*)',
                lambda m: [f'Up{5 - int(m[1])}.up.{up[m[2]]}.{m[3]}'],
            ),
            Rule(r'head\.convs\.0\.(.*)', [r'Conv_1x1.\1']),
        ]
