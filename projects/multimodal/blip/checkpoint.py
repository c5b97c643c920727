"""Published weights of BLIP: the official files of every task, and transformers' models.

The text parts have the same names in both; the image tower's differ.
"""

from collections.abc import Mapping

from torch import Size, Tensor, nn

from ...layers.position import resize_grid
from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Make, Rule, reshaped
from ...weights.layout import WeightLayout
from ..checkpoint_bert import bert_rules, word_head_rules
from ..model import MultimodalModel
from .med import MedDecoder, MedTower

IMAGE = r'towers\.image\.backbone\.'


def grid_rows(table: Tensor, shape: Size) -> Tensor:
    """1 1+N C -> rows and columns of the patches, bicubically resized to the model's."""
    rows = table.reshape(-1, table.shape[-1])[1:]
    side = round(len(rows) ** 0.5)
    if side * side != len(rows):
        raise ValueError(f'a table of {len(rows)} patches is no square')
    return resize_grid(rows.unflatten(0, (side, side)), shape[:-1], mode='bicubic')


def first_row(table: Tensor, shape: Size) -> Tensor:
    return table.reshape(-1, table.shape[-1])[0].clone()


def image_rules(start: str, block: str, words: Mapping[str, str], ours: str = IMAGE) -> list[Rule]:
    """Of the image tower, by the words of a code for the same tensors."""

    def rule(name: str, theirs: str, make: Make | None = None) -> Rule:
        return Rule(ours + name, [start + theirs], make)

    rules = [
        rule('class_token', words['class'], reshaped),
        rule('class_position', words['positions'], first_row),
        rule(r'position\.grid', words['positions'], grid_rows),
        rule(r'patch_embed\.proj\.(weight|bias)', words['patches'] + r'.\1'),
        rule(r'norm\.(weight|bias)', words['norm'] + r'.\1'),
    ]
    for kind in ('weight', 'bias'):
        pairs = {
            rf'attn\.part\.in_proj_{kind}': f'{words["qkv"]}.{kind}',
            rf'attn\.part\.out_proj\.{kind}': f'{words["proj"]}.{kind}',
            rf'attn\.norm\.{kind}': f'{words["norm1"]}.{kind}',
            rf'mlp\.norm\.{kind}': f'{words["norm2"]}.{kind}',
            rf'mlp\.part\.fc1\.{kind}': f'mlp.fc1.{kind}',
            rf'mlp\.part\.fc2\.{kind}': f'mlp.fc2.{kind}',
        }
        rules += [rule(rf'blocks\.(\d+)\.{name}', f'{block}.\\1.{theirs}') for name, theirs in pairs.items()]
    return rules


OFFICIAL = {
    'class': 'cls_token',
    'positions': 'pos_embed',
    'patches': 'patch_embed.proj',
    'norm': 'norm',
    'qkv': 'attn.qkv',
    'proj': 'attn.proj',
    'norm1': 'norm1',
    'norm2': 'norm2',
}
TRANSFORMERS = {
    'class': 'embeddings.class_embedding',
    'positions': 'embeddings.position_embedding',
    'patches': 'embeddings.patch_embedding',
    'norm': 'post_layernorm',
    'qkv': 'self_attn.qkv',
    'proj': 'self_attn.projection',
    'norm1': 'layer_norm1',
    'norm2': 'layer_norm2',
}
COMPUTED = {
    r'.*position_ids': 'computed',
    r'.*(image_queue|text_queue|queue_ptr|ptr_queue|idx_queue)': 'the queue begins anew',
    r'(visual_encoder_m|vision_proj_m|text_encoder_m|text_proj_m)\..*': 'the momentum copy begins as the model',
}


def projection_rules(theirs: Mapping[str, str]) -> list[Rule]:
    return [Rule(rf'projections\.{name}\.(weight|bias)', [rf'{official}.\1']) for name, official in theirs.items()]


class MedLayout(WeightLayout):
    """What both have in common."""

    model, papers = MultimodalModel, ('blip',)
    text, decoder, question = 'text_encoder.', 'text_decoder.', 'text_encoder.'
    projections = {'image': 'vision_proj', 'text': 'text_proj'}

    @classmethod
    def refuse(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        parts = {**dict(model.towers.items()), 'decoder': model.decoder}
        if not any(isinstance(part, (MedTower, MedDecoder)) for part in parts.values()):
            return {'the model': f'no MedTower and no MedDecoder among its parts: {sorted(parts)}'}
        return {}

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        rules = [
            *cls.image(),
            *bert_rules(cls.text, r'towers\.text\.bert\.'),
            *bert_rules(cls.decoder + 'bert.', r'decoder\.bert\.'),
            *word_head_rules(state, cls.decoder + 'cls.predictions.', r'decoder\.head\.'),
            *projection_rules(cls.projections),
            Rule(r'objectives\.matching\.head\.(weight|bias)', [r'itm_head.\1']),
            Rule(r'objectives\.contrastive\.scale\.temperature', ['temp']),
            Rule(r'objectives\.reasoning\.head\.(\d)\.(weight|bias)', [r'cls_head.\1.\2']),
        ]
        return [cls.tied(rule, model) for rule in rules]

    @classmethod
    def tied(cls, rule: Rule, model: nn.Module) -> Rule:
        """Nothing to do where every tensor has its own name in the file."""
        return rule

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        fresh = {
            r'momentum\..*': 'the copy begins as the model',
            r'objectives\..*(queue|place|calls|ids)': 'the queue begins anew',
            r'data_preprocessor\..*': 'of the preprocessor',
        }
        return fresh

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        drop = dict(COMPUTED)
        if model.decoder is None:
            drop[r'text_decoder\..*'] = 'this model writes no texts'
        if 'text' not in model.towers:
            drop[r'(text_encoder|text_proj|itm_head)\..*|temp'] = 'this model only writes'
            drop[r'(vision_proj|text_projection|vision_projection)\..*'] = 'this model only writes'
        if 'matching' not in model.objectives:
            drop[r'itm_head\..*'] = 'this model has no objective `matching`'
        if 'contrastive' not in model.objectives:
            drop['temp'] = 'this model has no objective `contrastive`'
        if not len(model.projections):
            drop[r'(vision|text)_proj\..*'] = 'this model has no joint space'
        return drop


@WEIGHT_LAYOUTS.register_module(name='blip')
class BlipLayout(MedLayout):
    """The official files of salesforce/BLIP, of every task."""

    @staticmethod
    def matches(keys: set[str]) -> bool:
        texts = ('text_encoder.', 'text_decoder.')
        return 'visual_encoder.cls_token' in keys and any(key.startswith(texts) for key in keys)

    @classmethod
    def image(cls) -> list[Rule]:
        return image_rules('visual_encoder.', 'blocks', OFFICIAL)


@WEIGHT_LAYOUTS.register_module(name='blip_transformers')
class BlipTransformersLayout(MedLayout):
    """transformers' ``BlipForImageTextRetrieval``, ``...ConditionalGeneration``, ``...QuestionAnswering``."""

    @staticmethod
    def matches(keys: set[str]) -> bool:
        texts = ('text_encoder.', 'text_decoder.')
        return 'vision_model.embeddings.class_embedding' in keys and any(key.startswith(texts) for key in keys)

    @classmethod
    def image(cls) -> list[Rule]:
        return image_rules('vision_model.', 'encoder.layers', TRANSFORMERS)
