"""Published weights of plain vision transformers: the official Flax files, and all that have the names of timm (DeiT,
MAE, DINOv2, DINOv3, BEiT too) or of transformers.

The codes differ in a few words for the same tensors; which words a file uses is seen in its first block.
"""

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Size, Tensor, nn

from ..layers.position import resize_grid
from ..layers.relative_bias import resize_table
from ..registry import WEIGHT_LAYOUTS
from ..weights.keys import Make, Rule, block, reshaped
from ..weights.layout import WeightLayout
from .vit import RESIZE, ViT

# Names of the first of a file's patch projection, and of the first norm of a block ({} is its number).
PATCHES = ('patch_embed.proj', 'embeddings.patch_embeddings.projection', 'embeddings.patch_embeddings')
BLOCKS = (r'blocks.\d+.{}', 'blocks.{}', 'encoder.layer.{}', 'layers.{}', 'model.layer.{}', 'layer.{}')
NORMS = ('norm1.weight', 'layernorm_before.weight')


class Words:
    """Which of several words a file uses: ``rule`` takes the first option whose tensors are all there.

    Args:
        state: official tensors by name.
    """

    def __init__(self, state: Mapping[str, Tensor]):
        self.state = state
        self.prefix = start_of(state)
        self.block = next((each for each in BLOCKS if self._holds(each)), BLOCKS[1])

    def _holds(self, block: str) -> bool:
        return any(self.prefix + block.format(0) + '.' + norm in self.state for norm in NORMS)

    def has(self, name: str) -> bool:
        return self.prefix + name in self.state

    def first(self, *names: str) -> str | None:
        return next((self.prefix + name for name in names if self.has(name)), None)

    def rule(self, ours: str, *options: str | tuple[str, ...], make: Make | None = None) -> Rule:
        """Of a tensor beside the blocks; an option of several names is stacked."""
        return self._rule(ours, options, make, lambda name: self.prefix + name)

    def in_block(self, ours: str, *options: str | tuple[str, ...], make: Make | None = None) -> Rule:
        """The same of a tensor of every block: the first group of ours is the block's number."""
        place = self.prefix + self.block.format(r'\1') + '.'
        return self._rule(r'blocks\.(\d+)\.' + ours, options, make, lambda name: place + name)

    def _rule(self, ours, options, make, whole) -> Rule:
        options = [(option,) if isinstance(option, str) else option for option in options]
        named = [[whole(name) for name in option] for option in options]
        there = [names for names in named if all(name.replace(r'\1', '0') in self.state for name in names)]
        names = (there or named)[0]
        return Rule(ours, names, make, joined=len(names) > 1)


def start_of(state: Mapping[str, Tensor]) -> str:
    """What stands before all names of the backbone in a file."""
    for patches in PATCHES:
        end = f'{patches}.weight'
        for name in state:
            if name.endswith(end) and state_is_vit(state, name.removesuffix(end)):
                return name.removesuffix(end)
    return ''


def state_is_vit(names: Mapping[str, Tensor] | set[str], prefix: str) -> bool:
    return any(f'{prefix}{each.format(0)}.{norm}' in names for each in BLOCKS for norm in NORMS)


def positions(model: ViT) -> Make:
    """The patches' rows of a position table, in the size of the model's grid."""

    def make(table: Tensor, shape: Size) -> Tensor:
        grid = without_class(table)
        return resize_grid(grid, shape[:-1], **RESIZE[model.resize])

    return make


def without_class(table: Tensor) -> Tensor:
    """1 N C, with or without a row of the class token -> side side C."""
    rows = table.reshape(-1, table.shape[-1])
    for extra in (0, 1):
        side = round((len(rows) - extra) ** 0.5)
        if side * side == len(rows) - extra:
            return rows[extra:].unflatten(0, (side, side))
    raise ValueError(f'a table of {len(rows)} rows is no square grid, with or without a class token')


def class_row(table: Tensor, shape: Size) -> Tensor:
    """The row of the class token; zeros in tables without it, whose class token holds it already (timm's registers)."""
    rows = table.reshape(-1, table.shape[-1])
    return rows[0].clone() if round(len(rows) ** 0.5) ** 2 != len(rows) else torch.zeros_like(rows[0])


def kernel(tensor: Tensor, shape: Size) -> Tensor:
    """A patch projection; that of 14 pixels may become one of 16 (bilinear, as ViT-Adapter takes DINOv2)."""
    if tensor.shape[-1] == 14 and shape[-1] == 16:
        return F.interpolate(tensor, size=tuple(shape[-2:]), mode='bilinear', align_corners=False)
    return tensor


