"""Published weights of ONE-PEACE (OFA-Sys/ONE-PEACE): the pre-training model and those of tasks; the vision branch as
exported, and with a head for ImageNet."""

import math
import re
from collections.abc import Mapping
from functools import partial

import torch
from torch import Size, Tensor, nn

from ...layers.position import resize_grid
from ...layers.relative_bias import resize_table
from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule, reshaped
from ...weights.layout import WeightLayout, not_for
from ..model import MultimodalModel
from ..objectives.classes import JointReader, PairReasoning
from .encoder import SharedFusion

MODALITIES = ('image', 'text', 'audio')
# Parts of an attention with norms inside, ours -> theirs.
SHARED = {
    r'attn_scale()': 'gamma_1',
    r'mlp_scale()': 'gamma_2',
    r'attn\.part\.inner_norm\.(weight|bias)': r'self_attn.ln.\2',
    r'attn\.part\.out_proj\.(weight|bias)': r'self_attn.out_proj.\2',
    r'attn\.part\.([qv])_bias': r'self_attn.\2_proj.bias',
    r'attn_norm\.part\.(weight|bias)': r'self_attn_layer_norm.\2',
    r'mlp_norm\.part\.(weight|bias)': r'final_layer_norm.\2',
}


def grid_rows(table: Tensor, shape: Size) -> Tensor:
    """Places of images of another size: those of the patches are resized bicubically, as in the official code."""
    rows = table.reshape(-1, shape[-1])
    old, new = (math.isqrt(count - 1) for count in (len(rows), shape[0]))
    return torch.cat([rows[:1], resize_grid(rows[1:].unflatten(0, (old, old)), (new, new)).flatten(0, 1)])


