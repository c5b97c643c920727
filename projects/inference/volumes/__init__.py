"""Predictions for volumes: label files with the geometry of the image, a table, pictures."""

from .cases import find_cases, takes_volumes
from .clean import CleanUp
from .export import Exporter, ExportFailed
from .predictor import VolumePredictor
from .run import predict_volumes

__all__ = ['CleanUp', 'ExportFailed', 'Exporter', 'VolumePredictor', 'find_cases', 'predict_volumes', 'takes_volumes']
