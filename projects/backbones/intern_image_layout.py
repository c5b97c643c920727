"""Published weights of InternImage (OpenGVLab/InternImage): classifiers, and backbones of its detectors."""

from collections.abc import Mapping

from torch import Tensor, nn

from ..registry import WEIGHT_LAYOUTS
from ..weights.keys import Rule
from ..weights.layout import WeightLayout
from .intern_image import InternImage

KINDS = r'(weight|bias)'
BLOCK = (
    # a tensor within a block: ours, the official name
    (rf'dcn\.depthwise\.{KINDS}', r'dcn.dw_conv.0.\3'),
    (rf'dcn\.norm\.{KINDS}', r'dcn.dw_conv.1.1.\3'),
    (rf'dcn\.(offset|mask)\.{KINDS}', r'dcn.\3.\4'),
    (rf'dcn\.value_proj\.{KINDS}', r'dcn.input_proj.\3'),
    (rf'dcn\.out_proj\.{KINDS}', r'dcn.output_proj.\3'),
    (rf'dcn\.center_scale\.{KINDS}', r'dcn.center_feature_scale_proj_\3'),
    (rf'before([12])\.{KINDS}', r'norm\3.0.\4'),
)
HEAD = r'(conv_head|head|dcnv3_head_x[34]|clip_projector|fc_norm)\..*'


@WEIGHT_LAYOUTS.register_module(name='intern-image')
class InternImageLayout(WeightLayout):
    """T to G, with the heads of classifiers. Gammas that T's files lack (``layer_scale=1.0``) stay at their start."""

    papers = ('intern_image',)
    model, part, head = InternImage, 'backbone', HEAD

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return any(key.endswith('levels.0.blocks.0.dcn.input_proj.weight') for key in keys)

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: InternImage) -> list[Rule]:
        prefix = prefix_of(state)
        ours, stage = r'stages\.(\d+)\.blocks\.(\d+)\.', prefix + r'levels.\1.'
        block = stage + r'blocks.\2.'
        both = any(name.endswith('res_post_norm1.0.weight') for name in state)
        after = (r'res_post_norm\3.0.\4') if both else r'norm\3.0.\4'
        embed = ((r'0\.conv', 'conv1'), (r'0\.norm', 'norm1.1'), (r'2\.conv', 'conv2'), (r'2\.norm', 'norm2.1'))
        return [
            *[Rule(ours + name, [block + theirs]) for name, theirs in BLOCK],
            Rule(ours + rf'after([12])\.{KINDS}', [block + after]),
            Rule(ours + '(.*)', [block + r'\3']),
            Rule(rf'stages\.(\d+)\.norm\.{KINDS}', [stage + r'norm.0.\2']),
            Rule(r'stages\.(\d+)\.norms\.(\d+)\.' + KINDS, post_norm(prefix, model)),
            Rule(r'stages\.(\d+)\.downsample\.conv\.weight', [stage + 'downsample.conv.weight']),
            Rule(rf'stages\.(\d+)\.downsample\.norm\.{KINDS}', [stage + r'downsample.norm.1.\2']),
            *[
                Rule(rf'patch_embed\.{name}\.{KINDS}', [f'{prefix}patch_embed.{theirs}.' + r'\1'])
                for name, theirs in embed
            ],
        ]

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: InternImage) -> dict[str, str]:
        last = len(model.stages) - 1
        unbuilt = '|'.join(map(str, range(last + 1, len(model.depths))))
        if not unbuilt:
            return {}
        return {rf'.*levels\.({unbuilt})\..*|.*levels\.{last}\.downsample\..*': 'its stage is not built (out_indices)'}

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: InternImage) -> dict[str, str]:
        return {r'stages\.\d+\.blocks\.\d+\.gamma[12]': 'the file has no layer scale; it starts as the config says'}

    @classmethod
    def refuse(cls, state: Mapping[str, Tensor], model: InternImage) -> dict[str, str]:
        prefix = prefix_of(state)
        width = len(state[f'{prefix}patch_embed.conv2.weight'])
        depths = []
        while any(name.startswith(f'{prefix}levels.{len(depths)}.') for name in state):
            start = f'{prefix}levels.{len(depths)}.blocks.'
            depths.append(len({name[len(start) :].split('.')[0] for name in state if name.startswith(start)}))
        built = model.patch_embed[2].conv.out_channels
        if (width, tuple(depths)) != (built, model.depths):
            return {
                'the model': f'the file has {width} channels and depths {depths}, the config builds {built} and '
                f'{list(model.depths)}; change `arch`'
            }
        return {}

    @classmethod
    def head_rules(cls, state: Mapping[str, Tensor], head: nn.Module) -> list[Rule]:
        qkv = [f'clip_projector.cross_dcn.{each}' for each in 'qkv']
        norms = {str(i): f'clip_projector.norm1_{each}.0' for i, each in enumerate('qkv')}
        return [
            Rule(rf'fc\.{KINDS}', [r'head.\1']),
            Rule(r'conv\.weight', ['conv_head.0.weight']),
            Rule(rf'coarse\.{KINDS}', [r'dcnv3_head_x4.0.\1']),
            Rule(rf'fine\.{KINDS}', [r'dcnv3_head_x3.\1']),
            Rule(rf'norms\.(\d)\.{KINDS}', lambda match: [f'{norms[match[1]]}.{match[2]}']),
            Rule(r'attn\.in_proj_weight', [f'{each}.weight' for each in qkv], joined=True),
            Rule(r'attn\.in_proj_bias', [f'{each}_bias' for each in qkv], joined=True),
            Rule(rf'attn\.out_proj\.{KINDS}', [r'clip_projector.cross_dcn.proj.\1']),
            Rule(r'norm\.(weight|bias)', [r'fc_norm.0.\1'] if 'fc_norm.0.weight' in state else [r'conv_head.1.0.\1']),
            Rule(r'norm\.(.*)', [r'conv_head.1.0.\1']),
        ]


def post_norm(prefix: str, model: InternImage):
    """Official norms after blocks are counted on their own; ours are called by the block."""

    def name(match) -> list[str]:
        index = list(model.stages[int(match[1])].norms).index(match[2])
        return [f'{prefix}levels.{match[1]}.post_norms.{index}.0.{match[3]}']

    return name


def prefix_of(state: Mapping[str, Tensor]) -> str:
    end = 'levels.0.blocks.0.dcn.input_proj.weight'
    return next(name.removesuffix(end) for name in state if name.endswith(end))
