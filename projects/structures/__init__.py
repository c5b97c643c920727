"""What data sets hand to models and models to metrics: samples of images and volumes, and what labels mean."""

from .labelled import ImageSample
from .labels import LabelTable
from .volume import VolumeData, VolumeSample

__all__ = ['ImageSample', 'LabelTable', 'VolumeData', 'VolumeSample']
