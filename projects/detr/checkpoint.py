"""The official checkpoints of DETR, Deformable DETR (four variants), H-DETR and DINO; of UP-DETR and DETReg, which
pre-train the first two and add a net that tells how an object looks.

The variant follows from the model: single-scale or not, refined or not (own branches for each decoder layer), two-stage
or not. Official class rows stand for COCO's category ids 0 to 90, of which 80 are in use; `classes='coco'` picks those,
for a model whose classes are COCO's in their usual order.
"""

import re
from collections.abc import Mapping
from itertools import product
from typing import Any

import torch
from torch import Size, Tensor, nn

from ..registry import WEIGHT_LAYOUTS
from ..weights.keys import Make, Rule, block
from .official import READ, SINES, OfficialLayout

NUM_CATEGORY_IDS = 91
COCO_IDS = [index for index in range(1, NUM_CATEGORY_IDS) if index not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]

BACKBONE = [
    Rule(r'backbone\.((?:patch_embed|layers|norm\d)\..*)', [r'backbone.0.\1']),  # Swin
    Rule(r'backbone\.(.*)', [r'backbone.0.body.\1']),  # ResNet, in a wrapper of torchvision's
]
LAYERS = [
    Rule(r'((?:en|de)coder\.layers\.\d+)\.ffn\.0\.(\w+)', [r'transformer.\1.linear1.\2']),
    Rule(r'((?:en|de)coder\.layers\.\d+)\.ffn\.3\.(\w+)', [r'transformer.\1.linear2.\2']),
    Rule(r'((?:en|de)coder\.layers\.\d+)\.self_attn\.(.*)', [r'transformer.\1.self_attn.\2']),
    Rule(r'(encoder\.layers\.\d+)\.norm_attn\.(\w+)', [r'transformer.\1.norm1.\2']),
    Rule(r'(encoder\.layers\.\d+)\.norm_ffn\.(\w+)', [r'transformer.\1.norm2.\2']),
    Rule(r'(decoder\.layers\.\d+)\.norm_ffn\.(\w+)', [r'transformer.\1.norm3.\2']),
    Rule(r'((?:en|de)coder\.norm)\.(\w+)', [r'transformer.\1.\2']),
]
DENSE_LAYERS = LAYERS + [
    Rule(r'(decoder\.layers\.\d+)\.cross_attn\.attn\.(.*)', [r'transformer.\1.multihead_attn.\2']),
    Rule(r'(decoder\.layers\.\d+)\.norm_self\.(\w+)', [r'transformer.\1.norm1.\2']),
    Rule(r'(decoder\.layers\.\d+)\.norm_cross\.(\w+)', [r'transformer.\1.norm2.\2']),
]
# Deformable DETR numbers its norms by the order in which it creates them, not in which it uses them.
DEFORMABLE_LAYERS = LAYERS + [
    Rule(r'encoder\.level_embed', ['transformer.level_embed']),
    Rule(r'(decoder\.layers\.\d+)\.cross_attn\.attn\.(.*)', [r'transformer.\1.cross_attn.\2']),
    Rule(r'(decoder\.layers\.\d+)\.norm_cross\.(\w+)', [r'transformer.\1.norm1.\2']),
    Rule(r'(decoder\.layers\.\d+)\.norm_self\.(\w+)', [r'transformer.\1.norm2.\2']),
    Rule(r'queries\.output\.(\w+)', [r'transformer.enc_output.\1']),
    Rule(r'queries\.output_norm\.(\w+)', [r'transformer.enc_output_norm.\1']),
]

INDEX = {r'backbone\.0\..*\.relative_position_index': 'computed'}
UP_DETR = {r'(patch2query|feature_align)\..*': "of UP-DETR's pre-training"}
DETREG = {r'feature_embed\..*': "of DETReg's pre-training"}
DETREG_OPTION = 'obj_embedding_head'  # which no other code that follows DETR's has


@WEIGHT_LAYOUTS.register_module(name='detr')
class DETRLayout(OfficialLayout):
    """facebookresearch/detr, R50, R101 and DC5: 92 class rows, the last for "no object". And UP-DETR and DETReg on
    DETR, pre-trained or fine-tuned; the classes of a pre-trained one mean nothing
    (`--skip 'head.class_branches.*'`)."""

    papers = ('detr', 'up_detr', 'detreg')
    options = (*READ, 'pre_norm', 'half_cell_shift')
    classes = ('coco',)

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return _any(r'transformer\.decoder\.layers\.\d+\.multihead_attn\..*', keys) and not _any(
            r'detr\..*|transformer\.decoder\.layers\.0\.point1\..*|segmentation_attention_head\..*', keys
        )

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module, classes: str | None = None) -> list[Rule]:
        return detr_rules(state, classes)

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return {**INDEX, **without_pretraining(model, {**UP_DETR, **DETREG})}

    @classmethod
    def declared(cls, state: Mapping[str, Tensor], args: Mapping[str, Any]) -> dict[str, Any]:
        """DETReg's DETR has its positions shifted by half a cell, by the code: no option says so."""
        found, others = super().declared(state, args), _any(r'(patch2query|feature_align)\..*', set(state))
        detreg = DETREG_OPTION in args or _any(r'feature_embed\..*', set(state))
        return {**found, 'half_cell_shift': detreg} if detreg or others or args else found


