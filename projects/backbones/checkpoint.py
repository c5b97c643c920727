"""Published backbone weights: the official and timm's Swin, and torchvision's ResNet.

They describe a backbone; on a whole detector they fill `model.backbone`.
"""

import re
from collections.abc import Iterable, Mapping

import torch.nn.functional as F
from torch import Size, Tensor, nn

from ..registry import WEIGHT_LAYOUTS
from ..weights.keys import Rule
from ..weights.layout import WeightLayout
from .swin import Swin

TABLE = r'layers\.(\d+)\.blocks\.(\d+)\.attn\.relative_position_bias_table'


def is_swin(keys: set[str]) -> bool:
    """Whether these are the names of a Swin v1 (v2 has no table)."""
    return any(re.fullmatch(TABLE, key) for key in keys)


def merges_first(keys: set[str]) -> bool:
    """Whether the merging belongs to the stage that it leads to: then the first stage has none."""
    return any(key.startswith('layers.') and '.downsample.' in key for key in keys) and not any(
        key.startswith('layers.0.downsample.') for key in keys
    )


def resized_table(table: Tensor, shape: Size) -> Tensor:
    """A bias table for another window size, bicubically resized, one head at a time, as the official code does."""
    (old, heads), new = table.shape, shape[0]
    old_side, new_side = round(old**0.5), round(new**0.5)
    if old == new or old_side**2 != old or old_side % 2 == 0:  # of another shape: the caller refuses it
        return table
    grid = table.t().reshape(1, heads, old_side, old_side).float()
    grid = F.interpolate(grid, size=(new_side, new_side), mode='bicubic', align_corners=False)
    return grid.reshape(heads, new).t().contiguous().to(table.dtype)


def swin_rules(model: nn.Module) -> list[Rule]:
    """Our names to a classifier's, where they differ or the shape may."""
    final = f'norm{len(model.depths) - 1}'
    return [
        Rule(TABLE, [r'layers.\1.blocks.\2.attn.relative_position_bias_table'], resized_table),
        Rule(rf'{final}\.(weight|bias)', [r'norm.\1']),
    ]


def swin_drop(model: nn.Module, head: str, unbuilt: Iterable[str]) -> dict[str, str]:
    """What a Swin classifier's checkpoint holds that `model` does not."""
    drop = {r'.*\.relative_position_index': 'computed', r'.*\.attn_mask': 'computed'}
    drop.update({pattern: 'its stage is not built (out_indices)' for pattern in unbuilt})
    if not model.num_classes:
        drop[rf'{head}\.(weight|bias)'] = 'a backbone has no classifier'
        if not hasattr(model, f'norm{len(model.depths) - 1}'):
            drop[r'norm\.(weight|bias)'] = 'the last stage is no output'
    return drop


def swin_fresh(model: nn.Module) -> dict[str, str]:
    """The norms of a dense model that no classifier has."""
    return {
        rf'norm{i}\.(weight|bias)': 'the classifier has no norm for this stage'
        for i in model.out_indices
        if i + 1 < len(model.depths)
    }


@WEIGHT_LAYOUTS.register_module(name='swin')
class SwinLayout(WeightLayout):
    """microsoft/Swin-Transformer's classifiers, {"model": ...}.

    A dense `Swin` has a LayerNorm for each output; the classifier has one, after the last stage. It goes to the norm of
    the last stage if that is an output; the other norms stay as initialised. The head is dropped (a classifier of ours
    takes it, if the number of classes agrees). Bias tables are resized to the model's window.
    """

    papers = ('swin',)
    model, part, head = Swin, 'backbone', r'head\..*'

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return is_swin(keys) and not merges_first(keys)

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        return swin_rules(model)

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        last = len(model.layers) - 1
        unbuilt = [rf'layers\.{i}\..*' for i in range(last + 1, len(model.depths))]
        if unbuilt:
            unbuilt.append(rf'layers\.{last}\.downsample\..*')
        return swin_drop(model, 'head', unbuilt)

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return swin_fresh(model)


@WEIGHT_LAYOUTS.register_module(name='timm-swin')
class TimmSwinLayout(WeightLayout):
    """timm's Swin classifiers: a stage begins with the merging that ends ours; otherwise as `swin`."""

    papers = ('swin',)
    model, part, head = Swin, 'backbone', r'head\..*'

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return is_swin(keys) and merges_first(keys)

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        return [
            Rule(r'layers\.(\d+)\.downsample\.(.*)', lambda m: [f'layers.{int(m[1]) + 1}.downsample.{m[2]}']),
            Rule(r'head\.(weight|bias)', [r'head.fc.\1']),
            *swin_rules(model),
        ]

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        unbuilt = [rf'layers\.{i}\..*' for i in range(len(model.layers), len(model.depths))]
        return swin_drop(model, r'head\.fc', unbuilt)

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return swin_fresh(model)


@WEIGHT_LAYOUTS.register_module(name='torchvision-resnet')
class TorchvisionResNetLayout(WeightLayout):
    """torchvision's ResNet classifiers, for mmdet's ResNet, which kept the names: `fc` is dropped."""

    part = 'backbone'

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return any(key.startswith('layer1.0.') for key in keys) and any(key.startswith('layer4.0.') for key in keys)

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        built = set(model.state_dict())
        drop = {r'fc\.(weight|bias)': 'a backbone has no classifier'}
        drop.update(
            {
                rf'layer{i}\..*': 'its stage is not built (num_stages)'
                for i in range(1, 5)
                if not any(name.startswith(f'layer{i}.') for name in built)
            }
        )
        if not any(name.endswith('num_batches_tracked') for name in built):
            drop[r'.*\.num_batches_tracked'] = 'a counter that nothing reads'
        return drop

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return {r'.*\.num_batches_tracked': 'old files lack this counter'}
