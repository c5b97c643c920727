"""What data sets hand to models and models to metrics: samples of volumes, and what their labels mean."""

from .labels import LabelTable
from .volume import VolumeData, VolumeSample

__all__ = ['LabelTable', 'VolumeData', 'VolumeSample']
