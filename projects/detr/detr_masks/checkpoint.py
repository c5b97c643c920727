"""The official checkpoints of DETR with masks: a detector under 'detr.', and what makes masks of its attention."""

from collections.abc import Mapping

from torch import Tensor, nn

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule
from ..checkpoint import _any, detr_rules
from ..official import READ, OfficialLayout

MASKS = [
    Rule(r'neck\.level\.(\w+)', [r'detr.input_proj.\1']),
    Rule(r'neck\.skips\.(\d)\.(\w+)', lambda m: [f'mask_head.adapter{3 - int(m[1])}.{m[2]}']),  # coarsest first there
    Rule(r'head\.mask_branch\.attention\.query\.(\w+)', [r'bbox_attention.q_linear.\1']),
    Rule(
        r'head\.mask_branch\.attention\.key\.weight',
        ['bbox_attention.k_linear.weight'],
        lambda rows, _: rows[..., None, None],
    ),
    Rule(r'head\.mask_branch\.attention\.key\.bias', ['bbox_attention.k_linear.bias']),
    Rule(
        r'head\.mask_branch\.mask_decoder\.blocks\.(\d)\.0\.(\w+)', lambda m: [f'mask_head.lay{int(m[1]) + 1}.{m[2]}']
    ),
    Rule(r'head\.mask_branch\.mask_decoder\.blocks\.(\d)\.1\.(\w+)', lambda m: [f'mask_head.gn{int(m[1]) + 1}.{m[2]}']),
    Rule(r'head\.mask_branch\.mask_decoder\.output\.(\w+)', [r'mask_head.out_lay.\1']),
]


@WEIGHT_LAYOUTS.register_module(name='detr-masks')
class DETRMasksLayout(OfficialLayout):
    """facebookresearch/detr with masks: 92 class rows, or the 251 of the panoptic files (`num_classes=250`)."""

    papers = ('detr',)
    options = (*READ, 'pre_norm')
    classes = ('coco',)

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return 'mask_head.lay1.weight' in keys and _any(r'detr\.transformer\..*', keys)

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module, classes: str | None = None) -> list[Rule]:
        return MASKS + [under('detr.', rule) for rule in detr_rules(state, classes)]


def under(prefix: str, rule: Rule) -> Rule:
    """The same where all official names have a prefix."""
    return Rule(rule.ours, lambda match: [prefix + name for name in rule.sources(match)], rule.make, rule.joined)
