"""Sections as one HTML file: no network, no other file; for telephones, dark screens, keyboards and screen readers."""

import datetime
import math
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined

from .blocks import Section
from .images import Album


def render(title: str, verdict: str, sections: Sequence[Section], album: Album, subtitle: str = '') -> str:
    """The file's text.

    Args:
        verdict: one sentence that says what the rest shows.
        album: the images that the sections name.
    """
    environment = Environment(loader=FunctionLoader(read), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters.update(number=number, shade=shade)
    environment.globals.update(read=read, isinstance=isinstance, str=str, float=float, zip=zip)
    return environment.get_template('page.html').render(
        title=title,
        subtitle=subtitle,
        verdict=verdict,
        sections=[section for section in sections if section.blocks],
        images=album.images,
        made=datetime.datetime.now().strftime('%Y-%m-%d %H:%M'),
    )


def read(name: str) -> str:
    """A file that lies beside this one."""
    return files(__package__).joinpath(name).read_text(encoding='utf-8')


def number(value) -> str:
    """A cell of a table: shares with three digits, counts as they are, a dash for what is not known."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return '–'
    if isinstance(value, float):
        return f'{value:.3f}' if abs(value) < 100 else f'{value:.0f}'
    return f'{value:,}'.replace(',', '\u2009') if isinstance(value, int) else str(value)


def shade(value: int, row: Sequence[int]) -> float:
    """How dark a cell is, 0 to 1: its share of the row, raised so that few still show."""
    return (value / sum(row)) ** 0.5 if sum(row) else 0.0
