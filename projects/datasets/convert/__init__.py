"""Annotations of other tools (Pascal VOC, YOLO, LabelMe, CSV, COCO) as a COCO data set with a split.

    folder -> reader (found by looking) -> images with objects -> checks (what is dropped, and why) -> split -> COCO

A format is a class in `readers`; the rest knows none. Libraries that convert (globox, supervision, pylabel) drop or
clip in silence, which is why the few lines that read are here.
"""

from .convert import Converted, convert
from .readers import FORMATS, BadSource

__all__ = ['FORMATS', 'BadSource', 'Converted', 'convert']
