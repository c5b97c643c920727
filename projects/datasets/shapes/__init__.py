"""The generated data set "shapes": images with boxes, masks, panoptic and semantic maps and captions in one run."""

from .write import CLASSES, STUFF_CLASSES, VERSION, make_shapes

__all__ = ['CLASSES', 'STUFF_CLASSES', 'VERSION', 'make_shapes']
