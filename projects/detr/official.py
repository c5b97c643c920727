"""The base of official layouts, and the options of their codes: those that would build a detector of ours, and those
that a file shows or tells.

Two models may have the same tensors and another arithmetic: a ResNet whose last stage is dilated, attention of another
number of heads. What tensors do not show is told by the options that official files keep as ``args``.
"""

import re
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from torch import Tensor, nn

from ..weights.layout import WeightLayout
from .detector import QueryDetector

# Options that all these codes read, and those with sines of another temperature.
READ = ('dilation', 'nheads', 'position_embedding')
SINES = (*READ, 'pe_temperatureH', 'pe_temperatureW')
ALIASES = dict(v2='sine', v3='learned')
LAYER = r'transformer\.%s\.layers\.(\d+)\.'
# What tensors show of every variant.
SIZES = ('enc_layers', 'dec_layers', 'dim_feedforward')
COUNTERS = {r'.*\.num_batches_tracked': 'the official frozen norms do not count batches'}


class OfficialLayout(WeightLayout):
    """Base of the layouts of the codes that follow DETR's.

    Attributes:
        options: those that the code reads, of the ones that :func:`built` knows.
        hidden: of these the ones that tensors do not show.
    """

    model = QueryDetector
    hidden = ('dilation', 'nheads')
    options: tuple[str, ...] = READ

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return COUNTERS

    @classmethod
    def advise(cls, model: nn.Module) -> dict[str, str]:
        return advice(model)

    @classmethod
    def built(cls, model: nn.Module) -> dict[str, Any]:
        return {word: value for word, value in built(model).items() if word in cls.options + SIZES}

    @classmethod
    def shown(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        return shown(state)

    @classmethod
    def declared(cls, state: Mapping[str, Tensor], args: Mapping[str, Any]) -> dict[str, Any]:
        found = {word: value for word, value in args.items() if word in cls.options}
        return found | {word: ALIASES[str(value)] for word, value in found.items() if str(value) in ALIASES}


def advice(model: nn.Module) -> dict[str, str]:
    """Options of a config with which a detector does as the official code."""
    if getattr(model.queries, 'select_padding', True):
        return {}
    return {
        'model.queries.select_padding=True': 'tokens on padding and at the very border are chosen for queries there, '
        'and come last here'
    }


def built(model: nn.Module) -> dict[str, Any]:
    """The options that would build a detector; without those that its parts do not know."""
    temperature = _of(model, 'encoder.positional_encoding.temperature')
    levels = _of(model, 'encoder.level_embed')
    found = dict(
        two_stage=hasattr(model.queries, 'class_branch'),
        with_box_refine=len(model.head.box_branches) > 1,
        num_feature_levels=None if levels is None else len(levels),
        half_cell_shift=_of(model, 'encoder.positional_encoding.offset') == -0.5,
        pre_norm=hasattr(model.encoder, 'norm'),
        dilation=max(_of(model, 'backbone.dilations') or (1,)) > 1,
        enc_layers=len(model.encoder.layers),
        dec_layers=len(model.decoder.layers),
        dim_feedforward=_of(model, 'encoder.layers.0.ffn.0.out_features'),
        nheads=_of(model, 'encoder.layers.0.self_attn.num_heads'),
        enc_n_points=_of(model, 'encoder.layers.0.self_attn.num_points'),
        dec_n_points=_of(model, 'decoder.layers.0.cross_attn.attn.num_points'),
        position_embedding='learned' if temperature is None else 'sine',
        pe_temperatureH=temperature,
        pe_temperatureW=temperature,
    )
    return {word: value for word, value in found.items() if value is not None}


def _of(model: nn.Module, path: str) -> Any:
    """An attribute by its dotted path; None where there is none."""
    try:
        return attrgetter(path)(model)
    except AttributeError:
        return None


def shown(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The options that names and shapes of an official file show."""
    state = {name.removeprefix('detr.'): tensor for name, tensor in state.items()}
    rows = {
        'num_feature_levels': 'transformer.level_embed',
        'dim_feedforward': 'transformer.encoder.layers.0.linear1.weight',
    }
    layers = {
        f'{part[:3]}_layers': len({match[1] for name in state if (match := re.match(LAYER % part, name))})
        for part in ('encoder', 'decoder')
    }
    return {
        'two_stage': 'transformer.enc_output.weight' in state,
        'with_box_refine': 'transformer.decoder.bbox_embed.0.layers.0.weight' in state,
        'pre_norm': 'transformer.encoder.norm.weight' in state,
        **{word: len(state[name]) for word, name in rows.items() if name in state},
        **{word: count for word, count in layers.items() if count},
    }
