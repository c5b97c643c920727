"""Data that are no single images: pairs of frames with flow, texts, clips with sound, sets; read and generated.

| file | what |
|---|---|
| flow | pairs of frames; `.flo` and KITTI's `.png` |
| text | texts as bytes, and the gaps in them |
| clips | videos with sound and class |
| sets | points and entities |
| make | all of them generated |
"""

from ..shapes.glyphs import make_glyphs
from .clips import ClipFiles, LoadClip, PackClip
from .flow import FlowCrop, FlowPairs, LoadFlowPair, PackFlow, read_flow, write_flow
from .make import make_captions, make_clips, make_entities, make_flow, make_points
from .sets import LoadSet, PackSet, SetFiles, TurnPoints
from .text import LoadText, MaskBytes, PackText, TextFiles

# Generated sets: name -> (what writes it, in a few words).
KINDS = {
    'glyphs': (make_glyphs, 'single shapes, a folder for each class'),
    'flow': (make_flow, 'pairs of frames in which shapes move'),
    'captions': (make_captions, 'sentences about shapes'),
    'clips': (make_clips, 'short videos with sound'),
    'points': (make_points, 'points on five bodies'),
    'entities': (make_entities, 'units that threaten each other'),
}

__all__ = [
    'KINDS',
    'ClipFiles',
    'FlowCrop',
    'FlowPairs',
    'LoadClip',
    'LoadFlowPair',
    'LoadSet',
    'LoadText',
    'MaskBytes',
    'PackClip',
    'PackFlow',
    'PackSet',
    'PackText',
    'SetFiles',
    'TextFiles',
    'TurnPoints',
    'make_captions',
    'make_clips',
    'make_entities',
    'make_flow',
    'make_glyphs',
    'make_points',
    'read_flow',
    'write_flow',
]
