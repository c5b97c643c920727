"""Published visual tokenizers of BEiT v2 (microsoft/unilm): the whole VQ-KD, or its tokenizer alone."""

from collections.abc import Mapping

import torch
from torch import Size, Tensor, nn

from ...layers.position import resize_grid
from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule, reshaped
from ...weights.layout import WeightLayout
from .model import VQKD
from .tokenizer import VqkdCodes

# Ours -> theirs, of a ViT, and within its blocks.
VIT = {r'patch_embed\.proj\.(weight|bias)': r'patch_embed.proj.\1', r'norm\.(weight|bias)': r'fc_norm.\1'}
BLOCK = {
    r'attn\.norm\.(weight|bias)': r'norm1.\2',
    r'mlp\.norm\.(weight|bias)': r'norm2.\2',
    r'attn\.part\.in_proj_weight': r'attn.qkv.weight',
    r'attn\.part\.(q_bias|v_bias)': r'attn.\2',
    r'attn\.part\.out_proj\.(weight|bias)': r'attn.proj.\2',
    r'mlp\.part\.(fc1|fc2)\.(weight|bias)': r'mlp.\2.\3',
}


def class_place(table: Tensor, shape: Size) -> Tensor:
    """The first of 1 1+N C positions."""
    return table[0, 0].clone()


def places(table: Tensor, shape: Size) -> Tensor:
    """The others, resized for another size of images."""
    side = round((table.shape[1] - 1) ** 0.5)
    return resize_grid(table[0, 1:].unflatten(0, (side, side)), shape[:-1])


def yes(tensor: Tensor, shape: Size) -> Tensor:
    return torch.ones(shape, dtype=torch.bool)


def vit_rules(ours: str, theirs: str) -> list[Rule]:
    """One of the two ViTs of a file."""
    table = [f'{theirs}pos_embed']
    return [
        Rule(ours + 'class_token', [f'{theirs}cls_token'], reshaped),
        Rule(ours + 'class_position', table, class_place),
        Rule(ours + r'position\.grid', table, places),
        *[Rule(ours + name, [theirs + word]) for name, word in VIT.items()],
        *[Rule(ours + r'blocks\.(\d+)\.' + name, [theirs + r'blocks.\1.' + word]) for name, word in BLOCK.items()],
    ]


@WEIGHT_LAYOUTS.register_module(name='vqkd')
class VqkdLayout(WeightLayout):
    """The files `vqkd_encoder_base_decoder_{1,3}x768x12_{clip,dino}`."""

    model, papers = (VQKD, VqkdCodes), ('vqkd',)

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return {'quantize.embedding.weight', 'encode_task_layer.0.weight'} <= keys

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        start = r'tokenizer\.' if isinstance(model, VQKD) else ''
        return [
            Rule(start + r'codebook\.codes', ['quantize.embedding.weight']),
            Rule(start + r'codebook\.usage', ['quantize.cluster_size']),
            Rule(start + r'codebook\.started', ['quantize.embedding.weight'], yes),
            Rule(start + r'task_layer\.([02]\.\w+)', [r'encode_task_layer.\1']),
            Rule(r'task_layer\.([02]\.\w+)', [r'decode_task_layer.\1']),
            *vit_rules(start + r'encoder\.', 'encoder.'),
            *vit_rules(r'decoder\.', 'decoder.'),
        ]

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        drop = {
            r'quantize\.embedding\.(initted|cluster_size|embed_avg)': 'of an update that the authors do not use',
            r'(teacher_model|scaling_layer)\..*': 'the teacher has a file of its own',
        }
        if not isinstance(model, VQKD):
            drop[r'(decoder|decode_task_layer)\..*'] = 'these are the codes alone'
        return drop

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        return {r'teacher\..*': 'the teacher has a file of its own'}

    @classmethod
    def built(cls, model: nn.Module) -> Mapping[str, int]:
        tokenizer = model.tokenizer if isinstance(model, VQKD) else model
        built = dict(n_code=tokenizer.num_codes, code_dim=tokenizer.codebook.dims)
        return built | (dict(teacher_dims=model.teacher.out_dims) if isinstance(model, VQKD) else {})

    @classmethod
    def shown(cls, state: Mapping[str, Tensor]) -> Mapping[str, int]:
        codes, last = state['quantize.embedding.weight'], state.get('decode_task_layer.2.weight')
        shown = dict(n_code=codes.shape[0], code_dim=codes.shape[1])
        return shown if last is None else dict(shown, teacher_dims=last.shape[0])
