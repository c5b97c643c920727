"""Published weights of CLIP: OpenAI's TorchScript archives and their state dicts, open_clip's files (the same names),
and those of transformers.

They also fill a backbone alone (`ViT`, `ClipResNet`): a detector's, say. The activation is in no tensor: OpenAI's were
trained with the quick GELU, which `act` and `gelu` of the config must say; of other files nobody can tell.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Size, Tensor, nn

from ..layers.mlp import QuickGELU
from ..layers.position import resize_grid
from ..registry import WEIGHT_LAYOUTS
from ..weights.keys import Make, Rule
from ..weights.layout import WeightLayout

SHAPES = ('input_resolution', 'context_length', 'vocab_size')  # buffers of OpenAI's archives


def transposed(tensor: Tensor, shape: Size) -> Tensor:
    return tensor.T.contiguous()


def first_row(table: Tensor, shape: Size) -> Tensor:
    """The class token's (or the mean's) of a position table."""
    return table[0].clone()


def grid(how: Mapping[str, Any]) -> Make:
    """The other rows, in the size of the model's grid."""

    def make(table: Tensor, shape: Size) -> Tensor:
        side = round((len(table) - 1) ** 0.5)
        if side * side != len(table) - 1:
            raise ValueError(f'a table of {len(table)} rows is no square grid behind the row of the class token')
        return resize_grid(table[1:].unflatten(0, (side, side)), shape[:-1], **how)

    return make


def first_rows(table: Tensor, shape: Size) -> Tensor:
    """A text's positions: a shorter context takes the first ones."""
    if len(table) < shape[0]:
        raise ValueError(f'{len(table)} positions, context_length={shape[0]} asks for more')
    return table[: shape[0]].clone()


def scalar(tensor: Tensor, shape: Size) -> Tensor:
    return tensor.reshape(shape)


# Ours -> OpenAI's, within a tower's blocks.
BLOCK = {
    r'attn\.norm\.(weight|bias)': r'ln_1.\2',
    r'mlp\.norm\.(weight|bias)': r'ln_2.\2',
    r'attn\.part\.in_proj_(weight|bias)': r'attn.in_proj_\2',
    r'attn\.part\.out_proj\.(weight|bias)': r'attn.out_proj.\2',
    r'mlp\.part\.fc1\.(weight|bias)': r'mlp.c_fc.\2',
    r'mlp\.part\.fc2\.(weight|bias)': r'mlp.c_proj.\2',
}
# The same of transformers; q, k and v are three.
BLOCK_HF = {
    r'attn\.norm\.(weight|bias)': [r'layer_norm1.\2'],
    r'mlp\.norm\.(weight|bias)': [r'layer_norm2.\2'],
    r'attn\.part\.in_proj_(weight|bias)': [rf'self_attn.{each}_proj.\2' for each in 'qkv'],
    r'attn\.part\.out_proj\.(weight|bias)': [r'self_attn.out_proj.\2'],
    r'mlp\.part\.(fc1|fc2)\.(weight|bias)': [r'mlp.\2.\3'],
}
RESNET = {r'(conv[123]|bn[123])\.(.*)': r'\1.\2', r'attn_pool\.(q_proj|k_proj|v_proj|c_proj)\.(.*)': r'attnpool.\1.\2'}


class OpenAI:
    """Names of OpenAI and open_clip."""

    visual, text, projected = 'visual.', '', r'visual.proj'

    @staticmethod
    def blocks(ours: str, theirs: str) -> list[Rule]:
        place = theirs + r'transformer.resblocks.\1.'
        return [Rule(ours + r'blocks\.(\d+)\.' + name, [place + word]) for name, word in BLOCK.items()]

    @classmethod
    def vit(cls, ours: str, how: Mapping[str, Any]) -> list[Rule]:
        table = [f'{cls.visual}positional_embedding']
        return [
            Rule(ours + 'class_token', [f'{cls.visual}class_embedding'], scalar),
            Rule(ours + 'class_position', table, first_row),
            Rule(ours + r'position\.grid', table, grid(how)),
            Rule(ours + r'patch_embed\.proj\.weight', [f'{cls.visual}conv1.weight']),
            Rule(ours + r'pre_norm\.(weight|bias)', [cls.visual + r'ln_pre.\1']),
            Rule(ours + r'norm\.(weight|bias)', [cls.visual + r'ln_post.\1']),
            *cls.blocks(ours, cls.visual),
        ]

    @classmethod
    def resnet(cls, ours: str) -> list[Rule]:
        table = [f'{cls.visual}attnpool.positional_embedding']

        def stage(match: re.Match) -> list[str]:
            number, block, rest = match.groups()
            rest = rest.replace('shortcut.conv.', 'downsample.0.').replace('shortcut.bn.', 'downsample.1.')
            return [f'{cls.visual}layer{int(number) + 1}.{block}.{rest}']

        return [
            Rule(ours + r'stages\.(\d+)\.(\d+)\.(.*)', stage),
            Rule(ours + r'attn_pool\.mean_position', table, first_row),
            Rule(ours + r'attn_pool\.position', table, grid({})),
            *[Rule(ours + name, [cls.visual + word]) for name, word in RESNET.items()],
        ]

    @classmethod
    def whole(cls, prefix: str) -> list[Rule]:
        text = r'towers\.text\.'
        return [
            Rule(r'projections\.image\.weight', ['visual.proj'], transposed),
            Rule(r'projections\.text\.weight', [prefix + 'text_projection'], transposed),
            Rule(text + r'token_embedding\.weight', [prefix + 'token_embedding.weight']),
            Rule(text + r'position', [prefix + 'positional_embedding'], first_rows),
            Rule(text + r'norm\.(weight|bias)', [prefix + r'ln_final.\1']),
            Rule(r'objectives\.\w+\.scale\.log_scale', ['logit_scale'], scalar),
            *cls.blocks(text, prefix),
        ]


