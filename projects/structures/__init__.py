"""What data sets hand to models and models to metrics: samples of images, volumes and several modalities; labels."""

from .labelled import ImageSample
from .labels import LabelTable
from .multimodal import MultimodalSample, TextList
from .volume import VolumeData, VolumeSample

__all__ = ['ImageSample', 'LabelTable', 'MultimodalSample', 'TextList', 'VolumeData', 'VolumeSample']
