"""Metrics."""

from .answers import VqaAccuracy
from .arrays import ClipFidelity, EndPointError, GapAccuracy, SetAccuracy
from .captions import CaptionedObjects, CaptionScores
from .check_metrics import CheckMetricsHook
from .coco_metric import CheckedCocoMetric
from .panoptic_quality import PanopticQuality
from .phrases import PhraseBoxes, PhraseRecall
from .reranking import MatcherHook, RerankedRecall
from .retrieval import EqualTextRecall, RetrievalRecall
from .top_k import TopKAccuracy
from .visual_tokens import CodeUsage
from .volumetric import VolumeMetric

__all__ = [
    'CaptionScores',
    'CaptionedObjects',
    'CheckMetricsHook',
    'CheckedCocoMetric',
    'ClipFidelity',
    'CodeUsage',
    'EndPointError',
    'EqualTextRecall',
    'GapAccuracy',
    'MatcherHook',
    'PanopticQuality',
    'PhraseBoxes',
    'PhraseRecall',
    'RerankedRecall',
    'RetrievalRecall',
    'SetAccuracy',
    'TopKAccuracy',
    'VolumeMetric',
    'VqaAccuracy',
]
