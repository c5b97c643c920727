"""MONAI's names of the convolutional blocks that UNETR and Swin UNETR share, as rules of weight layouts."""

import re
from collections.abc import Callable

from ..weights.keys import Rule

Prefix = Callable[[re.Match], str]


def block(ours: str, theirs: Prefix) -> list[Rule]:
    """A block of two convolutions, with a shortcut or without.

    Args:
        ours: pattern of the names before the block's own.
        theirs: from a match to the official names before them.
    """

    def conv(match: re.Match) -> list[str]:
        return [f'{theirs(match)}conv{int(match["conv"]) + 1}.conv.{match["kind"]}']

    return [
        Rule(ours + r'(body\.)?(?P<conv>\d)\.conv\.(?P<kind>weight|bias)', conv),
        Rule(
            ours + r'shortcut\.conv\.(?P<kind>weight|bias)',
            lambda match: [f'{theirs(match)}conv3.conv.{match["kind"]}'],
        ),
    ]


def up_block(ours: str, theirs: Prefix) -> list[Rule]:
    """A transposed convolution and the block after it."""
    return [
        Rule(
            ours + r'up\.conv\.(?P<kind>weight|bias)',
            lambda match: [f'{theirs(match)}transp_conv.conv.{match["kind"]}'],
        ),
        *block(ours + r'block\.', lambda match: f'{theirs(match)}conv_block.'),
    ]