@WEIGHT_LAYOUTS.register_module(name='deformable-detr')
class DeformableDETRLayout(OfficialLayout):
    """fundamentalvision/Deformable-DETR (single-scale, base, with box refinement, two-stage), H-Deformable-DETR, and
    DETReg, pre-trained or fine-tuned.

    Every file has heads for each decoder layer, equal ones in the base variants; refined ones hold the box heads again
    under the decoder, two-stage ones the class heads too, and the head of the proposals after the last layer's.
    H-DETR has one table of learned content: the rows of the matching queries, then those of the one-to-many group.
    """

    papers = ('deformable_detr', 'h_detr', 'detreg')
    options = (*READ, 'enc_n_points', 'dec_n_points', 'num_feature_levels', 'two_stage', 'with_box_refine')
    classes = ('coco',)

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return _any(r'transformer\.decoder\.layers\.\d+\.cross_attn\.sampling_offsets\..*', keys) and not _any(
            r'label_enc\..*|transformer\.(enc_out_\w+|decoder\.ref_point_head|decoder\.norm)\..*', keys
        )

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module, classes: str | None = None) -> list[Rule]:
        two_stage = hasattr(model.queries, 'class_branch')
        refined = len(model.head.class_branches) > 1
        class_heads = ['class_embed'] + ['transformer.decoder.class_embed'] * two_stage
        box_heads = ['bbox_embed'] + ['transformer.decoder.bbox_embed'] * refined
        after = [model.decoder.num_layers]
        return (
            BACKBONE
            + DEFORMABLE_LAYERS
            + neck_rules(model)
            + [
                *head_rules(model, class_heads, box_heads, classes),
                Rule(r'queries\.pos\.weight', ['query_embed.weight'], block(0, 2, dim=1)),
                *content_rules(model, two_stage),
                Rule(r'queries\.point\.(\w+)', [r'transformer.reference_points.\1']),
                Rule(r'queries\.embed\.(\w+)', [r'transformer.pos_trans.\1']),
                Rule(r'queries\.embed_norm\.(\w+)', [r'transformer.pos_trans_norm.\1']),
                Rule(r'queries\.class_branch\.(\w+)', copies(class_heads, after), class_rows(classes, agnostic=True)),
                Rule(r'queries\.box_branch\.(.*)', copies(box_heads, after)),
                embedding_rule(state),
            ]
        )

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return {**INDEX, **without_pretraining(model, DETREG)}


@WEIGHT_LAYOUTS.register_module(name='dino')
class DINOLayout(OfficialLayout):
    """IDEA-Research/DINO, ResNet and Swin, 4 and 5 scales: heads for each layer, twice; equal ones where shared."""

    papers = ('dino',)
    options = (*SINES, 'num_feature_levels')
    classes = ('coco',)

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return _any(r'transformer\.decoder\.layers\.\d+\.cross_attn\.sampling_offsets\..*', keys) and _any(
            r'transformer\.enc_out_(class|bbox)_embed\..*', keys
        )

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module, classes: str | None = None) -> list[Rule]:
        class_heads, box_heads = (
            [prefix + kind for prefix in ('', 'transformer.decoder.')] for kind in ('class_embed', 'bbox_embed')
        )
        return (
            BACKBONE
            + DEFORMABLE_LAYERS
            + neck_rules(model)
            + [
                *head_rules(model, class_heads, box_heads, classes),
                Rule(r'decoder\.position\.net\.0\.(\w+)', [r'transformer.decoder.ref_point_head.layers.0.\1']),
                Rule(r'decoder\.position\.net\.2\.(\w+)', [r'transformer.decoder.ref_point_head.layers.1.\1']),
                Rule(r'queries\.content\.weight', ['transformer.tgt_embed.weight']),
                Rule(r'queries\.class_branch\.(\w+)', [r'transformer.enc_out_class_embed.\1'], class_rows(classes)),
                Rule(r'queries\.box_branch\.(.*)', [r'transformer.enc_out_bbox_embed.\1']),
                Rule(r'groups\.\d+\.label_embed\.weight', ['label_enc.weight'], class_rows(classes)),
            ]
        )

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return INDEX if len(model.groups) else {**INDEX, r'label_enc\.weight': 'the model has no denoising group'}


def detr_rules(state: Mapping[str, Tensor], classes: str | None) -> list[Rule]:
    """Of DETR, and of what pre-trains it."""
    return (
        BACKBONE
        + DENSE_LAYERS
        + [
            Rule(r'neck\.convs\.0\.conv\.(\w+)', [r'input_proj.\1']),
            Rule(r'queries\.pos\.weight', ['query_embed.weight']),
            Rule(r'head\.class_branches\.0\.(\w+)', [r'class_embed.\1'], class_rows(classes)),
            Rule(r'head\.box_branches\.0\.(.*)', [r'bbox_embed.\1']),
            Rule(r'prompt\.project\.(\w+)', [r'patch2query.\1']),
            embedding_rule(state),
        ]
    )


