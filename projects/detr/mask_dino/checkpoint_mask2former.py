"""The official checkpoints of Mask2Former (detectron2's names), for mmdet's own model, on a ResNet."""

from collections.abc import Mapping

from mmdet.models.detectors import Mask2Former
from torch import Tensor, nn

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule
from ...weights.layout import WeightLayout
from ..official import COUNTERS
from .checkpoint import ADAPTERS, CONVOLUTIONS, ENCODER, PREDICTOR, resnet_rules

HEAD, PIXEL = r'panoptic_head\.', r'panoptic_head\.pixel_decoder\.'
LAYERS = f'{PREDICTOR}.transformer'
ATTENTION = {
    'cross_attn': ('cross_attention_layers', 'multihead_attn'),
    'self_attn': ('self_attention_layers', 'self_attn'),
}
NORMS = ('cross_attention_layers', 'self_attention_layers', 'ffn_layers')  # in the order in which they are used
LINEARS = {'0.0': 'linear1', '1': 'linear2'}
PIXEL_RULES = [
    Rule(
        rf'{PIXEL}input_convs\.(\d)\.(conv|gn)\.(\w+)',
        lambda m: [f'{ENCODER}.input_proj.{m[1]}.{CONVOLUTIONS[m[2]]}.{m[3]}'],
    ),
    Rule(rf'{PIXEL}lateral_convs\.0\.(conv|gn)\.(\w+)', lambda m: [f'{ENCODER}.adapter_1.{ADAPTERS[m[1]]}{m[2]}']),
    Rule(rf'{PIXEL}output_convs\.0\.(conv|gn)\.(\w+)', lambda m: [f'{ENCODER}.layer_1.{ADAPTERS[m[1]]}{m[2]}']),
    Rule(rf'{PIXEL}mask_feature\.(\w+)', [rf'{ENCODER}.mask_features.\1']),
    Rule(rf'{PIXEL}level_encoding\.weight', [f'{ENCODER}.transformer.level_embed']),
    Rule(
        rf'{PIXEL}encoder\.(layers\.\d+)\.norms\.(\d)\.(\w+)',
        lambda m: [f'{ENCODER}.transformer.encoder.{m[1]}.norm{int(m[2]) + 1}.{m[3]}'],
    ),
    Rule(
        rf'{PIXEL}encoder\.(layers\.\d+)\.ffn\.layers\.(0\.0|1)\.(\w+)',
        lambda m: [f'{ENCODER}.transformer.encoder.{m[1]}.{LINEARS[m[2]]}.{m[3]}'],
    ),
    Rule(rf'{PIXEL}encoder\.(layers\.\d+\.self_attn\..*)', [rf'{ENCODER}.transformer.encoder.\1']),
]
PREDICTOR_RULES = [
    Rule(
        rf'{HEAD}transformer_decoder\.layers\.(\d+)\.(cross_attn|self_attn)\.attn\.(.*)',
        lambda m: [f'{LAYERS}_{ATTENTION[m[2]][0]}.{m[1]}.{ATTENTION[m[2]][1]}.{m[3]}'],
    ),
    Rule(
        rf'{HEAD}transformer_decoder\.layers\.(\d+)\.norms\.(\d)\.(\w+)',
        lambda m: [f'{LAYERS}_{NORMS[int(m[2])]}.{m[1]}.norm.{m[3]}'],
    ),
    Rule(
        rf'{HEAD}transformer_decoder\.layers\.(\d+)\.ffn\.layers\.(0\.0|1)\.(\w+)',
        lambda m: [f'{LAYERS}_ffn_layers.{m[1]}.{LINEARS[m[2]]}.{m[3]}'],
    ),
    Rule(rf'{HEAD}transformer_decoder\.post_norm\.(\w+)', [rf'{PREDICTOR}.decoder_norm.\1']),
    Rule(rf'{HEAD}cls_embed\.(\w+)', [rf'{PREDICTOR}.class_embed.\1']),
    Rule(rf'{HEAD}mask_embed\.(\d)\.(\w+)', lambda m: [f'{PREDICTOR}.mask_embed.layers.{int(m[1]) // 2}.{m[2]}']),
    Rule(rf'{HEAD}((?:query|level)_embed\.weight)', [rf'{PREDICTOR}.\1']),
]


@WEIGHT_LAYOUTS.register_module(name='mask2former')
class Mask2FormerLayout(WeightLayout):
    """facebookresearch/Mask2Former, ResNet, instance and panoptic; older files call the content of queries static."""

    papers = ('mask2former',)
    model = Mask2Former

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return f'{LAYERS}_cross_attention_layers.0.multihead_attn.in_proj_weight' in keys

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        content = next(
            (name for name in ('static_query', 'query_feat') if f'{PREDICTOR}.{name}.weight' in state), 'query_feat'
        )
        return (
            resnet_rules()
            + PIXEL_RULES
            + PREDICTOR_RULES
            + [Rule(rf'{HEAD}query_feat\.weight', [f'{PREDICTOR}.{content}.weight'])]
        )

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return {r'criterion\.empty_weight': 'a constant of the losses'}

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return COUNTERS
