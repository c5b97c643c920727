"""Published weights of ViT-Adapter's detectors and segmentors: their backbones."""

import dataclasses
from collections.abc import Mapping

from torch import Tensor

from ..registry import WEIGHT_LAYOUTS
from ..weights.keys import Rule
from ..weights.layout import WeightLayout
from .vit_adapter import ViTAdapter
from .vit_layouts import ViTLayout

EXTRACTOR = (
    # ours, the official name
    (r'mlp\.conv\.(weight|bias)', r'ffn.dwconv.dwconv.\2'),
    (r'mlp\.(fc[12]\..*)', r'ffn.\2'),
    (r'mlp_norm\.(.*)', r'ffn_norm.\2'),
    (r'value_norm\.(.*)', r'feat_norm.\2'),
    ('(.*)', r'\2'),
)


@WEIGHT_LAYOUTS.register_module(name='vit-adapter')
class ViTAdapterLayout(WeightLayout):
    """czczup/ViT-Adapter, detection and segmentation, ViT and BEiT. A file does not say which of the two outputs it was
    trained for: ``add_vit='last'`` for detectors, 'each' for segmentors."""

    papers = ('vit_adapter',)
    model, part, head = (
        ViTAdapter,
        'backbone',
        r'(neck|decode_head|auxiliary_head|rpn_head|roi_head|bbox_head|head)\..*',
    )

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return any(key.endswith('spm.stem.0.weight') for key in keys)

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: ViTAdapter) -> list[Rule]:
        prefix = prefix_of(state)
        inside = [
            dataclasses.replace(rule, ours=r'vit\.' + rule.ours)
            for rule in ViTLayout.rules(transformer(state, prefix), model.vit)
        ]
        last = len(model.extractors) - 1
        norm = r'\.(weight|bias|running_mean|running_var|num_batches_tracked)'
        stem = {str(i): (3 * i, 3 * i + 1) for i in range(3)}
        rules = [
            *inside,
            Rule(r'prior\.stem\.(\d)\.conv\.weight', lambda m: [f'{prefix}spm.stem.{stem[m[1]][0]}.weight']),
            Rule(r'prior\.stem\.(\d)\.bn' + norm, lambda m: [f'{prefix}spm.stem.{stem[m[1]][1]}.{m[2]}']),
            Rule(r'prior\.convs\.(\d)\.conv\.weight', lambda m: [f'{prefix}spm.conv{int(m[1]) + 2}.0.weight']),
            Rule(r'prior\.convs\.(\d)\.bn' + norm, lambda m: [f'{prefix}spm.conv{int(m[1]) + 2}.1.{m[2]}']),
            Rule(r'prior\.projections\.(\d)\.(.*)', lambda m: [f'{prefix}spm.fc{int(m[1]) + 1}.{m[2]}']),
            Rule(r'norms\.(\d)' + norm, lambda m: [f'{prefix}norm{int(m[1]) + 1}.{m[2]}']),
            Rule(r'injectors\.(\d+)\.value_norm\.(.*)', [prefix + r'interactions.\1.injector.feat_norm.\2']),
            Rule(r'injectors\.(\d+)\.(.*)', [prefix + r'interactions.\1.injector.\2']),
        ]
        for ours, theirs in EXTRACTOR:
            extra = prefix + rf'interactions.{last}.extra_extractors.\1.' + theirs
            rules.append(Rule(r'extractors\.(\d+)\.' + ours, [prefix + r'interactions.\1.extractor.' + theirs]))
            rules.append(Rule(r'extra\.(\d+)\.' + ours, [extra]))
        return [*rules, Rule('.*', [prefix + r'\g<0>'])]

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: ViTAdapter) -> dict[str, str]:
        return {**ViTLayout.drop(state, model.vit), r'(.*\.)?(norm|fc_norm)\.(weight|bias)': 'nothing reads it'}

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: ViTAdapter) -> dict[str, str]:
        return {r'.*num_batches_tracked': 'old files lack this counter'}

    @classmethod
    def refuse(cls, state: Mapping[str, Tensor], model: ViTAdapter) -> dict[str, str]:
        return ViTLayout.refuse(transformer(state, prefix_of(state)), model.vit)


def prefix_of(state: Mapping[str, Tensor]) -> str:
    end = 'spm.stem.0.weight'
    return next(name.removesuffix(end) for name in state if name.endswith(end))


def transformer(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """What belongs to the plain transformer."""
    parts = tuple(prefix + each for each in ('blocks.', 'patch_embed.', 'pos_embed', 'cls_token', 'rel_pos_bias'))
    return {name: tensor for name, tensor in state.items() if name.startswith(parts)}
