"""What a report is made of: sections of blocks, plain data that `page.py` writes as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass
class Block:
    """A piece of a section. Each kind has a macro of its name in ``blocks.html``."""

    macro: ClassVar[str] = ''


@dataclass
class Text(Block):
    """A paragraph."""

    text: str
    macro: ClassVar[str] = 'text'


@dataclass
class Tiles(Block):
    """A few numbers that matter: (value, what it is)."""

    tiles: Sequence[tuple[str, str]]
    macro: ClassVar[str] = 'tiles'


@dataclass
class Table(Block):
    """Rows under a head; the first column names the row.

    Args:
        caption: says what the table is.
        bars: columns (by number) whose values, from 0 to 1, get a bar behind them.
        beside: whether another block may stand beside it where there is room.
        folded: whether it opens at a click.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | float | int | None]]
    bars: Sequence[int] = ()
    beside: bool = False
    folded: bool = False
    macro: ClassVar[str] = 'table'


@dataclass
class Chart(Block):
    """A drawing: SVG that `charts.py` made.

    Args:
        label: what it shows, in words, for who cannot see it.
    """

    title: str
    svg: str
    label: str
    macro: ClassVar[str] = 'chart'


@dataclass
class Example:
    """An image of a gallery, by its key in the album, with what is to be said of it."""

    key: str
    caption: str


@dataclass
class Gallery(Block):
    """Images under a heading; ``small`` ones stand closer."""

    title: str
    examples: Sequence[Example]
    note: str = ''
    small: bool = False
    macro: ClassVar[str] = 'gallery'


@dataclass
class Matrix(Block):
    """Counts of pairs; a cell opens the images that it has.

    Args:
        side, top: what rows and columns are.
        names: of the rows; those of the columns are the same unless ``columns`` says otherwise.
        values: R C.
        examples: (row, column) -> images.
    """

    caption: str
    side: str
    top: str
    names: Sequence[str]
    values: Sequence[Sequence[int]]
    examples: dict[tuple[int, int], list[Example]] = field(default_factory=dict)
    columns: Sequence[str] | None = None
    macro: ClassVar[str] = 'matrix'


@dataclass
class Code(Block):
    """Lines to copy, each with what it does."""

    lines: Sequence[tuple[str, str]]
    macro: ClassVar[str] = 'code'


@dataclass
class Section:
    """A heading with blocks.

    Args:
        key: its anchor in the page.
    """

    key: str
    title: str
    blocks: list[Block] = field(default_factory=list)
    intro: str = ''
