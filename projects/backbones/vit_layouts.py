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
from ..weights.keys import Conversion, Make, Rule, block, draw, not_for
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
        ours: what stands before our names, '' or 'backbone.'.
    """

    def __init__(self, state: Mapping[str, Tensor], ours: str):
        self.state, self.ours = state, re.escape(ours)
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
        return Rule(self.ours + ours, names, make, joined=len(names) > 1)


def start_of(state: Mapping[str, Tensor]) -> str | None:
    """What stands before all names of the backbone in a file; None where it holds no ViT."""
    for patches in PATCHES:
        end = f'{patches}.weight'
        for name in state:
            if name.endswith(end) and state_is_vit(state, name.removesuffix(end)):
                return name.removesuffix(end)
    return None


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


def flat(tensor: Tensor, shape: Size) -> Tensor:
    return tensor.reshape(shape)


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
        words.rule('class_token', 'cls_token', 'embeddings.cls_token', make=flat),
        words.rule('registers', *REGISTERS, make=flat),
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
        else Rule(words.ours + r'blocks\.\d+\.attn\.part\.relative\.table', [shared], side_table),
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
        heads = [f'{start}{each}.{kind}' for each in HEADS for start in ('', words.prefix)]
        rules.append(Rule(rf'head\.fc\.{kind}', [next((name for name in heads if name in words.state), heads[0])]))
    return rules + stem_rules(words)


HEADS = ('head', 'classifier', 'head.fc')
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
    ours = words.ours + r'stem\.'
    return [
        Rule(ours + r'root\.weight', [f'{stem}{root}conv.weight']),
        Rule(ours + r'root_norm\.(weight|bias)', [stem + root + r'norm.\1']),
        Rule(ours + r'stages\.(\d+)\.(\d+)\.shortcut\.0\.weight', [unit + 'downsample.conv.weight']),
        Rule(ours + r'stages\.(\d+)\.(\d+)\.shortcut\.1\.(weight|bias)', [unit + r'downsample.norm.\3']),
        Rule(ours + r'stages\.(\d+)\.(\d+)\.(.*)', [unit + r'\3']),
    ]


def of_vit(model: nn.Module) -> ViT | None:
    """The ViT that is the model, or its backbone."""
    found = getattr(model, 'backbone', model)
    return found if isinstance(found, ViT) else None


@WEIGHT_LAYOUTS.register_module(name='vit')
class ViTLayout(WeightLayout):
    """Plain vision transformers with the names of timm or transformers: ViT, DeiT, MAE, DINOv2, DINOv3, BEiT. A
    classifier takes the head, too; what a dense model lacks (class token, final norm) is dropped.

    Patch kernels of 14 pixels are resized to 16, positions and biases to the model's grid.
    """

    part = 'backbone'

    @classmethod
    def target(cls, model: nn.Module) -> str:
        return '' if is_classifier(model) else super().target(model)

    @staticmethod
    def matches(keys: set[str]) -> bool:
        patches = [key for key in keys if key.endswith(tuple(f'{each}.weight' for each in PATCHES))]
        others = any('.spm.' in key or key.startswith('spm.') or 'text' in key for key in keys)
        return not others and any(
            state_is_vit(keys, patch[: -len(end)]) for patch in patches for end in ENDS if patch.endswith(end)
        )

    @classmethod
    def convert(cls, state: Mapping[str, Tensor], model: nn.Module) -> Conversion:
        vit = of_vit(model)
        if vit is None:
            return not_for(model, ViT)
        words = Words(state, '' if vit is model else 'backbone.')
        refused = misfit(words, vit)
        if refused:
            return Conversion(refused={'the model': refused})
        return draw(state, model, vit_rules(words, vit), dropped(vit, is_classifier(model)), {})


ENDS = tuple(f'{each}.weight' for each in PATCHES)


def is_classifier(model: nn.Module) -> bool:
    """Whether it has a backbone and, above it, one linear layer of classes."""
    return hasattr(model, 'backbone') and hasattr(getattr(model, 'head', None), 'fc')


def misfit(words: Words, vit: ViT) -> str:
    """Why a file is for another ViT than this; empty where it may fit."""
    names = [name for name in words.state if name.startswith(words.prefix)]
    numbers = re.compile(re.escape(words.prefix) + re.escape(words.block).replace(r'\{\}', r'(\d+)') + r'\.')
    depth = len({match[1] for match in map(numbers.match, names) if match})
    patches = words.state[words.first(*ENDS)]
    dims, depth_wanted = vit.embed_dims, len(vit.blocks)
    if (len(patches), depth) != (dims, depth_wanted):
        return (
            f'the file has {len(patches)} channels in {depth} blocks, the config builds {dims} in {depth_wanted}; '
            'change `arch`'
        )
    if patches.shape[-1] != vit.patch_size and (patches.shape[-1], vit.patch_size) != (14, 16):
        return f'the file has patches of {patches.shape[-1]}, the config patch_size={vit.patch_size}'
    if words.first(*REGISTERS) and vit.registers is None:
        count = words.state[words.first(*REGISTERS)].shape[-2]
        return f'the file has {count} register tokens, the config none; write num_registers={count}'
    if any(name.endswith('dist_token') for name in names):
        return 'the file has a distillation token (DeiT distilled), which this ViT has not'
    return ''


def dropped(vit: ViT, classifier: bool) -> dict[str, str]:
    """Official names that a model may do without."""
    drop = {
        r'(.*\.)?mask_token': 'of pre-training',
        r'(.*\.)?relative_position_index': 'computed',
        r'.*rope_embed\.periods|.*bias_mask|.*inv_freq': 'computed',
        r'(.*\.)?pooler\..*|pre_logits\..*|(.*\.)?decoder.*': 'of pre-training',
    }
    if vit.class_token is None:
        drop[r'(.*\.)?cls_token'] = 'this model has no class token'
    if isinstance(vit.norm, nn.Identity):
        drop[r'(.*\.)?(norm|fc_norm|layernorm)\.(weight|bias)'] = 'this model has no final norm'
    if not classifier:
        drop[r'(head|classifier)\..*'] = 'a backbone has no classifier'
    return drop
