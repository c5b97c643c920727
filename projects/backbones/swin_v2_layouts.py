"""Published weights of Swin v2: the official classifiers and their SimMIM pre-training, timm's, transformers'."""

import re
from collections.abc import Mapping

from torch import Tensor

from ..registry import WEIGHT_LAYOUTS
from ..weights.keys import Rule
from ..weights.layout import WeightLayout
from .checkpoint import merges_first, swin_fresh
from .swin_v2 import SwinV2

HF = (
    # a tensor within a block: ours, transformers'
    (r'attn\.proj\.(weight|bias)', r'attention.output.dense.\3'),
    (r'attn\.cpb_mlp\.(.*)', r'attention.self.continuous_position_bias_mlp.\3'),
    (r'attn\.logit_scale', 'attention.self.logit_scale'),
    (r'attn\.q_bias', 'attention.self.query.bias'),
    (r'attn\.v_bias', 'attention.self.value.bias'),
    (r'norm1\.(weight|bias)', r'layernorm_before.\3'),
    (r'norm2\.(weight|bias)', r'layernorm_after.\3'),
    (r'mlp\.fc1\.(weight|bias)', r'intermediate.dense.\3'),
    (r'mlp\.fc2\.(weight|bias)', r'output.dense.\3'),
)


@WEIGHT_LAYOUTS.register_module(name='swin-v2')
class SwinV2Layout(WeightLayout):
    """microsoft/Swin-Transformer, timm (a stage begins with the merging that ends ours), SimMIM (``encoder.``, whose
    decoder is dropped). A dense model's last norm is the classifier's; the others stay as initialised."""

    papers = ('swin_v2',)
    model, part, head = SwinV2, 'backbone', r'head\..*'

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return any(re.fullmatch(r'(encoder\.)?layers\.0\.blocks\.0\.attn\.logit_scale', key) for key in keys)

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: SwinV2) -> list[Rule]:
        prefix = prefix_of(state)
        later = merges_first({name.removeprefix(prefix) for name in state})
        merging = r'layers\.(\d+)\.downsample\.(.*)'
        return [
            Rule(merging, lambda m: [f'{prefix}layers.{int(m[1]) + later}.downsample.{m[2]}']),
            Rule(rf'norm{len(model.depths) - 1}\.(weight|bias)', [prefix + r'norm.\1']),
            Rule('.*', [prefix + r'\g<0>']),
        ]

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: SwinV2) -> dict[str, str]:
        drop = {
            r'.*\.(relative_position_index|relative_coords_table|attn_mask)': 'computed',
            r'(encoder\.)?mask_token|decoder\..*': 'of pre-training',
        }
        last = len(model.layers) - 1
        built = len(model.depths) - 1
        if last < built:
            drop[rf'(encoder\.)?(layers\.({"|".join(map(str, range(last + 1, built + 1)))})\..*|norm\..*)'] = (
                'its stage is not built (out_indices)'
            )
            drop[rf'(encoder\.)?layers\.{last}\.downsample\..*'] = 'its stage is not built (out_indices)'
        elif last not in model.out_indices:
            drop[r'(encoder\.)?norm\..*'] = 'the last stage is no output'
        return drop

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: SwinV2) -> dict[str, str]:
        return swin_fresh(model)


def prefix_of(state: Mapping[str, Tensor]) -> str:
    return 'encoder.' if any(name.startswith('encoder.') for name in state) else ''


@WEIGHT_LAYOUTS.register_module(name='transformers-swin-v2')
class TransformersSwinV2Layout(WeightLayout):
    """transformers' `Swinv2Model` and what is built on it."""

    papers = ('swin_v2',)
    model, part, head = SwinV2, 'backbone', r'classifier\..*'

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return any(key.endswith('attention.self.continuous_position_bias_mlp.0.weight') for key in keys)

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: SwinV2) -> list[Rule]:
        prefix = 'swinv2.' if any(name.startswith('swinv2.') for name in state) else ''
        layers, ours = prefix + r'encoder.layers.\1.', r'layers\.(\d+)\.blocks\.(\d+)\.'
        block = layers + r'blocks.\2.'
        query_key_value = [f'{block}attention.self.{each}.weight' for each in ('query', 'key', 'value')]
        return [
            *[Rule(ours + name, [block + theirs]) for name, theirs in HF],
            Rule(ours + r'attn\.qkv\.weight', query_key_value, joined=True),
            Rule(r'layers\.(\d+)\.downsample\.(.*)', [layers + r'downsample.\2']),
            Rule(r'patch_embed\.proj\.(.*)', [prefix + r'embeddings.patch_embeddings.projection.\1']),
            Rule(r'patch_embed\.norm\.(.*)', [prefix + r'embeddings.norm.\1']),
            Rule(rf'norm{len(model.depths) - 1}\.(weight|bias)', [prefix + r'layernorm.\1']),
        ]

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: SwinV2) -> dict[str, str]:
        return {r'.*\.(relative_position_index|relative_coords_table)': 'computed', '.*mask_token': 'of pre-training'}

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: SwinV2) -> dict[str, str]:
        return swin_fresh(model)
