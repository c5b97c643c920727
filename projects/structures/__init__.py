"""What data sets hand to models and models to metrics: samples of images, volumes and several modalities; labels."""

from .arrays import ClipSample, FlowSample, SetSample, TextSample
from .labelled import ImageSample
from .labels import LabelTable
from .multimodal import ItemRegions, MultimodalSample, TextList
from .volume import VolumeData, VolumeSample

__all__ = [
    'ClipSample',
    'FlowSample',
    'ImageSample',
    'ItemRegions',
    'LabelTable',
    'MultimodalSample',
    'SetSample',
    'TextList',
    'TextSample',
    'VolumeData',
    'VolumeSample',
]
