"""Metrics."""
from .coco_metric import CheckedCocoMetric

__all__ = ['CheckedCocoMetric']
