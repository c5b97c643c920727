"""Published weights of Perceiver IO: files with the names of transformers, and the authors' arrays (Haiku) as npz.

The authors' files are pickles of Haiku's trees, which could run code: whoever trusts them writes their arrays out once,
see README of configs/perceiver_io. Names are modules and parameters joined by slashes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from ..registry import WEIGHT_LAYOUTS
from ..weights.keys import Make, Rule
from ..weights.layout import WeightLayout, is_classifier
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

    def cross(self, ours: str, theirs: 'Place') -> list[Rule]:
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

    def itself(self, ours: str, theirs: 'Place') -> list[Rule]:
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

    def _rules(self, ours: str, theirs: 'Place', named: list[tuple]) -> list[Rule]:
        return [
            Rule(f'{ours}{re.escape(place)}\\.{kind}', self._names(theirs, [module], word))
            for place, module, words in named
            for kind, word in zip(('weight', 'bias'), words)
        ]

    def _names(self, theirs: 'Place', modules: list[str], word: str) -> list[str] | Callable:
        ends = [self.joint.join((module, word)) for module in modules]
        if callable(theirs):
            return lambda match: [theirs(match) + end for end in ends]
        return [theirs + end for end in ends]

    def _fused(self, ours: str, theirs: 'Place', attn: str) -> list[Rule]:
        modules = [self.query, self.key, self.value]
        return [
            Rule(f'{ours}{re.escape(attn)}\\.in_proj_{kind}', self._names(theirs, modules, word), joined=True)
            for kind, word in zip(('weight', 'bias'), self.linear)
        ]


Place = str | Callable[[re.Match], str]  # what stands before the names of a layer; may use the groups of ours
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
    def fits(cls, model: nn.Module) -> bool:
        return cls.perceiver_of(model) is not None

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
            *multimodal_rules(pre),
            Rule('bias', ['embedding_decoder.bias']),
        ]
        return rules

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        drop = {}
        if not is_classifier(model) and isinstance(cls.perceiver_of(model).decoder.output, nn.Identity):
            drop[r'perceiver\.decoder\.decoder\.final_layer\..*'] = 'a backbone has no classifier'
        return drop


def multimodal_rules(pre: str) -> list[Rule]:
    """The learned vectors behind the elements of each modality, and what is asked of them."""
    decoder = 'perceiver.decoder.'
    return [
        Rule(BODY + r'inputs\.padding\.(\w+)', [pre + r'padding.\1'], as_shaped),
        Rule(BODY + r'inputs\.mask_tokens\.(\w+)', [pre + r'mask.\1'], as_shaped),
        Rule(BODY + r'queries\.padding\.(\w+)', [decoder + r'padding.\1'], as_shaped),
        Rule(
            BODY + r'queries\.parts\.(\w+)\.queries',
            [decoder + r'modalities.\1.decoder.output_position_encodings.position_embeddings'],
        ),
        Rule(r'heads\.(\w+)\.(weight|bias)', [r'perceiver.output_postprocessor.modalities.\1.classifier.\2']),
    ]


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


HAIKU = Words(
    norm_q='layer_norm',
    norm_kv='layer_norm_1',
    query='attention/linear',
    key='attention/linear_1',
    value='attention/linear_2',
    out='attention/linear_3',
    norm_mlp='layer_norm_2',
    norm_mlp_self='layer_norm_1',
    fc1='mlp/linear',
    fc2='mlp/linear_1',
    norm=('scale', 'offset'),
    linear=('w', 'b'),
    joint='/',
)
TREES = ('params/', 'state/')  # what may stand before all names
ENCODERS = ('perceiver_encoder/~/', 'encoder/~/')  # the second of the auto-encoder
DECODERS = ('classification_decoder/~/', 'flow_decoder/~/', 'multimodal_decoder/~/', '')
LATENTS = 'trainable_position_encoding/pos_embs'
PLACES = 'image_preprocessor/~_build_network_inputs/'
HEADS = dict(image='projection', label='classification', audio='audio')
DOWNSAMPLE = 'image_preprocessor/~/conv2_d_downsample/~/'


@WEIGHT_LAYOUTS.register_module(name='perceiver-haiku')
class HaikuPerceiverLayout(PerceiverLayout):
    """The authors' arrays: ImageNet in three forms, masked bytes, flow, auto-encoder. They were trained with GELU with
    tanh, and are for models that say so."""

    @staticmethod
    def matches(keys: set[str]) -> bool:
        bare = {without_tree(key) for key in keys}
        return any(f'{encoder}cross_attention/layer_norm/scale' in bare for encoder in ENCODERS)

    @classmethod
    def refuse(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        part = cls.perceiver_of(model)
        if part.encoder.gelu == 'tanh':
            return {}
        return {'gelu': "the files were trained with GELU with tanh; write gelu='tanh' into encoder and decoder"}

    @classmethod
    def named(cls, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Kernels as torch has them, no axes of length one at norms of maps."""
        made = {}
        for name, tensor in state.items():
            if name.endswith('/w'):
                tensor = tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor.t()
            made[without_tree(name)] = tensor.flatten() if '/batchnorm/' in name else tensor.contiguous()
        return made

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        encoder = first(state, ENCODERS, 'cross_attention/layer_norm/scale')
        decoder = first(state, DECODERS, 'basic_decoder/cross_attention/layer_norm/scale') + 'basic_decoder/'
        convolution = has(model, 'inputs.features.conv.bias')
        stem = 'image_preprocessor/~/conv2_d/' if convolution else f'{DOWNSAMPLE}conv/'
        return [
            plain(r'encoder\.latents', encoder + LATENTS),
            *HAIKU.cross(BODY + r'encoder\.cross_attends\.0\.', encoder + 'cross_attention/'),
            *HAIKU.itself(BODY + r'encoder\.blocks\.0\.(\d+)\.', lambda match: encoder + numbered(match[1])),
            *HAIKU.cross(BODY + r'decoder\.cross_attend\.', decoder + 'cross_attention/'),
            plain(r'queries\.queries', f'{decoder}~/{LATENTS}'),
            *haiku_module(BODY + r'decoder\.output', decoder + 'output'),
            *haiku_module(r'head\.fc', decoder + 'output'),
            plain(r'inputs\.embedding\.weight', 'embed/embeddings'),
            plain(r'inputs\.positions', LATENTS),
            plain(r'inputs\.position\.table\.grid', PLACES + LATENTS, as_shaped),
            *haiku_module(BODY + r'inputs\.position\.project', PLACES + 'position_encoding_projector/linear'),
            *haiku_module(BODY + r'inputs\.features\.project', 'image_preprocessor/patches_linear'),
            Rule(BODY + r'inputs\.features\.conv\.weight', [stem + 'w']),
            Rule(BODY + r'inputs\.features\.conv\.bias', [stem + 'b']),
            *[
                Rule(BODY + rf'inputs\.features\.norm\.{ours}', [f'{DOWNSAMPLE}batchnorm/{theirs}'])
                for ours, theirs in (
                    ('weight', 'scale'),
                    ('bias', 'offset'),
                    ('running_mean', '~/mean_ema/average'),
                    ('running_var', '~/var_ema/average'),
                )
            ],
            Rule(BODY + r'inputs\.padding\.(\w+)', [r'multimodal_preprocessor/\1_padding/pos_embs'], as_shaped),
            Rule(BODY + r'inputs\.mask_tokens\.(\w+)', [r'multimodal_preprocessor/\1_mask_token/pos_embs'], as_shaped),
            Rule(
                BODY + r'queries\.padding\.(\w+)', [r'multimodal_decoder/~decoder_query/\1_padding/pos_embs'], as_shaped
            ),
            plain(r'queries\.parts\.label\.queries', f'classification_decoder/~/basic_decoder/~/{LATENTS}'),
            *[
                rule
                for name, theirs in HEADS.items()
                for rule in haiku_module(rf'heads\.{name}', f'{theirs}_postprocessor/linear')
            ],
            Rule('bias', ['embedding_decoder/bias']),
        ]

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        drop = {r'.*_ema/(counter|hidden)': 'what a moving average is made of'}
        if not is_classifier(model) and isinstance(cls.perceiver_of(model).decoder.output, nn.Identity):
            drop[r'classification_decoder/~/basic_decoder/output/[wb]'] = 'a backbone has no classifier'
        return drop


def without_tree(name: str) -> str:
    """A name without the tree that it is of."""
    return next((name.removeprefix(tree) for tree in TREES if name.startswith(tree)), name)


def first(state: Mapping[str, Tensor], starts: tuple[str, ...], end: str) -> str:
    return next((start for start in starts if start + end in state), starts[0])


def numbered(index: str) -> str:
    """Haiku's name of the n-th module of a kind."""
    return 'self_attention/' if index == '0' else f'self_attention_{index}/'


def haiku_module(ours: str, theirs: str) -> list[Rule]:
    """Weight and bias of a linear layer; ``ours`` is a pattern."""
    return [Rule(rf'{ours}\.{kind}', [f'{theirs}/{word}']) for kind, word in (('weight', 'w'), ('bias', 'b'))]
