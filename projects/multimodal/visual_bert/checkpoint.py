"""Published weights of VisualBERT: the official files (uclanlp/visualbert, `.th`), and transformers' models."""

import re
from collections.abc import Mapping

from torch import Tensor, nn

from ...registry import WEIGHT_LAYOUTS
from ...weights.keys import Rule
from ...weights.layout import WeightLayout, not_for
from ..checkpoint_bert import bert_rules, word_head_rules
from ..model import MultimodalModel
from .fusion import OneStream

# Ours in the towers -> official, transformers'.
TABLES = {
    r'towers\.text\.words\.weight': ('word_embeddings.weight',) * 2,
    r'towers\.text\.positions\.weight': ('position_embeddings.weight',) * 2,
    r'towers\.text\.types\.weight': ('token_type_embeddings.weight',) * 2,
    r'towers\.regions\.positions\.weight': ('position_embeddings_visual.weight', 'visual_position_embeddings.weight'),
    r'towers\.regions\.types\.weight': ('token_type_embeddings_visual.weight', 'visual_token_type_embeddings.weight'),
    r'towers\.regions\.projection\.(weight|bias)': (r'projection.\1', r'visual_projection.\1'),
}


def start_of(state: Mapping[str, Tensor], pattern: str) -> str:
    """What stands before the names of a head: up to the end of the first match of a pattern."""
    found = (re.search(pattern, name) for name in state)
    return next((match.string[: match.end()] for match in found if match), '')


class VisualBertLayouts(WeightLayout):
    """What both have in common.

    Attributes:
        which: of the names in :data:`TABLES`.
    """

    model, papers, which = MultimodalModel, ('visual_bert',), 0

    @classmethod
    def refuse(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        if not isinstance(model.fusion, OneStream):
            return {'the model': not_for(model.fusion, OneStream)}
        return {}

    @classmethod
    def starts(cls, state: Mapping[str, Tensor]) -> tuple[str, str]:
        """What stands before the names of BERT, and of its heads."""
        name = next(name for name in state if name.endswith('embeddings.word_embeddings.weight'))
        bert = name.removesuffix('embeddings.word_embeddings.weight')
        head = next((name for name in state if name.endswith('predictions.transform.dense.weight')), '')
        return bert, head.removesuffix('predictions.transform.dense.weight')

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> list[Rule]:
        bert, cls_start = cls.starts(state)
        predictions = cls_start + 'predictions.'
        classifier = next(
            (name[: -len('weight')] for name in state if name.endswith(('classifier.weight', 'cls.weight'))), ''
        )
        flickr = next(
            (re.sub(r'query\.weight$', '', name) for name in state if name.endswith('attention.query.weight')), ''
        )
        return [
            *[Rule(ours, [f'{bert}embeddings.{names[cls.which]}']) for ours, names in TABLES.items()],
            Rule(r'fusion\.norm\.(weight|bias)', [bert + r'embeddings.LayerNorm.\1']),
            Rule(r'fusion\.pooler\.dense\.(weight|bias)', [bert + r'pooler.dense.\1']),
            *bert_rules(bert, r'fusion\.'),
            *word_head_rules(state, predictions, r'objectives\.masked\.head\.'),
            Rule(r'objectives\.masked\.match\.(weight|bias)', [cls_start + r'seq_relationship.\1']),
            Rule(r'objectives\.phrases\.(query|key)\.(weight|bias)', [flickr + r'\1.\2']),
            Rule(r'objectives\.(\w+)\.head(\.\d)?\.(weight|bias)', [classifier + r'\3']),
        ]

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        drop = {
            r'.*position_ids': 'computed',
            r'.*detector\..*': "VCR's own detector",
            r'.*attention\.value\..*': 'dead',
        }
        if 'phrases' not in model.objectives:
            drop[r'.*flickr_attention\..*'] = 'this model finds no phrases'
        if 'masked' not in model.objectives:
            drop[r'.*predictions\..*|.*seq_relationship\..*'] = 'of pre-training'
        elif model.objectives['masked'].match is None:
            drop[r'.*seq_relationship\..*'] = 'this model tells no match'
        if model.fusion.pooler is None:
            drop[r'.*pooler\..*'] = 'this model reads no pooled vector'
        return drop

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        fresh = {}
        names = ('classifier.weight', 'cls.weight', 'attention.query.weight')
        if not any(name.endswith(names) for name in state):
            fresh[r'objectives\.(?!masked).*'] = 'the file is of pre-training: heads begin anew'
        return fresh


@WEIGHT_LAYOUTS.register_module(name='visual_bert')
class VisualBertLayout(VisualBertLayouts):
    """The official files, of pre-training and of every task."""

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return any(key.endswith('embeddings.token_type_embeddings_visual.weight') for key in keys)


@WEIGHT_LAYOUTS.register_module(name='visual_bert_transformers')
class VisualBertTransformersLayout(VisualBertLayouts):
    """transformers' ``VisualBertModel`` and its heads."""

    which = 1

    @staticmethod
    def matches(keys: set[str]) -> bool:
        return any(key.endswith('embeddings.visual_token_type_embeddings.weight') for key in keys)
