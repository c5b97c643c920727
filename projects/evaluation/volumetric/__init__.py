"""Metrics of volumes, with the rules by which they differ elsewhere."""

from .metric import VolumeMetric

__all__ = ['VolumeMetric']
