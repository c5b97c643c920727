"""Metrics."""

from .answers import VqaAccuracy
from .arrays import ClipFidelity, EndPointError, GapAccuracy, SetAccuracy
from .captions import CaptionedObjects, CaptionScores
from .check_metrics import CheckMetricsHook
from .coco_metric import CheckedCocoMetric
from .panoptic_quality import PanopticQuality
from .retrieval import RetrievalRecall
from .top_k import TopKAccuracy
from .volumetric import VolumeMetric

__all__ = [
    'CaptionScores',
    'CaptionedObjects',
    'CheckMetricsHook',
    'CheckedCocoMetric',
    'ClipFidelity',
    'EndPointError',
    'GapAccuracy',
    'PanopticQuality',
    'RetrievalRecall',
    'SetAccuracy',
    'TopKAccuracy',
    'VolumeMetric',
    'VqaAccuracy',
]
