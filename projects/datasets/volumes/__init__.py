"""Volumes: files, layouts, transforms, sampling, cache."""

from .augment import (
    RandomBlur,
    RandomBrightness,
    RandomContrast,
    RandomGamma,
    RandomLowResolution,
    RandomMirror,
    RandomNoise,
    RandomSpatial,
)
from .check import CheckVolumesHook
from .dataset import VolumeDataset
from .files import Volume, open_volume, write_volume
from .geometry import BadVolume
from .grid import CropForeground, Orientation, PadVolume, Spacing
from .intensity import PercentileIntensity, WindowIntensity, ZScore
from .loading import LoadVolume, LoadVolumeLabel
from .monai import MonaiTransform
from .pack import PackVolume
from .patches import FindForeground, RandomPatch
from .sampler import DrawSampler
from .slices import RandomSlice

__all__ = [
    'BadVolume',
    'CheckVolumesHook',
    'CropForeground',
    'DrawSampler',
    'FindForeground',
    'LoadVolume',
    'LoadVolumeLabel',
    'MonaiTransform',
    'Orientation',
    'PackVolume',
    'PadVolume',
    'PercentileIntensity',
    'RandomBlur',
    'RandomBrightness',
    'RandomContrast',
    'RandomGamma',
    'RandomLowResolution',
    'RandomMirror',
    'RandomNoise',
    'RandomPatch',
    'RandomSlice',
    'RandomSpatial',
    'Spacing',
    'Volume',
    'VolumeDataset',
    'WindowIntensity',
    'ZScore',
    'open_volume',
    'write_volume',
]
