"""The official checkpoints of DAB-DETR and DN-DETR, on dense and on deformable attention.

A DN-DETR file holds a table of labels whose last row is the content of the matching queries; the queries own it here.
"""

from collections.abc import Mapping

from torch import Size, Tensor, nn

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule, block
from ..checkpoint import BACKBONE, DEFORMABLE_LAYERS, INDEX, LAYERS, _any, class_rows, head_rules, neck_rules
from ..official import SINES, OfficialLayout

PROJECTIONS = {  # ours in a decoder layer -> official
    'self_attn': dict(
        query_content='sa_qcontent_proj',
        query_pos='sa_qpos_proj',
        key_content='sa_kcontent_proj',
        key_pos='sa_kpos_proj',
        value='sa_v_proj',
        out_proj='self_attn.out_proj',
    ),
    'cross_attn': dict(
        query_content='ca_qcontent_proj',
        query_pos='ca_qpos_proj',
        query_spatial='ca_qpos_sine_proj',
        key_content='ca_kcontent_proj',
        key_pos='ca_kpos_proj',
        value='ca_v_proj',
        out_proj='cross_attn.out_proj',
    ),
}
PROJECTIONS['cross_attn.base'] = dict(PROJECTIONS['cross_attn'], out_proj='ca_out_v_proj')  # level by level


@WEIGHT_LAYOUTS.register_module(name='dab-detr')
class DABDETRLayout(OfficialLayout):
    """IDEA-Research/DAB-DETR and DN-DETR on dense attention: R50, R101, DC5, with patterns, with spread centres, and
    with a deformable encoder under the dense decoder."""

    papers = ('dab_detr', 'dn_detr')
    options = (*SINES, 'pre_norm')
    classes = ('coco',)

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return 'transformer.decoder.layers.0.sa_qcontent_proj.weight' in keys

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module, classes: str | None = None) -> list[Rule]:
        parts = '|'.join(PROJECTIONS['cross_attn'])
        neck = (
            neck_rules(model)
            if len(model.neck.convs) > 1
            else [Rule(r'neck\.convs\.0\.conv\.(\w+)', [r'input_proj.\1'])]
        )
        return (
            BACKBONE
            + QUERIES
            + neck
            + [
                Rule(r'encoder\.level_embed', ['transformer.level_embed']),
                Rule(r'queries\.patterns\.weight', ['transformer.patterns.weight']),
                *label_rules('label_enc.weight', classes),
                Rule(r'encoder\.position_scale\.(.*)', [r'transformer.encoder.query_scale.\1']),
                Rule(r'decoder\.position\.net\.(.*)', [r'transformer.decoder.ref_point_head.\1']),
                Rule(r'decoder\.position\.scale\.(.*)', [r'transformer.decoder.query_scale.\1']),
                Rule(r'decoder\.position\.size\.(.*)', [r'transformer.decoder.ref_anchor_head.\1']),
                Rule(r'((?:en|de)coder\.layers\.\d+)\.ffn\.1\.weight', [r'transformer.\1.activation.weight']),
                Rule(r'(decoder\.layers\.\d+)\.gate\.(\w+)', [r'transformer.\1.lvl_attn.\2']),
                Rule(
                    rf'(decoder\.layers\.\d+)\.(self_attn|cross_attn(?:\.base)?)\.({parts})\.(\w+)',
                    lambda m: [f'transformer.{m[1]}.{PROJECTIONS[m[2]][m[3]]}.{m[4]}'],
                ),
                Rule(r'(decoder\.layers\.\d+)\.norm_self\.(\w+)', [r'transformer.\1.norm1.\2']),
                Rule(r'(decoder\.layers\.\d+)\.norm_cross\.(\w+)', [r'transformer.\1.norm2.\2']),
                Rule(r'head\.class_branches\.0\.(\w+)', [r'class_embed.\1'], class_rows(classes)),
                Rule(r'head\.box_branches\.0\.(.*)', [r'bbox_embed.\1', r'transformer.decoder.bbox_embed.\1']),
                *LAYERS,
            ]
        )

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return INDEX


@WEIGHT_LAYOUTS.register_module(name='dab-deformable-detr')
class DABDeformableDETRLayout(OfficialLayout):
    """IDEA-Research/DAB-DETR and DN-DETR on deformable attention; the class and box heads are one for each layer."""

    papers = ('dab_detr', 'dn_detr')
    options = (*SINES, 'num_feature_levels')
    classes = ('coco',)

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return 'refpoint_embed.weight' in keys and _any(
            r'transformer\.decoder\.layers\.\d+\.cross_attn\.sampling_offsets\..*', keys
        )

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module, classes: str | None = None) -> list[Rule]:
        return (
            BACKBONE
            + DEFORMABLE_LAYERS
            + neck_rules(model)
            + QUERIES
            + [
                Rule(r'queries\.content\.weight', ['tgt_embed.weight']),
                Rule(r'queries\.patterns\.weight', ['patterns_embed.weight']),
                Rule(r'groups\.\d+\.label_embed\.weight', ['label_enc.weight'], class_rows(classes)),
                Rule(r'decoder\.position\.net\.0\.(\w+)', [r'transformer.decoder.ref_point_head.layers.0.\1']),
                Rule(r'decoder\.position\.net\.2\.(\w+)', [r'transformer.decoder.ref_point_head.layers.1.\1']),
                Rule(r'decoder\.position\.scale\.(.*)', [r'transformer.decoder.query_scale.\1']),
                *head_rules(model, ['class_embed'], ['bbox_embed', 'transformer.decoder.bbox_embed'], classes),
            ]
        )

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return INDEX if len(model.groups) else {**INDEX, r'label_enc\.weight': 'the model has no denoising group'}


QUERIES = [
    Rule(r'queries\.centre', ['refpoint_embed.weight'], block(0, 2, dim=1)),
    Rule(r'queries\.size', ['refpoint_embed.weight'], block(1, 2, dim=1)),
]


def label_rules(table: str, classes: str | None) -> list[Rule]:
    """The last row of the official table is the content of the matching queries, those before are the labels."""
    rows = class_rows(classes)

    def labels(tensor: Tensor, shape: Size) -> Tensor:
        return rows(tensor, Size([shape[0] + 1, *shape[1:]]))[:-1].clone()

    return [
        Rule(r'queries\.content\.weight', [table], lambda tensor, shape: tensor[-1:].clone()),
        Rule(r'groups\.\d+\.label_embed\.weight', [table], labels),
    ]
