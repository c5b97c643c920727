"""Published weights of Perceiver IO: files with the names of transformers.

Their modules have one name for what ours says in several places, so a layout is a table of places: ours -> theirs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from ..registry import WEIGHT_LAYOUTS
from ..weights.keys import Conversion, Make, Rule, draw
from ..weights.layout import WeightLayout, is_classifier, not_for
from .perceiver import Perceiver

BODY = r'(?:backbone\.)?'  # a Perceiver is a whole model, or the backbone of one


@dataclass(frozen=True)
class Words:
    """What a code calls the tensors of an attention layer.

    Args:
        norm: (their name of a norm's weight, of its bias); linear: the same of a linear layer.
        norm_q, norm_kv, query, key, value, out, norm_mlp, fc1, fc2: modules within a layer; ``norm_mlp_self`` where it
            has another name without ``norm_kv``.
    """

    norm_q: str
    norm_kv: str
    query: str
    key: str
    value: str
    out: str
    norm_mlp: str
    fc1: str
    fc2: str
    norm_mlp_self: str
    norm: tuple[str, str] = ('weight', 'bias')
    linear: tuple[str, str] = ('weight', 'bias')
    joint: str = '.'

    def cross(self, ours: str, theirs: str) -> list[Rule]:
        """Rules of a `CrossAttend`; ``theirs`` may use the groups of ``ours``."""
        named = [
            ('norm_q', self.norm_q, self.norm),
            ('norm_kv', self.norm_kv, self.norm),
            ('norm', self.norm_mlp, self.norm),
            *self._linears('attn'),
            ('mlp.fc1', self.fc1, self.linear),
            ('mlp.fc2', self.fc2, self.linear),
        ]
        return self._rules(ours, theirs, named) + self._fused(ours, theirs, 'attn')

    def itself(self, ours: str, theirs: str) -> list[Rule]:
        """Rules of a layer of self-attention."""
        named = [
            ('attn.norm', self.norm_q, self.norm),
            ('mlp.norm', self.norm_mlp_self, self.norm),
            ('attn.part.out_proj', self.out, self.linear),
            ('mlp.part.fc1', self.fc1, self.linear),
            ('mlp.part.fc2', self.fc2, self.linear),
        ]
        return self._rules(ours, theirs, named) + self._fused(ours, theirs, 'attn.part')

    def _linears(self, attn: str) -> list[tuple]:
        places = (('q_proj', self.query), ('k_proj', self.key), ('v_proj', self.value), ('out_proj', self.out))
        return [(f'{attn}.{mine}', theirs, self.linear) for mine, theirs in places]

    def _rules(self, ours: str, theirs: str, named: list[tuple]) -> list[Rule]:
        return [
            Rule(f'{ours}{re.escape(place)}\\.{kind}', [theirs + self.joint.join((module, word))])
            for place, module, words in named
            for kind, word in zip(('weight', 'bias'), words)
        ]

    def _fused(self, ours: str, theirs: str, attn: str) -> list[Rule]:
        modules = (self.query, self.key, self.value)
        return [
            Rule(
                f'{ours}{re.escape(attn)}\\.in_proj_{kind}',
                [theirs + self.joint.join((module, word)) for module in modules],
                joined=True,
            )
            for kind, word in zip(('weight', 'bias'), self.linear)
        ]


TRANSFORMERS = Words(
    norm_q='attention.self.layernorm1',
    norm_kv='attention.self.layernorm2',
    query='attention.self.query',
    key='attention.self.key',
    value='attention.self.value',
    out='attention.output.dense',
    norm_mlp='layernorm',
    norm_mlp_self='layernorm',
    fc1='mlp.dense1',
    fc2='mlp.dense2',
)


def plain(ours: str, theirs: str, make: Make | None = None) -> Rule:
    """A tensor beside the layers; both are whole names, ``ours`` a pattern."""
    return Rule(BODY + ours, [theirs], make)


def module(ours: str, theirs: str) -> list[Rule]:
    """Weight and bias of a linear layer or a convolution."""
    return [plain(rf'{ours}\.{kind}', f'{theirs}.{kind}') for kind in ('weight', 'bias')]


def as_shaped(tensor: Tensor, shape) -> Tensor:
    return tensor.reshape(shape)


class PerceiverLayout(WeightLayout):
    """What all layouts of a Perceiver have in common: they fill a `Perceiver`, or a model with one as its backbone, its
    head included."""

    papers = ('perceiver_io',)
    model, part = Perceiver, 'backbone'

    @classmethod
    def target(cls, model: nn.Module) -> str:
        return '' if cls.perceiver_of(model) is not None else 'backbone' if hasattr(model, 'backbone') else ''

    @staticmethod
    def perceiver_of(model: nn.Module) -> Perceiver | None:
        parts = (model, getattr(model, 'backbone', None))
        return next((part for part in parts if isinstance(part, Perceiver)), None)

    @classmethod
    def convert(cls, state: Mapping[str, Tensor], model: nn.Module, **choice: str) -> Conversion:
        if cls.perceiver_of(model) is None:
            return Conversion(refused={'the model': not_for(model, cls.model)})
        return draw(state, model, cls.rules(state, model), cls.drop(state, model), cls.fresh(state, model))

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return {r'.*\.num_batches_tracked': 'some files lack this counter'}


@WEIGHT_LAYOUTS.register_module(name='transformers-perceiver')
class TransformersPerceiverLayout(PerceiverLayout):
    """The names of transformers: `PerceiverForImageClassification*`, `ForMaskedLM`, `ForOpticalFlow`,
    `ForMultimodalAutoencoding`. They hold the weights of the authors, but compute another GELU, and convolve another
    way, see README."""

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return 'perceiver.embeddings.latents' in keys

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        pre = 'perceiver.input_preprocessor.'
        decoder = decoder_of(state)
        rules = [
            plain(r'encoder\.latents', 'perceiver.embeddings.latents'),
            *TRANSFORMERS.cross(BODY + r'encoder\.cross_attends\.0\.', 'perceiver.encoder.cross_attention.'),
            *TRANSFORMERS.itself(BODY + r'encoder\.blocks\.0\.(\d+)\.', r'perceiver.encoder.self_attends.\1.'),
            *TRANSFORMERS.cross(BODY + r'decoder\.cross_attend\.', decoder + 'decoding_cross_attention.'),
            plain(r'queries\.queries', decoder + 'output_position_encodings.position_embeddings'),
            *module(r'decoder\.output', decoder + 'final_layer'),
            *[Rule(rf'head\.fc\.{kind}', [f'{decoder}final_layer.{kind}']) for kind in ('weight', 'bias')],
            plain(r'inputs\.embedding\.weight', pre + 'embeddings.weight'),
            plain(r'inputs\.positions', pre + 'position_embeddings.weight'),
            plain(r'inputs\.position\.table\.grid', pre + 'position_embeddings.position_embeddings', as_shaped),
            *module(r'inputs\.position\.project', pre + 'positions_projection'),
            *module(r'inputs\.features\.project', pre + 'conv_after_patches'),
            *stem_rules(model, pre),
        ]
        return rules

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        drop = {}
        if not is_classifier(model) and isinstance(cls.perceiver_of(model).decoder.output, nn.Identity):
            drop[r'perceiver\.decoder\.decoder\.final_layer\..*'] = 'a backbone has no classifier'
        return drop


def decoder_of(state: Mapping[str, Tensor]) -> str:
    """Where a file keeps its one cross-attending decoder: wrapped, or not (texts)."""
    end = 'decoding_cross_attention.layernorm.weight'
    return next((name.removesuffix(end) for name in state if name.endswith(end)), 'perceiver.decoder.decoder.')


def stem_rules(model: nn.Module, pre: str) -> list[Rule]:
    """The convolution of kernel 1, or that of 7 with its norm."""
    return [
        Rule(BODY + r'inputs\.features\.norm\.(.*)', [pre + r'convnet.batchnorm.\1']),
        Rule(BODY + r'inputs\.features\.conv\.bias', [pre + 'convnet_1x1.bias']),
        Rule(
            BODY + r'inputs\.features\.conv\.weight',
            [pre + ('convnet_1x1' if has(model, 'inputs.features.conv.bias') else 'convnet.conv') + '.weight'],
        ),
    ]


def has(model: nn.Module, name: str) -> bool:
    """Whether a Perceiver, alone or as a backbone, has a parameter of that name."""
    return bool({name, f'backbone.{name}'} & {key for key, _ in model.named_parameters()})