def side_table(table: Tensor, shape: Size) -> Tensor:
    """A table of relative biases for a window of another size; the rows of a class token go where ours has none."""
    extra = 3 if (shape[0] - 3) ** 0.5 % 1 == 0 else 0
    given = 3 if (table.shape[0] - 3) ** 0.5 % 1 == 0 else 0
    old, new = (round((rows - more) ** 0.5 + 1) // 2 for rows, more in ((len(table), given), (shape[0], extra)))
    resized = resize_table(table, (old, old), (new, new)) if old != new else table
    return resized[: shape[0]]


QKV = ('query', 'key', 'value')


def vit_rules(words: Words, model: ViT) -> list[Rule]:
    """Ours, of a file with the names of timm or transformers."""

    def projections(kind: str) -> list[str | tuple[str, ...]]:
        return [
            f'attn.qkv.{kind}',
            tuple(f'attention.attention.{each}.{kind}' for each in QKV),
            tuple(f'attention.{each[0]}_proj.{kind}' for each in QKV),
        ]

    def one_bias(index: int) -> Rule:
        name = QKV[index]
        own = [f'attn.{name[0]}_bias', f'attention.attention.{name}.bias', f'attention.{name[0]}_proj.bias']
        whole = words.first(words.block.format(0) + '.attn.qkv.bias') is not None
        options = ['attn.qkv.bias'] if whole else own
        return words.in_block(rf'attn\.part\.{name[0]}_bias', *options, make=block(index, 3) if whole else None)

    names = ('attn.relative_position_bias_table',)
    tables = [f'attention.attention.relative_position_bias.{names[0][5:]}', f'relative_position_bias.{names[0][5:]}']
    shared = words.first('rel_pos_bias.relative_position_bias_table')
    rules = [
        words.rule('class_token', 'cls_token', 'embeddings.cls_token', make=reshaped),
        words.rule('registers', *REGISTERS, make=reshaped),
        words.rule(r'position\.grid', *TABLES, make=positions(model)),
        words.rule('class_position', *TABLES, make=class_row),
        *[
            words.rule(rf'patch_embed\.proj\.{kind}', *[f'{each}.{kind}' for each in PATCHES], make=make)
            for kind, make in (('weight', kernel), ('bias', None))
        ],
        words.in_block(r'attn\.part\.in_proj_weight', *projections('weight')),
        words.in_block(r'attn\.part\.in_proj_bias', *projections('bias')),
        one_bias(0),
        one_bias(2),
        words.in_block(r'attn\.scale', *scales(1)),
        words.in_block(r'mlp\.scale', *scales(2)),
        words.in_block(r'attn\.part\.relative\.table', *names, *tables, make=side_table)
        if shared is None
        else Rule(r'blocks\.\d+\.attn\.part\.relative\.table', [shared], side_table),
    ]
    for kind in ('weight', 'bias'):
        rules += [
            words.in_block(rf'attn\.norm\.{kind}', f'norm1.{kind}', f'layernorm_before.{kind}'),
            words.in_block(rf'mlp\.norm\.{kind}', f'norm2.{kind}', f'layernorm_after.{kind}'),
            words.in_block(rf'attn\.part\.out_proj\.{kind}', *[f'{each}.{kind}' for each in OUTPUTS]),
            words.in_block(
                rf'mlp\.part\.fc1\.{kind}',
                *[f'{each}.{kind}' for each in ('mlp.fc1', 'intermediate.dense', 'mlp.w12', 'mlp.weights_in')],
                (f'mlp.w1.{kind}', f'mlp.w2.{kind}'),
                (f'mlp.gate_proj.{kind}', f'mlp.up_proj.{kind}'),
                f'mlp.up_proj.{kind}',
            ),
            words.in_block(
                rf'mlp\.part\.fc2\.{kind}',
                *[
                    f'{each}.{kind}'
                    for each in ('mlp.fc2', 'output.dense', 'mlp.w3', 'mlp.down_proj', 'mlp.weights_out')
                ],
            ),
            words.rule(rf'norm\.{kind}', *[f'{each}.{kind}' for each in FINAL]),
        ]
    return rules + stem_rules(words)


TABLES = ('pos_embed', 'embeddings.position_embeddings')
REGISTERS = ('reg_token', 'register_tokens', 'storage_tokens', 'embeddings.register_tokens')
OUTPUTS = ('attn.proj', 'attention.output.dense', 'attention.o_proj')
FINAL = ('fc_norm', 'norm', 'layernorm', 'pooler.layernorm')


def scales(index: int) -> tuple[str, ...]:
    """Words for the learned factor of a branch."""
    return (f'ls{index}.gamma', f'gamma_{index}', f'gamma{index}', f'layer_scale{index}.lambda1', f'lambda_{index}')


def stem_rules(words: Words) -> list[Rule]:
    """Of timm's hybrids."""
    stem, root = (
        words.prefix + 'patch_embed.backbone.',
        'stem.' if words.has('patch_embed.backbone.stem.conv.weight') else '',
    )
    unit = stem + r'stages.\1.blocks.\2.'
    ours = r'stem\.'
    return [
        Rule(ours + r'root\.weight', [f'{stem}{root}conv.weight']),
        Rule(ours + r'root_norm\.(weight|bias)', [stem + root + r'norm.\1']),
        Rule(ours + r'stages\.(\d+)\.(\d+)\.shortcut\.0\.weight', [unit + 'downsample.conv.weight']),
        Rule(ours + r'stages\.(\d+)\.(\d+)\.shortcut\.1\.(weight|bias)', [unit + r'downsample.norm.\3']),
        Rule(ours + r'stages\.(\d+)\.(\d+)\.(.*)', [unit + r'\3']),
    ]


@WEIGHT_LAYOUTS.register_module(name='vit')
class ViTLayout(WeightLayout):
    """Plain vision transformers with the names of timm or transformers: ViT, DeiT, MAE, DINOv2, DINOv3, BEiT. What a
    dense model lacks (class token, final norm) is dropped.

    Patch kernels of 14 pixels are resized to 16, positions and biases to the model's grid.
    """

    papers = ('vit',)
    model, part = ViT, 'backbone'
    head = r'(head|classifier|head\.fc|pre_logits|fc)\.(weight|bias)'

    @staticmethod
    def matches(keys: set[str]) -> bool:
        if any(re.search(r'(^|\.)(spm|text\w*|visual|quantize)\.', key) for key in keys):
            return False
        starts = {key[: -len(end)] for key in keys for end in ENDS if key.endswith(end)}
        return any(state_is_vit(keys, start) for start in starts)

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: ViT) -> list[Rule]:
        return vit_rules(Words(state), model)

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: ViT) -> dict[str, str]:
        scales = [scale for block in model.blocks for scale in (block.attn.scale, block.mlp.scale)]
        if any(scale is None or not bool((scale == 1).all()) for scale in scales if scale is None or not scale.is_meta):
            return {}
        return {r'blocks\.\d+\.(attn|mlp)\.scale': 'the file has no layer scale, and it starts at 1'}

    @classmethod
    def refuse(cls, state: Mapping[str, Tensor], model: ViT) -> dict[str, str]:
        problem = misfit(Words(state), model)
        return {'the model': problem} if problem else {}

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: ViT) -> dict[str, str]:
        drop = {
            r'(.*\.)?mask_token': 'of pre-training',
            r'(.*\.)?relative_position_index|.*rope_embed\.periods|.*bias_mask|.*inv_freq': 'computed',
            r'(.*\.)?pooler\..*|(.*\.)?decoder.*': 'of pre-training',
        }
        if model.class_token is None:
            drop[r'(.*\.)?cls_token'] = 'this model has no class token'
        if isinstance(model.norm, nn.Identity):
            drop[r'(.*\.)?(norm|fc_norm|layernorm)\.(weight|bias)'] = 'this model has no final norm'
        return drop