def neck_rules(model: nn.Module) -> list[Rule]:
    """Official levels are numbered through; ours are those of the backbone and those added to them."""
    given = len(model.neck.convs)
    part = {'conv': 0, 'gn': 1}
    return [
        Rule(r'neck\.convs\.(\d+)\.(conv|gn)\.(\w+)', lambda m: [f'input_proj.{m[1]}.{part[m[2]]}.{m[3]}']),
        Rule(
            r'neck\.extra_convs\.(\d+)\.(conv|gn)\.(\w+)',
            lambda m: [f'input_proj.{given + int(m[1])}.{part[m[2]]}.{m[3]}'],
        ),
    ]


def embedding_rule(state: Mapping[str, Tensor]) -> Rule:
    """The net that tells how an object looks: DETReg's name for it where the file has that one, else UP-DETR's."""
    theirs = 'feature_embed' if _any(r'feature_embed\..*', set(state)) else 'feature_align'
    return Rule(r'head\.embedding_branch\.(.*)', [rf'{theirs}.\1'])


def without_pretraining(model: nn.Module, parts: dict[str, str]) -> dict[str, str]:
    """Those parts of a file that a model which is not in pre-training leaves."""
    return {} if hasattr(model.head, 'embedding_branch') else parts


def content_rules(model: nn.Module, two_stage: bool) -> list[Rule]:
    """Learned content: half of the table of one stage; rows of that of H-DETR, which has two stages."""
    if not two_stage:
        return [Rule(r'queries\.content\.weight', ['query_embed.weight'], block(1, 2, dim=1))]
    own = model.queries.num_queries
    total = own + sum(group.num for group in model.groups)
    return [
        Rule(r'queries\.content\.weight', ['query_embed.weight'], rows(0, own, total)),
        Rule(r'groups\.0\.content\.weight', ['query_embed.weight'], rows(own, total, total)),
    ]


def rows(start: int, stop: int, total: int) -> Make:
    """Some rows of a table that has `total`."""

    def make(tensor: Tensor, shape: Size) -> Tensor:
        if len(tensor) != total:
            raise ValueError(
                f'got {len(tensor)} rows, the model has {total} in its matching queries and groups; 1800 '
                'are 300 and OneToMany(num=1500)'
            )
        return tensor[start:stop].clone()

    return make


def head_rules(model: nn.Module, class_heads: list[str], box_heads: list[str], classes: str | None) -> list[Rule]:
    """Branches of the decoder layers; a shared one is every official one."""
    if len(model.head.class_branches) == 1:
        layers = range(model.decoder.num_layers)
        return [
            Rule(r'head\.class_branches\.0\.(\w+)', copies(class_heads, layers), class_rows(classes)),
            Rule(r'head\.box_branches\.0\.(.*)', copies(box_heads, layers)),
        ]
    return [
        Rule(r'head\.class_branches\.(\d+\.\w+)', [rf'{head}.\1' for head in class_heads], class_rows(classes)),
        Rule(r'head\.box_branches\.(\d+\..*)', [rf'{head}.\1' for head in box_heads]),
    ]


def copies(heads: list[str], layers: range | list[int]) -> list[str]:
    """Templates of the same branch in all `layers` of all `heads`."""
    return [rf'{head}.{layer}.\1' for head, layer in product(heads, layers)]


def class_rows(classes: str | None, agnostic: bool = False) -> Make:
    """Rows of a class branch (or label table), all or those of `classes`.

    Args:
        classes: None, or 'coco': of 91 rows the 80 in use; a 92nd row (no object, no label) is kept.
        agnostic: the branch tells objects from background by its first row, which is kept as it is.
    """
    if classes not in (None, 'coco'):
        raise ValueError(f"classes={classes!r} is unknown; choose 'coco' or none")

    def make(tensor: Tensor, shape: Size) -> Tensor:
        rows = len(tensor)
        by_category = rows in (NUM_CATEGORY_IDS, NUM_CATEGORY_IDS + 1)
        if classes is None:
            if by_category and shape[0] != rows and tensor.shape[1:] == shape[1:]:
                raise ValueError(
                    f"got {rows} rows, for COCO's category ids up to 90, wanted {shape[0]}: "
                    '--classes coco picks those of its 80 classes, --cfg-options model.num_classes=91 '
                    'keeps them all, --skip leaves them out'
                )
            return tensor
        if not by_category:
            raise ValueError(f'got {rows} rows, from which the classes of COCO cannot be picked: it takes 91 or 92')
        ids = [0, *COCO_IDS[1:]] if agnostic else COCO_IDS
        return tensor[torch.tensor(ids + [NUM_CATEGORY_IDS] * (rows > NUM_CATEGORY_IDS))]

    return make


def _any(pattern: str, keys: set[str]) -> bool:
    return any(re.fullmatch(pattern, key) for key in keys)
