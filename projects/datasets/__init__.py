"""Data sets, their checks, and the generated set "shapes"."""
from .check_classes import CheckClassesHook
from .coco import CheckedCocoDataset, ClassMismatch
from .loading import LoadCheckedImage
from .root import merge_options, set_data_root
from .shapes import make_shapes

__all__ = ['CheckClassesHook', 'CheckedCocoDataset', 'ClassMismatch', 'LoadCheckedImage', 'make_shapes',
           'merge_options', 'set_data_root']