def offset_rows(table: Tensor, shape: Size) -> Tensor:
    """Distances of images of another size, resized bicubically; the official code goes along a geometric sequence."""
    old, new = ((math.isqrt(count - 3) + 1) // 2 for count in (len(table), shape[0]))
    return resize_table(table, (old, old), (new, new))


def layer_rules(ours: str, theirs: str) -> list[Rule]:
    """Of a stack of blocks and its last norms; ``theirs`` is what stands before ``layers``."""
    block, layer = rf'{ours}\.blocks\.(\d+)\.', rf'{theirs}layers.\1.'
    rules = [Rule(block + name, [layer + other]) for name, other in SHARED.items()]
    each = [f'{layer}self_attn.{letter}_proj.weight' for letter in 'qkv']
    rules.append(Rule(block + r'attn\.part\.in_proj_weight', each, joined=True))
    for name in MODALITIES:
        ffn = f'{layer}{name}_ffn.'
        rules += [
            Rule(rf'{block}mlp\.{name}\.fc1\.weight', [f'{ffn}0.wi_0.weight', f'{ffn}0.wi_1.weight'], joined=True),
            Rule(rf'{block}mlp\.{name}\.norm\.(weight|bias)', [ffn + r'2.\2']),
            Rule(rf'{block}mlp\.{name}\.fc2\.(weight|bias)', [ffn + r'3.\2']),
            Rule(rf'{ours}\.norm\.{name}\.(weight|bias)', [rf'{theirs}{name}_layer_norm.\1']),
        ]
    return rules


def adapter_rules(state: Mapping[str, Tensor], encoder: str) -> list[Rule]:
    """Of the three adapters; ``encoder`` is what stands before them."""
    rules = []
    for name in MODALITIES:
        adapter = f'{encoder}{name}_adapter.'
        pattern = re.escape(adapter) + r'rel_pos_table(_list\.0)?(\.weight)?'  # older files have no list
        table = next((key for key in state if re.fullmatch(pattern, key)), '')
        resize = offset_rows if name == 'image' else None
        rules += [
            Rule(rf'towers\.{name}\.class_token', [adapter + 'cls_embedding'], reshaped),
            Rule(rf'towers\.{name}\.bias\.table', [table or adapter + 'rel_pos_table_list.0.weight'], resize),
            Rule(rf'towers\.{name}\.bias\.(\d+)\.table', partial(table_of_layer, state, adapter, table), resize),
        ]
    image, text, audio = (f'{encoder}{name}_adapter.' for name in MODALITIES)
    return rules + [
        Rule(r'towers\.image\.stem\.([036])\.(weight|bias)', [image + r'embed_images.\1.\2']),
        Rule(r'towers\.image\.stem\.([14])\.(weight|bias)', [image + r'embed_images.\1.layer_norm.\2']),
        Rule(r'towers\.image\.positions', [image + 'pos_embed'], grid_rows),
        Rule(r'towers\.image\.types', [image + 'type_embedding', image + 'type_embedding_2'], reshaped, joined=True),
        Rule(r'towers\.text\.types', [text + 'type_embedding'], reshaped),
        Rule(r'towers\.text\.words\.weight', [text + 'embed_tokens.weight']),
        Rule(r'towers\.text\.positions', [text + 'embed_positions.weight']),
        Rule(r'towers\.audio\.convs\.(\d)\.0\.weight', [audio + r'embed_audios.0.conv_layers.\1.0.weight']),
        Rule(r'towers\.audio\.convs\.(\d)\.1\.(weight|bias)', [audio + r'embed_audios.0.conv_layers.\1.2.1.\2']),
        Rule(r'towers\.audio\.norm\.(weight|bias)', [audio + r'embed_audios.2.\1']),
        Rule(r'towers\.audio\.linear\.(weight|bias)', [audio + r'embed_audios.3.\1']),
        Rule(
            r'towers\.audio\.places\.(\d)\.(weight|bias)',
            lambda match: [f'{audio}embed_positions.{int(match[1]) + 1}.0.{match[2]}'],
        ),
        Rule(r'towers\.audio\.class_place', [audio + 'cls_pos_embed'], reshaped),
        Rule(r'towers\.audio\.mask_token', [audio + 'mask_embedding'], reshaped),
    ]


def table_of_layer(state: Mapping[str, Tensor], adapter: str, shared: str, match: re.Match) -> list[str]:
    """A layer's own table in a file of fine-tuning, else the one that all layers share."""
    own = f'{adapter}rel_pos_table_list.{match[1]}.weight'
    return [own if own in state else shared or own]


HEAD = ('norm', 'pooler.1', 'classifier.0', 'classifier.1', 'classifier.3')


def head_rules(name: str, reader: JointReader) -> list[Rule]:
    """Of the head of a task: a query that pools, a norm, and linear maps. Of two images the norm is before they are put
    side by side; only the answers have a pooler."""
    start, theirs = rf'objectives\.{name}\.', 'classify_head.'
    pooling, ends = theirs + 'attn_pooling_func.', r'\.(weight|bias)'
    rules = [
        Rule(start + r'pooling\.query', [pooling + 'q'], reshaped),
        Rule(start + r'pooling\.key\.weight', [pooling + 'k_proj.weight']),
        Rule(start + r'pooling\.value' + ends, [pooling + r'v_proj.\1']),
        Rule(start + r'pooling\.out' + ends, [pooling + r'out_proj.\1']),
        Rule(start + r'pooling\.norm' + ends, [theirs + r'norm.\1']),
    ]
    layers = [index for index, layer in enumerate(reader.head) if any(True for _ in layer.parameters())]
    names = {5: HEAD, 4: (HEAD[0], *HEAD[2:]), 3: HEAD[2:]}.get(len(layers), ())
    for index, official in zip(layers, names):
        last = isinstance(reader, PairReasoning) and official == HEAD[-1]
        rules.append(Rule(f'{start}head\\.{index}{ends}', [theirs + official + r'.\1'], turned if last else None))
    return rules


def turned(rows: Tensor, shape: Size) -> Tensor:
    """Of NLVR2: their class 0 is a true sentence, ours a wrong one."""
    return rows.flip(0)


class OnePeaceLayouts(WeightLayout):
    """What both have in common.

    Attributes:
        encoder, fusion: what stands before the adapters, and before the layers.
        heads: how the names of a task's head begin.
    """

    model, papers = MultimodalModel, ('one_peace',)
    encoder = fusion = ''
    heads: tuple[str, ...] = ('classify_head.',)

    @classmethod
    def refuse(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        if not isinstance(model.fusion, SharedFusion):
            return {'the model': not_for(model.fusion, SharedFusion)}
        return {}

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        return [*adapter_rules(state, cls.encoder), *layer_rules('fusion', cls.fusion)]

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        buffers = r'.*(rp_bucket|position_idx|version)'
        drop = {buffers: 'computed'}
        for name in set(MODALITIES) - set(model.towers.keys()):
            own = rf'.*{name}_(adapter|ffn|layer_norm|proj|mask_token|mask_head|embed)\b.*'
            drop[own] = f'this model has no {name}'
        return drop

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        if any(name.startswith(cls.heads) for name in state):
            return {}
        others = [name for name in model.objectives if name not in ('contrastive', 'denoising')]
        anew = {rf'objectives\.{name}\..*': 'the head of a task begins anew' for name in others}
        return {**anew, r'towers\.\w+\.types': 'types begin at zero'}


@WEIGHT_LAYOUTS.register_module(name='one_peace_vision')
class OnePeaceVision(OnePeaceLayouts):
    """The vision branch as the export script writes it, without last norm and projection; and as it is published with a
    head for ImageNet."""

    fusion, heads = 'encoder.', ('fc_norm.', 'head.')

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return 'image_adapter.cls_embedding' in keys

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        head = [
            Rule(rf'objectives\.classes\.head\.{index}\.(weight|bias)', [name + r'.\1'])
            for index, name in enumerate(('fc_norm', 'head'))
        ]
        return [*super().rules(state, model), *head]


@WEIGHT_LAYOUTS.register_module(name='one_peace')
class OnePeaceLayout(OnePeaceLayouts):
    """The pre-training model, with its decoder; a model without the objective `denoising` leaves that out. And models
    that were fine-tuned: retrieval, and what a head tells (answers, reasoning, grounding, sounds)."""

    encoder, fusion = 'encoder_wrapper.', 'encoder_wrapper.fusion_model.'

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return any(key.startswith('encoder_wrapper.fusion_model.layers.') for key in keys)

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        ours = r'objectives\.denoising\.decoder'
        rules = [
            *super().rules(state, model),
            Rule(r'projections\.(image|text|audio)\.(weight|bias)', [r'\1_proj.\2']),
            Rule(r'objectives\.contrastive\.scale\.log_scale', ['logit_scale'], reshaped),
            *layer_rules(ours, 'decoder_wrapper.fusion_model.'),
            Rule(rf'{ours}\.embed\.(image|text|audio)\.(weight|bias)', [r'decoder_\1_embed.\2']),
            Rule(rf'{ours}\.mask_tokens\.(image|text|audio)', [r'\1_mask_token'], reshaped),
            Rule(rf'{ours}\.head\.(image|text|audio)\.(weight|bias)', [r'\1_mask_head.\2']),
            Rule(rf'{ours}\.places\.image', ['decoder_wrapper.image_adapter.pos_embed'], reshaped),
            Rule(rf'{ours}\.places\.(text|audio)', [r'decoder_wrapper.\1_adapter.embed_positions.weight']),
        ]
        for name, objective in model.objectives.items():
            if isinstance(objective, JointReader):
                rules += head_rules(name, objective)
        return rules

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        drop = dict(super().drop(state, model))
        drop[r'decoder_wrapper\..*_adapter\.(cls_embedding|mask_embedding)'] = 'dead: the decoder reads the class token'
        if 'denoising' not in model.objectives:
            drop[r'decoder_.*|.*_mask_(token|head).*'] = 'of pre-training'
        if 'contrastive' not in model.objectives:
            drop['logit_scale'] = 'this model has no joint space'
        if not model.projections:
            drop[r'(image|text|audio)_proj\..*'] = 'this model has no joint space'
        return drop
