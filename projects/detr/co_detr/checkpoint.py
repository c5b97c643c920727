"""The official checkpoints of Co-DETR: Co-Deformable-DETR and Co-DINO, with the heads that only train.

Their classes are COCO's 80. The embedding of a head is one number there, which stands for all channels.
"""

import re
from collections.abc import Mapping

from torch import Size, Tensor, nn

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Make, Rule
from ...weights.layout import WeightLayout
from ..detector import QueryDetector
from ..official import advice
from .group import Collaborative

HEAD, NET = 'query_head', 'query_head.transformer'
LAYERS = [
    Rule(r'encoder\.level_embed', [f'{NET}.level_embeds']),
    Rule(r'((?:en|de)coder\.layers\.\d+)\.ffn\.0\.(\w+)', [rf'{NET}.\1.ffns.0.layers.0.0.\2']),
    Rule(r'((?:en|de)coder\.layers\.\d+)\.ffn\.3\.(\w+)', [rf'{NET}.\1.ffns.0.layers.1.\2']),
    Rule(r'(encoder\.layers\.\d+)\.self_attn\.(.*)', [rf'{NET}.\1.attentions.0.\2']),
    Rule(r'(encoder\.layers\.\d+)\.norm_attn\.(\w+)', [rf'{NET}.\1.norms.0.\2']),
    Rule(r'(encoder\.layers\.\d+)\.norm_ffn\.(\w+)', [rf'{NET}.\1.norms.1.\2']),
    Rule(r'(decoder\.layers\.\d+)\.self_attn\.(.*)', [rf'{NET}.\1.attentions.0.attn.\2']),
    Rule(r'(decoder\.layers\.\d+)\.cross_attn\.attn\.(.*)', [rf'{NET}.\1.attentions.1.\2']),
    Rule(r'(decoder\.layers\.\d+)\.norm_self\.(\w+)', [rf'{NET}.\1.norms.0.\2']),
    Rule(r'(decoder\.layers\.\d+)\.norm_cross\.(\w+)', [rf'{NET}.\1.norms.1.\2']),
    Rule(r'(decoder\.layers\.\d+)\.norm_ffn\.(\w+)', [rf'{NET}.\1.norms.2.\2']),
    Rule(r'decoder\.norm\.(\w+)', [rf'{NET}.decoder.norm.\1']),
    Rule(r'decoder\.position\.net\.(\d+\.\w+)', [rf'{NET}.decoder.ref_point_head.\1']),
    Rule(r'queries\.output\.(\w+)', [rf'{NET}.enc_output.\1']),
    Rule(r'queries\.output_norm\.(\w+)', [rf'{NET}.enc_output_norm.\1']),
    Rule(r'queries\.embed\.(\w+)', [rf'{NET}.pos_trans.\1']),
    Rule(r'queries\.embed_norm\.(\w+)', [rf'{NET}.pos_trans_norm.\1']),
    Rule(r'groups\.\d+\.label_embed\.weight', [f'{HEAD}.label_embedding.weight']),
    Rule(r'groups\.\d+\.downsample\.(.*)', [rf'{HEAD}.downsample.\1']),
    Rule(r'groups\.\d+\.embeddings\.(\d+)\.box\.(\w+)', [rf'{NET}.aux_pos_trans.\1.\2']),
    Rule(r'groups\.\d+\.embeddings\.(\d+)\.box_norm\.(\w+)', [rf'{NET}.aux_pos_trans_norm.\1.\2']),
    Rule(r'groups\.\d+\.embeddings\.(\d+)\.feature\.(\w+)', [rf'{NET}.pos_feats_trans.\1.\2']),
    Rule(r'groups\.\d+\.embeddings\.(\d+)\.feature_norm\.(\w+)', [rf'{NET}.pos_feats_norm.\1.\2']),
]
TRAINING_ONLY = {
    (
        rf'(rpn_head|roi_head|bbox_head|{HEAD}\.downsample|{NET}\.(aux_pos|pos_feats|head_pos)_\w+)\..*'
    ): 'the model has no collaborative heads',
    rf'{HEAD}\.label_embedding\.weight': 'the model has no denoising group',
}


@WEIGHT_LAYOUTS.register_module(name='co-detr')
class CoDETRLayout(WeightLayout):
    """Sense-X/Co-DETR, and the port of it in mmdetection: Co-Deformable-DETR and Co-DINO."""

    papers = ('co_detr',)
    model = QueryDetector

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return f'{NET}.level_embeds' in keys

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        reads_boxes = getattr(model.queries, 'embed', None) is not None
        content = f'{HEAD}.query_embedding' if reads_boxes else f'{NET}.query_embed'
        rules = (
            LAYERS + branch_rules(model.decoder.num_layers) + [Rule(r'queries\.content\.weight', [f'{content}.weight'])]
        )
        for index, group in collaborative(model).items():
            rules += collaborator_rules(index, group)
        return rules

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return {} if collaborative(model) else TRAINING_ONLY

    @classmethod
    def advise(cls, model: nn.Module) -> dict[str, str]:
        return advice(model)


def collaborative(model: nn.Module) -> dict[int, Collaborative]:
    """The groups with collaborative heads, by their number."""
    return {index: group for index, group in enumerate(model.groups) if isinstance(group, Collaborative)}


def branch_rules(num_layers: int) -> list[Rule]:
    """Branches of the decoder layers, then that of the proposals; theirs number the activations too."""

    def box(match: re.Match) -> list[str]:
        layer, linear, kind = match[1] or num_layers, 2 * int(match[2]), match[3]
        return [f'{HEAD}.reg_branches.{layer}.{linear}.{kind}']

    return [
        Rule(r'head\.class_branches\.(\d+\.\w+)', [rf'{HEAD}.cls_branches.\1']),
        Rule(r'queries\.class_branch\.(\w+)', [rf'{HEAD}.cls_branches.{num_layers}.\1']),
        Rule(r'(?:head\.box_branches\.(\d+)|queries\.box_branch)\.layers\.(\d+)\.(\w+)', box),
    ]


def collaborator_rules(index: int, group: Collaborative) -> list[Rule]:
    """Heads, which are numbered by their kind there, and their embeddings."""
    rules, regions, dense = [], 0, 0
    for number, head in enumerate(group.heads):
        ours = rf'groups\.{index}\.heads\.{number}\.'
        if hasattr(head, 'roi_head'):
            rules += [
                Rule(ours + r'(rpn_head\..*)', [r'\1']),
                Rule(ours + r'roi_head\.(.*)', [rf'roi_head.{regions}.\1']),
            ]
            regions += 1
        else:
            rules.append(Rule(ours + r'head\.(.*)', [rf'bbox_head.{dense}.\1']))
            dense += 1
        rules.append(
            Rule(rf'groups\.{index}\.embeddings\.{number}\.head', [f'{NET}.head_pos_embed.weight'], row(number))
        )
    return rules


def row(number: int) -> Make:
    """One row, its one number repeated where we have more."""

    def make(tensor: Tensor, shape: Size) -> Tensor:
        return tensor[number : number + 1].expand(shape).clone()

    return make
