"""Volumes: files, layouts, transforms, sampling, cache."""

from .dataset import VolumeDataset
from .files import Volume, open_volume, write_volume
from .geometry import BadVolume
from .loading import LoadVolume, LoadVolumeLabel
from .pack import PackVolume
from .sampler import DrawSampler

__all__ = [
    'BadVolume',
    'DrawSampler',
    'LoadVolume',
    'LoadVolumeLabel',
    'PackVolume',
    'Volume',
    'VolumeDataset',
    'open_volume',
    'write_volume',
]