class Transformers:
    """Names of transformers."""

    visual, text = 'vision_model.', 'text_model.'

    @staticmethod
    def blocks(ours: str, theirs: str) -> list[Rule]:
        place = theirs + r'encoder.layers.\1.'
        return [
            Rule(ours + r'blocks\.(\d+)\.' + name, [place + word for word in words], joined=len(words) > 1)
            for name, words in BLOCK_HF.items()
        ]

    @classmethod
    def vit(cls, ours: str, how: Mapping[str, Any]) -> list[Rule]:
        start = cls.visual + 'embeddings.'
        table = [start + 'position_embedding.weight']
        return [
            Rule(ours + 'class_token', [start + 'class_embedding'], scalar),
            Rule(ours + 'class_position', table, first_row),
            Rule(ours + r'position\.grid', table, grid(how)),
            Rule(ours + r'patch_embed\.proj\.weight', [start + 'patch_embedding.weight']),
            Rule(ours + r'pre_norm\.(weight|bias)', [cls.visual + r'pre_layrnorm.\1']),
            Rule(ours + r'norm\.(weight|bias)', [cls.visual + r'post_layernorm.\1']),
            *cls.blocks(ours, cls.visual),
        ]

    @classmethod
    def resnet(cls, ours: str) -> list[Rule]:
        return []

    @classmethod
    def whole(cls, prefix: str) -> list[Rule]:
        text, start = r'towers\.text\.', cls.text + 'embeddings.'
        return [
            Rule(r'projections\.image\.weight', ['visual_projection.weight']),
            Rule(r'projections\.text\.weight', ['text_projection.weight']),
            Rule(text + r'token_embedding\.weight', [start + 'token_embedding.weight']),
            Rule(text + r'position', [start + 'position_embedding.weight'], first_rows),
            Rule(text + r'norm\.(weight|bias)', [cls.text + r'final_layer_norm.\1']),
            Rule(r'objectives\.\w+\.scale\.log_scale', ['logit_scale'], scalar),
            *cls.blocks(text, cls.text),
        ]


