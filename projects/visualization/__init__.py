"""Pictures: predictions beside the ground truth, and the curves of a run."""

from .comparison import draw_comparison
from .curves import CurveHook, draw_curves, read_scalars
from .picture_hook import PictureHook, draw_sample, draw_test_images, read_rgb
from .pictures import Objects, draw_objects, draw_pair, sheet

__all__ = [
    'CurveHook',
    'Objects',
    'PictureHook',
    'draw_comparison',
    'draw_curves',
    'draw_objects',
    'draw_pair',
    'draw_sample',
    'draw_test_images',
    'read_rgb',
    'read_scalars',
    'sheet',
]