ENDS = tuple(f'{each}.weight' for each in PATCHES)


def misfit(words: Words, vit: ViT) -> str:
    """Why a file is for another ViT than this; empty where it may fit."""
    names = [name for name in words.state if name.startswith(words.prefix)]
    numbers = re.compile(re.escape(words.prefix + words.block.format('#')).replace(r'\#', r'(\d+)') + r'\.')
    depth = len({match[1] for match in map(numbers.match, names) if match})
    patches = words.state[words.first(*ENDS)]
    if (len(patches), depth) != (vit.embed_dims, len(vit.blocks)):
        return (
            f'the file has {len(patches)} channels in {depth} blocks, the config builds {vit.embed_dims} in '
            f'{len(vit.blocks)}; change `arch`'
        )
    if patches.shape[-1] != vit.patch_size and (patches.shape[-1], vit.patch_size) != (14, 16):
        return f'the file has patches of {patches.shape[-1]}, the config patch_size={vit.patch_size}'
    registers = words.first(*REGISTERS)
    if registers and vit.registers is None:
        count = words.state[registers].shape[-2]
        return f'the file has {count} register tokens, the config none; write num_registers={count}'
    if words.has('dist_token'):
        return 'the file has a distillation token (DeiT distilled), which this ViT has not'
    return ''
