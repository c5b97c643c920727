"""Reports: one HTML file of sections, tables, charts and images, which needs no network and no other file."""

from .blocks import Chart, Code, Gallery, Matrix, Section, Table, Text, Tiles
from .charts import Bars, Lines, draw_bars, draw_lines
from .images import Album
from .page import render

__all__ = [
    'Album',
    'Bars',
    'Chart',
    'Code',
    'Gallery',
    'Lines',
    'Matrix',
    'Section',
    'Table',
    'Text',
    'Tiles',
    'draw_bars',
    'draw_lines',
    'render',
]
