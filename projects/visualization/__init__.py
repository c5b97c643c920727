"""Pictures: predictions beside the ground truth, and the curves of a run."""

from .comparison import draw_comparison
from .curves import CurveHook, draw_curves, read_scalars
from .maps import draw_map
from .pictures import Objects, draw_objects, page, read_rgb, sheet

__all__ = [
    'CurveHook',
    'Objects',
    'draw_comparison',
    'draw_curves',
    'draw_map',
    'draw_objects',
    'page',
    'read_rgb',
    'read_scalars',
    'sheet',
]
