"""Published weights of BEiT-3 (microsoft/unilm): base and large, pre-trained and of every task."""

from collections.abc import Mapping

import torch
from torch import Size, Tensor, nn

from ...layers.position import resize_grid
from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule, reshaped
from ...weights.layout import WeightLayout, not_for
from ..model import MultimodalModel
from .encoder import SKIPPED, MultiwayFusion

WAYS = {'image': 'A', 'text': 'B'}
LAYER = r'beit3.encoder.layers.\1.'
FRONT = SKIPPED + 1  # rows before those of the patches


def image_rows(table: Tensor, shape: Size) -> Tensor:
    """Image positions for another size of images: the first rows stay, those of the patches are resized."""
    if len(table) == shape[0]:
        return table
    old, new = (round((rows - FRONT) ** 0.5) for rows in (len(table), shape[0]))
    if old * old != len(table) - FRONT:
        raise ValueError(f'a table of {len(table)} rows: {len(table) - FRONT} patches are no square')
    grid = resize_grid(table[FRONT:].unflatten(0, (old, old)), (new, new))
    return torch.cat([table[:FRONT], grid.flatten(0, 1)])


@WEIGHT_LAYOUTS.register_module(name='beit3')
class Beit3Layout(WeightLayout):
    """BEiT-3 as published: the core alone, or with the heads of a task."""

    model, papers = MultimodalModel, ('beit3',)

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return 'beit3.vision_embed.cls_token' in keys

    @classmethod
    def refuse(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        if not isinstance(model.fusion, MultiwayFusion):
            return {'the model': not_for(model.fusion, MultiwayFusion)}
        return {}

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        rules = [
            Rule(r'towers\.image\.class_token', ['beit3.vision_embed.cls_token'], reshaped),
            Rule(r'towers\.image\.mask_token', ['beit3.vision_embed.mask_token'], reshaped),
            Rule(r'towers\.image\.patch_embed\.proj\.(weight|bias)', [r'beit3.vision_embed.proj.\1']),
            Rule(r'towers\.text\.words\.weight', ['beit3.text_embed.weight']),
            Rule(r'fusion\.positions\.image', ['beit3.encoder.embed_positions.A.weight'], image_rows),
            Rule(r'fusion\.positions\.text', ['beit3.encoder.embed_positions.B.weight']),
            Rule(r'projections\.image\.weight', ['vision_head.weight']),
            Rule(r'projections\.text\.weight', ['language_head.weight']),
            Rule(r'objectives\.contrastive\.scale\.log_scale', ['logit_scale']),
            Rule(r'(decoder\.head|objectives\.masked\.word_head)\.(weight|bias)', [r'mlm_head.\2']),
            Rule(r'objectives\.masked\.patch_head\.(weight|bias)', [r'mim_head.\1']),
            *head_rules(model),
        ]
        start = r'fusion\.blocks\.(\d+)\.'
        for name, way in WAYS.items():
            for kind in ('weight', 'bias'):
                each = [f'{LAYER}self_attn.{letter}_proj.{way}.{kind}' for letter in 'qkv']
                rules.append(Rule(rf'{start}attn\.in_proj\.{name}\.{kind}', each, joined=True))
                pairs = {
                    rf'attn\.inner_norm\.{name}': f'self_attn.inner_attn_ln.{way}',
                    rf'attn\.out_proj\.{name}': f'self_attn.out_proj.{way}',
                    rf'attn_norm\.{name}': f'self_attn_layer_norm.{way}',
                    rf'mlp_norm\.{name}': f'final_layer_norm.{way}',
                    rf'mlp\.{name}\.fc1': f'ffn.{way}.fc1',
                    rf'mlp\.{name}\.norm': f'ffn.{way}.ffn_layernorm',
                    rf'mlp\.{name}\.fc2': f'ffn.{way}.fc2',
                }
                rules += [
                    Rule(rf'{start}{ours}\.{kind}', [f'{LAYER}{theirs}.{kind}']) for ours, theirs in pairs.items()
                ]
                rules.append(Rule(rf'fusion\.norm\.{name}\.{kind}', [f'beit3.encoder.layer_norm.{way}.{kind}']))
        return rules

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        drop = {}
        if 'text' not in model.fusion.experts:
            drop[r'beit3\.(text_embed\.weight|encoder\..*\.B\..*)'] = 'this model reads no texts'
        if model.fusion.norm is None:
            drop[r'beit3\.encoder\.layer_norm\..*'] = 'this model has no last norm'
        if model.decoder is None and 'masked' not in model.objectives:
            drop[r'mlm_head\..*'] = 'this model writes no texts'
        if 'masked' not in model.objectives:
            drop[r'mim_head\..*'] = 'of pre-training'
        if 'contrastive' not in model.objectives:
            drop[r'logit_scale|(vision|language)_head\..*'] = 'this model has no joint space'
        return drop

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        fresh = {
            r'objectives\..*\.steps': 'counts steps',
            r'objectives\.masked\.codes\..*': 'the visual tokens have a file of their own',
        }
        heads = ('head.', 'mlm_head.', 'vision_head.', 'pooler.', 'fc_norm.')
        if not any(name.startswith(heads) for name in state):
            fresh[r'objectives\..*|decoder\..*|projections\..*'] = 'the file is the core alone: heads begin anew'
        return fresh


def head_rules(model: nn.Module) -> list[Rule]:
    """Of the heads of VQA, NLVR2 and ImageNet, whose places depend on what stands in them."""
    if 'answers' in model.objectives:
        names = ['pooler.norm', 'pooler.dense', None, 'head.0', 'head.1', None, 'head.3']
        objective = 'answers'
    elif 'reasoning' in model.objectives:
        names, objective = ['head.norm1', 'head.dense1', 'head.norm2', None, 'head.dense2'], 'reasoning'
    elif 'classes' in model.objectives:
        names, objective = ['fc_norm', 'head'], 'classes'
    else:
        return []
    return [
        Rule(rf'objectives\.{objective}\.head\.{index}\.(weight|bias)', [name + r'.\1'])
        for index, name in enumerate(names)
        if name
    ]
