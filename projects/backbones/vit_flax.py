"""The official weights of ViT, AugReg and their hybrids: npz files with Flax names.

Files of the releases count all submodules of a block in one (`LayerNorm_0`, `MultiHeadDotProductAttention_1`,
`LayerNorm_2`, `MlpBlock_3`); what today's Flax writes counts each kind on its own. Both are read, a mixture is not.
"""

from collections.abc import Mapping, Sequence

from torch import Size, Tensor, nn

from ..layers.position import resize_grid
from ..registry import WEIGHT_LAYOUTS
from ..weights.keys import Rule, reshaped
from ..weights.layout import WeightLayout
from .vit import RESIZE, ViT
from .vit_layouts import class_row, without_class

PREFIX = 'opt/target/'
RELEASED = ('LayerNorm_0', 'MultiHeadDotProductAttention_1', 'LayerNorm_2', 'MlpBlock_3')
RECENT = ('LayerNorm_0', 'MultiHeadDotProductAttention_0', 'LayerNorm_1', 'MlpBlock_0')
QKV = ('query', 'key', 'value')


def transposed(tensor: Tensor, shape: Size) -> Tensor:
    """in out -> out in, also of kernels with heads: in heads d, or heads d out, whose heads are joined."""
    return tensor.reshape(shape[1], shape[0]).t().contiguous()


def stacked(tensor: Tensor, shape: Size) -> Tensor:
    """Kernels of queries, keys and values one after the other, 3*in heads d -> 3*out in."""
    return tensor.reshape(3, shape[1], -1).transpose(1, 2).reshape(shape).contiguous()


def convolution(tensor: Tensor, shape: Size) -> Tensor:
    """height width in out -> out in height width."""
    return tensor.permute(3, 2, 0, 1).contiguous()


def names_of(state: Mapping[str, Tensor] | set[str], prefix: str) -> Sequence[str]:
    """Which of the two ways the submodules of a block are counted in."""
    first = f'{prefix}Transformer/encoderblock_0/'
    return RELEASED if any(name.startswith(f'{first}MlpBlock_3') for name in state) else RECENT


