"""The official checkpoints of SMCA-DETR with one level: DETR's layout, and what each decoder layer predicts of places.

All 92 class rows are sigmoids, one for each of COCO's category ids 0 to 90 and one that nothing uses: the model needs
`num_classes=92`, or `classes='coco'` picks the 80 in use. The files of several levels belong to another model, with an
encoder of convolutions, and are refused.
"""

import re
from collections.abc import Mapping

import torch
from torch import Size, Tensor, nn

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule
from ..checkpoint import BACKBONE, COCO_IDS, INDEX, LAYERS, NUM_CATEGORY_IDS
from ..official import OfficialLayout


@WEIGHT_LAYOUTS.register_module(name='smca-detr')
class SMCALayout(OfficialLayout):
    """gaopengcuhk/SMCA-DETR, one level, of any of the four types of scales."""

    papers = ('smca_detr',)
    classes = ('coco',)

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return 'transformer.decoder.layers.0.point1.layers.0.weight' in keys

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module, classes: str | None = None) -> list[Rule]:
        return (
            BACKBONE
            + LAYERS
            + [
                Rule(r'neck\.convs\.0\.conv\.(\w+)', [r'input_proj.\1']),
                Rule(r'queries\.pos\.weight', ['query_embed.weight']),
                Rule(r'(decoder\.layers\.\d+)\.cross_attn\.base\.attn\.(.*)', [r'transformer.\1.multihead_attn.\2']),
                Rule(r'(decoder\.layers\.\d+)\.norm_self\.(\w+)', [r'transformer.\1.norm1.\2']),
                Rule(r'(decoder\.layers\.\d+)\.norm_cross\.(\w+)', [r'transformer.\1.norm2.\2']),
                Rule(r'decoder\.spatial_prior\.(layers\.\d+)\.(norm|offset|scale)\.(\w+)', official_prior),
                Rule(r'decoder\.spatial_prior\.centre\.(.*)', [r'transformer.decoder.layers.0.point1.\1']),
                Rule(r'head\.class_branches\.0\.(\w+)', [r'class_embed.\1'], sigmoid_rows(classes)),
                Rule(r'head\.box_branches\.0\.(.*)', [r'bbox_embed.\1']),
            ]
        )

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return INDEX


def official_prior(match: re.Match) -> list[str]:
    part = dict(norm='norm4', offset='point2', scale='point3')[match[2]]
    return [f'transformer.decoder.{match[1]}.{part}.{match[3]}']


def sigmoid_rows(classes: str | None):
    """All rows of the class branch, or with `classes='coco'` those of COCO's 80 classes."""
    if classes not in (None, 'coco'):
        raise ValueError(f"classes={classes!r} is unknown; choose 'coco' or none")

    def make(tensor: Tensor, shape: Size) -> Tensor:
        rows = len(tensor)
        if classes == 'coco':
            if rows != NUM_CATEGORY_IDS + 1:
                raise ValueError(f'got {rows} rows, from which the classes of COCO cannot be picked: it takes 92')
            return tensor[torch.tensor(COCO_IDS)]
        if rows == NUM_CATEGORY_IDS + 1 and shape[0] != rows and tensor.shape[1:] == shape[1:]:
            raise ValueError(
                f"got {rows} rows, for COCO's category ids up to 90 and one more, wanted {shape[0]}: "
                '--classes coco picks those of its 80 classes, --cfg-options model.num_classes=92 keeps '
                'them all, --skip leaves them out'
            )
        return tensor

    return make
