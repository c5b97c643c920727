"""The official checkpoints of Mask DINO (detectron2's names, the model alone or under 'model').

Official levels go from coarse to fine in the query decoder and from fine to coarse in the pixel decoder; ours go from
fine to coarse everywhere, so what the query decoder has for each level is turned round.
"""

import re
from collections.abc import Mapping

from torch import Size, Tensor, nn

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Make, Rule
from ...weights.layout import WeightLayout
from ..checkpoint import _any
from ..detector import QueryDetector
from ..official import COUNTERS

ENCODER, PREDICTOR = 'sem_seg_head.pixel_decoder', 'sem_seg_head.predictor'
CONVOLUTIONS = {'conv': '0', 'gn': '1'}
ADAPTERS = {'conv': '', 'gn': 'norm.'}
LAYER_PARTS = {'ffn.0': 'linear1', 'ffn.3': 'linear2'}
NORMS = {'encoder': dict(attn='norm1', ffn='norm2'), 'decoder': dict(cross='norm1', self='norm2', ffn='norm3')}
RESNET_NORM = {'bn1': 'conv1.norm', 'bn2': 'conv2.norm', 'bn3': 'conv3.norm', 'downsample.1': 'shortcut.norm'}
RESNET_CONV = {'downsample.0': 'shortcut'}

DROP = {
    r'criterion\.empty_weight': 'a constant of the losses',
    r'backbone\..*\.relative_position_index': 'computed',
    rf'{PREDICTOR}\.label_enc\.weight': 'the model has no denoising group',
}


@WEIGHT_LAYOUTS.register_module(name='mask-dino')
class MaskDINOLayout(WeightLayout):
    """IDEA-Research/MaskDINO, ResNet and Swin, instance, panoptic and semantic."""

    papers = ('mask_dino',)
    as_published = (
        'no mask of padding, prior boxes from coarse to fine, a norm applied twice, boxes up to the last pixel'
    )
    model = QueryDetector

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return f'{PREDICTOR}.decoder.layers.0.norm1.weight' in keys and _any(
            r'sem_seg_head\.pixel_decoder\.adapter_1\..*', keys
        )

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        return resnet_rules() + pixel_rules(model) + predictor_rules(model)

    @classmethod
    def advise(cls, model: nn.Module) -> dict[str, str]:
        if getattr(model.data_preprocessor, 'pad_size_divisor', 32) == 32:
            return {}
        return {'model.data_preprocessor.pad_size_divisor=32': 'images are padded to multiples of 32 pixels there'}

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return DROP

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return COUNTERS


def resnet_rules() -> list[Rule]:
    """detectron2's names of a ResNet: stages from res2, norms within their convolutions."""
    stem = [
        Rule(r'backbone\.conv1\.weight', ['backbone.stem.conv1.weight']),
        Rule(r'backbone\.bn1\.(\w+)', [r'backbone.stem.conv1.norm.\1']),
    ]

    def block(match: re.Match) -> list[str]:
        part = RESNET_NORM.get(match[3]) or RESNET_CONV.get(match[3], match[3])
        return [f'backbone.res{int(match[1]) + 1}.{match[2]}.{part}.{match[4]}']

    return stem + [Rule(r'backbone\.layer(\d)\.(\d+)\.([a-z]+\d|downsample\.\d)\.(\w+)', block)]


def pixel_rules(model: nn.Module) -> list[Rule]:
    given = len(model.neck.convs)
    norm = NORMS['encoder']
    return [
        Rule(
            r'neck\.convs\.(\d+)\.(conv|gn)\.(\w+)',
            lambda m: [f'{ENCODER}.input_proj.{m[1]}.{CONVOLUTIONS[m[2]]}.{m[3]}'],
        ),
        Rule(
            r'neck\.extra_convs\.(\d+)\.(conv|gn)\.(\w+)',
            lambda m: [f'{ENCODER}.input_proj.{given + int(m[1])}.{CONVOLUTIONS[m[2]]}.{m[3]}'],
        ),
        Rule(r'neck\.lateral\.(conv|gn)\.(\w+)', lambda m: [f'{ENCODER}.adapter_1.{ADAPTERS[m[1]]}{m[2]}']),
        Rule(r'encoder\.smooth\.(conv|gn)\.(\w+)', lambda m: [f'{ENCODER}.layer_1.{ADAPTERS[m[1]]}{m[2]}']),
        Rule(r'encoder\.mask_features\.(\w+)', [rf'{ENCODER}.mask_features.\1']),
        Rule(r'encoder\.level_embed', [f'{ENCODER}.transformer.level_embed']),
        Rule(
            r'encoder\.(layers\.\d+)\.norm_(\w+)\.(\w+)',
            lambda m: [f'{ENCODER}.transformer.encoder.{m[1]}.{norm[m[2]]}.{m[3]}'],
        ),
        Rule(
            r'encoder\.(layers\.\d+)\.(ffn\.\d)\.(\w+)',
            lambda m: [f'{ENCODER}.transformer.encoder.{m[1]}.{LAYER_PARTS[m[2]]}.{m[3]}'],
        ),
        Rule(r'encoder\.(layers\.\d+\.self_attn\..*)', [rf'{ENCODER}.transformer.encoder.\1']),
    ]