@WEIGHT_LAYOUTS.register_module(name='vit-flax')
class FlaxViTLayout(WeightLayout):
    """The authors' npz files. They were trained with the tanh form of GELU, so the model must say ``gelu='tanh'``."""

    papers = ('vit',)
    model, part = ViT, 'backbone'
    head = rf'({PREFIX})?(head|pre_logits)/(kernel|bias)'

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return any(key.removeprefix(PREFIX).startswith('Transformer/encoderblock_0/') for key in keys)

    @classmethod
    def refuse(cls, state: Mapping[str, Tensor], model: ViT) -> dict[str, str]:
        prefix = prefix_of(state)
        blocks = {
            name.split('/')[1 + prefix.count('/')]
            for name in state
            if name.startswith(f'{prefix}Transformer/encoderblock_')
        }
        dims = state[f'{prefix}embedding/bias'].numel()
        problem = ''
        if (dims, len(blocks)) != (model.embed_dims, len(model.blocks)):
            problem = (
                f'the file has {dims} channels in {len(blocks)} blocks, the config builds {model.embed_dims} in '
                f'{len(model.blocks)}; change `arch`'
            )
        elif model.gelu != 'tanh':
            problem = "the file was trained with the tanh form of GELU, the config has gelu='erf'; write gelu='tanh'"
        elif len({name.split('/')[-2] for name in state if 'LayerNorm_' in name}) > 2:
            problem = 'the file counts the norms of its blocks in two ways at once'
        return {'the model': problem} if problem else {}

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: ViT) -> list[Rule]:
        prefix = prefix_of(state)
        norm1, attention, norm2, mlp = names_of(state, prefix)
        block, ours = prefix + r'Transformer/encoderblock_\1/', r'blocks\.(\d+)\.'
        table = prefix + 'Transformer/posembed_input/pos_embedding'

        def grid(tensor: Tensor, shape: Size) -> Tensor:
            return resize_grid(without_class(tensor), shape[:-1], **RESIZE[model.resize])

        rules = [
            Rule('class_token', [f'{prefix}cls'], reshaped),
            Rule(r'position\.grid', [table], grid),
            Rule('class_position', [table], class_row),
            Rule(r'patch_embed\.proj\.weight', [f'{prefix}embedding/kernel'], convolution),
            Rule(r'patch_embed\.proj\.bias', [f'{prefix}embedding/bias']),
            Rule(
                ours + r'attn\.part\.in_proj_weight',
                [f'{block}{attention}/{each}/kernel' for each in QKV],
                stacked,
                True,
            ),
            Rule(
                ours + r'attn\.part\.in_proj_bias', [f'{block}{attention}/{each}/bias' for each in QKV], reshaped, True
            ),
            Rule(ours + r'attn\.part\.out_proj\.weight', [f'{block}{attention}/out/kernel'], transposed),
            Rule(ours + r'attn\.part\.out_proj\.bias', [f'{block}{attention}/out/bias']),
        ]
        for kind, theirs in (('weight', 'scale'), ('bias', 'bias')):
            rules += [
                Rule(ours + rf'attn\.norm\.{kind}', [f'{block}{norm1}/{theirs}']),
                Rule(ours + rf'mlp\.norm\.{kind}', [f'{block}{norm2}/{theirs}']),
                Rule(rf'norm\.{kind}', [f'{prefix}Transformer/encoder_norm/{theirs}']),
            ]
        for index in (0, 1):
            dense, name = f'{block}{mlp}/Dense_{index}/', rf'mlp\.part\.fc{index + 1}\.'
            rules += [
                Rule(ours + name + 'weight', [dense + 'kernel'], transposed),
                Rule(ours + name + 'bias', [dense + 'bias']),
            ]
        return rules + stem_rules(prefix)

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: ViT) -> dict[str, str]:
        drop = {}
        if model.class_token is None:
            drop[r'(.*/)?cls'] = 'this model has no class token'
        if isinstance(model.norm, nn.Identity):
            drop[r'.*encoder_norm/.*'] = 'this model has no final norm'
        return drop

    @classmethod
    def head_rules(cls, state: Mapping[str, Tensor], head: nn.Module) -> list[Rule]:
        prefix = prefix_of(state)
        return [
            Rule(r'fc\.weight', [f'{prefix}head/kernel'], transposed),
            Rule(r'fc\.bias', [f'{prefix}head/bias']),
            Rule(r'pre_logits\.weight', [f'{prefix}pre_logits/kernel'], transposed),
            Rule(r'pre_logits\.bias', [f'{prefix}pre_logits/bias']),
        ]


def prefix_of(state: Mapping[str, Tensor]) -> str:
    return PREFIX if any(name.startswith(PREFIX) for name in state) else ''


def stem_rules(prefix: str) -> list[Rule]:
    """Of hybrids: blocks and units are counted from one, norms may be stored as 1 1 1 C."""

    def unit(end: str):
        return lambda match: [f'{prefix}block{int(match[1]) + 1}/unit{int(match[2]) + 1}/' + match.expand(end)]

    ours, kinds = r'stem\.stages\.(\d+)\.(\d+)\.', (('weight', 'scale'), ('bias', 'bias'))
    rules = [
        Rule(r'stem\.root\.weight', [f'{prefix}conv_root/kernel'], convolution),
        Rule(ours + r'conv(\d)\.weight', unit(r'conv\3/kernel'), convolution),
        Rule(ours + r'shortcut\.0\.weight', unit('conv_proj/kernel'), convolution),
    ]
    for kind, theirs in kinds:
        rules += [
            Rule(rf'stem\.root_norm\.{kind}', [f'{prefix}gn_root/{theirs}'], reshaped),
            Rule(ours + rf'norm(\d)\.{kind}', unit(rf'gn\3/{theirs}'), reshaped),
            Rule(ours + rf'shortcut\.1\.{kind}', unit(f'gn_proj/{theirs}'), reshaped),
        ]
    return rules