@WEIGHT_LAYOUTS.register_module(name='clip')
class ClipLayout(WeightLayout):
    """CLIP with a ViT or its own ResNet; positions of images are resized as the model does it, those of texts cut."""

    papers = ('clip',)
    model, part = BaseModule, 'backbone'
    hidden = ('activation',)

    @staticmethod
    def matches(keys: set[str]) -> bool:
        openai = {'visual.conv1.weight', 'logit_scale'} <= keys
        return openai or {'vision_model.embeddings.class_embedding', 'text_projection.weight'} <= keys

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        names, whole = names_of(state), is_whole(model)
        ours = r'towers\.image\.backbone\.' if whole else ''
        how = getattr(getattr(visual(model), 'position', None), 'how', {})
        rules = names.resnet(ours) if is_resnet(visual(model)) else names.vit(ours, how)
        return names.whole('text.' if 'text.ln_final.weight' in state else '') + rules if whole else rules

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        drop = {
            '|'.join(SHAPES): 'a size, no weight',
            r'.*\.position_ids|.*attn_mask|.*num_batches_tracked': 'computed',
        }
        if not is_whole(model):
            text = r'(text|transformer|token_embedding|positional_embedding|ln_final|logit_scale|text_model).*'
            drop[text] = 'of the text tower, this is a backbone'
            drop[r'visual\.proj|visual_projection\.weight|visual\.attnpool\..*'] = 'a backbone has no joint space'
            if isinstance(getattr(model, 'norm', None), nn.Identity):
                drop[r'(visual\.ln_post|vision_model\.post_layernorm)\..*'] = 'this model has no final norm'
        return drop

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        return {r'.*num_batches_tracked': 'counts the steps of a training; files in half precision lack it'}

    @classmethod
    def refuse(cls, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, str]:
        backbone = visual(model)
        if backbone is None or not (is_resnet(backbone) or hasattr(backbone, 'class_token')):
            return {'the model': 'CLIP fills a MultimodalModel, a ViT or a ClipResNet; the config builds another'}
        file = 'a ResNet' if 'visual.layer1.0.conv1.weight' in state else 'a ViT'
        config = 'a ResNet' if is_resnet(backbone) else 'a ViT'
        if file != config:
            return {'the model': f'the file holds {file}, the config builds {config}; change the image tower'}
        if any(name in state for name in SHAPES) and activation(model) != 'quick_gelu':
            how = "act='quick_gelu' of the text tower and gelu='quick' of the ViT"
            return {'the model': f"OpenAI's weights are for the quick GELU, the config builds another; write {how}"}
        return {}

    @classmethod
    def built(cls, model: nn.Module) -> dict[str, Any]:
        backbone = visual(model)
        built = dict(activation=activation(model))
        if backbone is not None and hasattr(backbone, 'class_token'):
            built |= dict(
                vision_width=backbone.embed_dims, vision_layers=len(backbone.blocks), patch_size=backbone.patch_size
            )
        if is_whole(model) and 'text' in model.towers:
            built['text_width'] = model.towers['text'].embed_dims
        return built

    @classmethod
    def shown(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        shown = {}
        patches = state.get('visual.conv1.weight', state.get('vision_model.embeddings.patch_embedding.weight'))
        if 'visual.class_embedding' in state or 'vision_model.embeddings.class_embedding' in state:
            numbers = re.compile(r'(?:visual\.transformer\.resblocks|vision_model\.encoder\.layers)\.(\d+)\.')
            depth = len({match[1] for match in map(numbers.match, state) if match})
            shown |= dict(vision_width=len(patches), vision_layers=depth, patch_size=patches.shape[-1])
        final = next((state[name] for name in FINAL if name in state), None)
        return shown if final is None else shown | dict(text_width=len(final))


FINAL = ('ln_final.weight', 'text.ln_final.weight', 'text_model.final_layer_norm.weight')


def names_of(state: Mapping[str, Tensor]) -> type[OpenAI] | type[Transformers]:
    return OpenAI if 'visual.conv1.weight' in state else Transformers


def is_whole(model: nn.Module) -> bool:
    return hasattr(model, 'towers')


def visual(model: nn.Module) -> nn.Module | None:
    """The image backbone of a model, or the model itself."""
    if not is_whole(model):
        return model
    return getattr(model.towers['image'], 'backbone', None) if 'image' in model.towers else None


def is_resnet(backbone: nn.Module | None) -> bool:
    return hasattr(backbone, 'attn_pool')


def activation(model: nn.Module) -> str:
    """That of the MLPs; of ResNets alone, which have none, that of the files."""
    acts = [module.act for module in model.modules() if hasattr(module, 'fc1') and hasattr(module, 'act')]
    return 'quick_gelu' if all(isinstance(act, QuickGELU) for act in acts) else 'gelu'


def as_openai(model: nn.Module) -> dict[str, Tensor]:
    """Our weights under OpenAI's names, as open_clip loads them.

    Raises:
        ValueError: the model is no CLIP in its own resolution and context.
    """
    if not (is_whole(model) and {'image', 'text'} <= set(model.towers)):
        raise ValueError('only a MultimodalModel with an image and a text tower has the names of CLIP')
    state = model.state_dict()
    whole = {'visual.conv1.weight': torch.empty(0)}
    made: dict[str, dict[str, Tensor]] = {}
    rules = ClipLayout.rules(whole, model)
    for name, tensor in state.items():
        rule, match = next((rule, match) for rule in rules if (match := re.fullmatch(rule.ours, name)))
        (theirs,) = rule.sources(match)
        made.setdefault(theirs, {})[name] = tensor.T if rule.make is transposed else tensor
    return {theirs: joined(parts) for theirs, parts in made.items()}


def joined(parts: Mapping[str, Tensor]) -> Tensor:
    """One tensor, or a position table of its first row and its grid."""
    if len(parts) == 1:
        return next(iter(parts.values())).contiguous()
    row = next(tensor for tensor in parts.values() if tensor.ndim == 1)
    places = next(tensor for tensor in parts.values() if tensor.ndim == 3)
    return torch.cat([row[None], places.flatten(0, 1)])