def predictor_rules(model: nn.Module) -> list[Rule]:
    levels = model.decoder.layers[0].cross_attn.attn.num_levels
    heads = model.decoder.layers[0].cross_attn.attn.num_heads
    norm = NORMS['decoder']
    box_heads = [
        rf'{PREDICTOR}.{home}bbox_embed.{layer}.\1'
        for home in ('', 'decoder.')
        for layer in range(model.decoder.num_layers)
    ]
    return [
        Rule(
            r'decoder\.(layers\.\d+)\.norm_(\w+)\.(\w+)', lambda m: [f'{PREDICTOR}.decoder.{m[1]}.{norm[m[2]]}.{m[3]}']
        ),
        Rule(
            r'decoder\.(layers\.\d+)\.(ffn\.\d)\.(\w+)',
            lambda m: [f'{PREDICTOR}.decoder.{m[1]}.{LAYER_PARTS[m[2]]}.{m[3]}'],
        ),
        Rule(
            r'decoder\.(layers\.\d+)\.cross_attn\.attn\.((?:sampling_offsets|attention_weights)\.\w+)',
            [rf'{PREDICTOR}.decoder.\1.cross_attn.\2'],
            turn_levels(heads, levels),
        ),
        Rule(r'decoder\.(layers\.\d+)\.cross_attn\.attn\.(.*)', [rf'{PREDICTOR}.decoder.\1.cross_attn.\2']),
        Rule(r'decoder\.(layers\.\d+\.self_attn\..*)', [rf'{PREDICTOR}.decoder.\1']),
        Rule(r'decoder\.position\.net\.0\.(\w+)', [rf'{PREDICTOR}.decoder.ref_point_head.layers.0.\1']),
        Rule(r'decoder\.position\.net\.2\.(\w+)', [rf'{PREDICTOR}.decoder.ref_point_head.layers.1.\1']),
        Rule(r'queries\.output\.(\w+)', [rf'{PREDICTOR}.enc_output.\1']),
        Rule(r'queries\.output_norm\.(\w+)', [rf'{PREDICTOR}.enc_output_norm.\1']),
        Rule(r'queries\.content\.weight', [f'{PREDICTOR}.query_feat.weight']),
        Rule(r'queries\.centre', [f'{PREDICTOR}.query_embed.weight'], lambda tensor, _: tensor[:, :2].clone()),
        Rule(r'queries\.size', [f'{PREDICTOR}.query_embed.weight'], lambda tensor, _: tensor[:, 2:].clone()),
        Rule(r'groups\.\d+\.label_embed\.weight', [f'{PREDICTOR}.label_enc.weight']),
        Rule(r'head\.norm\.(\w+)', [rf'{PREDICTOR}.decoder_norm.\1', rf'{PREDICTOR}.decoder.norm.\1']),
        Rule(r'head\.class_branches\.0\.(\w+)', [rf'{PREDICTOR}.class_embed.\1']),
        Rule(r'head\.box_branches\.0\.(.*)', [rf'{PREDICTOR}._bbox_embed.\1', *box_heads]),
        Rule(r'head\.mask_branch\.(.*)', [rf'{PREDICTOR}.mask_embed.\1']),
    ]


def turn_levels(heads: int, levels: int) -> Make:
    """Rows of heads x levels x the rest, with the levels in the opposite order."""

    def make(tensor: Tensor, shape: Size) -> Tensor:
        return tensor.unflatten(0, (heads, levels, -1)).flip(1).flatten(0, 2)

    return make
