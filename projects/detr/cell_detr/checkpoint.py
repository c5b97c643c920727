"""The official checkpoints of Cell-DETR: A and B, masks by softmax or by sigmoid.

The names of A are those of the official code. B's convolutions, activations and pixel-adaptive convolutions come from
other packages, and have the names that these give them. No file of the authors was at hand to hold this against: one
with other names is refused, and says which.
"""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Size, Tensor, nn

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Make, Rule
from ...weights.layout import WeightLayout, not_for
from ..checkpoint import DENSE_LAYERS
from ..detector import QueryDetector
from .branches import CellMaskBranch

BRICKS = {'offset_mask': 'conv_offset_mask', 'numerator': 'weight_numerator', 'denominator': 'weight_denominator'}


@WEIGHT_LAYOUTS.register_module(name='cell-detr')
class CellDETRLayout(WeightLayout):
    """ChristophReich1996/Cell-DETR. "No object" is the first class there, the last here."""

    papers = ('cell_detr',)
    as_published = 'norms with statistics of the training, attention that is not scaled down'
    model = QueryDetector

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return 'segmentation_attention_head.layer_box_embedding.weight' in keys

    @classmethod
    def refuse(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        if not any(isinstance(branch, CellMaskBranch) for branch in model.head.branches):
            return {'head': not_for(model.head, CellMaskBranch)}
        return {}

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        return cell_rules(model)


def cell_rules(model: nn.Module) -> list[Rule]:
    masks, official = r'head\.mask_branch\.mask_decoder', 'segmentation_head'
    last = len(model.neck.skips) - 1  # official blocks go from coarse to fine, our levels from fine to coarse
    return DENSE_LAYERS + [
        place(r'((?:en|de)coder\.layers\.\d+)\.ffn\.1', r'transformer.\1.activation'),
        Rule(r'queries\.pos\.weight', ['query_positions']),
        Rule(r'encoder\.positional_encoding\.(row|column)s', [r'\1_embedding']),
        place(r'backbone\.stem', 'backbone.input_convolution.0'),
        place(r'backbone\.blocks\.(\d+)\.main', r'backbone.blocks.\1.main_mapping'),
        place(r'backbone\.blocks\.(\d+)\.shortcut', r'backbone.blocks.\1.residual_mapping'),
        place(r'neck\.level', 'convolution_mapping'),
        place(r'neck\.skips\.(\d+)', lambda m: f'{official}.blocks.{last - int(m[1])}.feature_mapping'),
        place(r'head\.class_branches\.0\.2', 'class_head.2', no_object_last),
        place(r'head\.class_branches\.0', 'class_head'),
        place(r'head\.box_branches\.0', 'bounding_box_head.layers'),
        place(r'head\.mask_branch\.attention\.query', 'segmentation_attention_head.layer_box_embedding'),
        place(r'head\.mask_branch\.attention\.key', 'segmentation_attention_head.layer_image_encoding'),
        place(rf'{masks}\.blocks\.(\d+)\.block\.main', rf'{official}.blocks.\1.main_mapping'),
        place(rf'{masks}\.blocks\.(\d+)\.block\.shortcut', rf'{official}.blocks.\1.residual_mapping'),
        place(rf'{masks}\.blocks\.(\d+)\.adapt', rf'{official}.blocks.\1.pixel_adaptive_convolution'),
        place(rf'{masks}\.output\.block\.main', f'{official}.final_block.main_mapping'),
        place(rf'{masks}\.output\.block\.shortcut', f'{official}.final_block.residual_mapping'),
        place(rf'{masks}\.output\.output', f'{official}.final_block.final_mapping'),
    ]


def place(ours: str, theirs: str | Callable[[re.Match], str], make: Make | None = None) -> Rule:
    """All tensors of a module; inside it only bricks have other names.

    Args:
        ours: regular expression for the module.
        theirs: template of the official one, or a function from the match to it.
    """

    def names(match: re.Match) -> list[str]:
        module = theirs(match) if callable(theirs) else match.expand(theirs)
        return ['.'.join([module, *(BRICKS.get(part, part) for part in match['inside'].split('.'))])]

    return Rule(rf'{ours}\.(?P<inside>.+)', names, make)


def no_object_last(tensor: Tensor, shape: Size) -> Tensor:
    """Official rows: no object, trap, cell."""
    return torch.cat([tensor[1:], tensor[:1]])
