"""Weights of GT U-Net's repository, which were trained with ``group_mode='reshape'``."""

import re
from collections.abc import Callable

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule
from ...weights.layout import WeightLayout
from ..segmentor import Segmentor

CONVS = {'shortcut': 'shortcut', 'within.0': 'conv1', 'within.4': 'conv3'}
PLACES = {'conv': '0', 'bn': '1.norm'}
TABLES = {'rows': 'rel_emb_h', 'columns': 'rel_emb_w'}


def block(ours: str, theirs: Callable[[re.Match], str]) -> list[Rule]:
    """Rules of a group transformer; ``theirs`` gives the official prefix of a match."""

    def under(pattern: str, name: Callable[[re.Match], str], **options) -> Rule:
        return Rule(ours + pattern, lambda match: [theirs(match) + name(match)], **options)

    return [
        under(
            r'(?P<conv>shortcut|within\.[04])\.(?P<place>conv|bn)\.(?P<rest>.*)',
            lambda m: f'{CONVS[m["conv"]]}.{PLACES[m["place"]]}.{m["rest"]}',
        ),
        under(r'within\.2\.(?P<rest>.*)', lambda m: f'conv2.0.norm.{m["rest"]}'),
        under(
            r'within\.1\.(?P<of>query|key|value)\.weight',
            lambda m: f'mhsa.{m["of"][0]}_proj.w',
            make=lambda stored, shape: stored.flatten(1).T,  # in, heads, width of a head
        ),
        under(r'within\.1\.bias\.(?P<axis>rows|columns)', lambda m: f'mhsa.self_attention.{TABLES[m["axis"]]}'),
    ]


@WEIGHT_LAYOUTS.register_module(name='gt-unet')
class GTUNetLayout(WeightLayout):
    """Kent0n-Li/GT-U-Net's models (not the tiny one, whose plain blocks have other names)."""

    model = Segmentor
    papers = ('gt_unet',)

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
