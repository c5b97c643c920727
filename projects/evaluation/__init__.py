"""Metrics."""

from .coco_metric import CheckedCocoMetric
from .panoptic_quality import PanopticQuality

__all__ = ['CheckedCocoMetric', 'PanopticQuality']
