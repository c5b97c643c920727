"""Numbers with names as bars: what a zero-shot classifier says, how near texts are to an image."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from .pictures import BLACK, PANEL, PAPER, font, printable

ROW, BAR, LETTERS = 34, (66, 133, 190), 15


def bars(
    rows: Sequence[tuple[str, float]], lowest: float = 0.0, highest: float = 1.0, width: int = PANEL
) -> Image.Image:
    """A panel with a row for each (name, value): the name above, a bar below, the number at its end.

    Args:
        lowest, highest: values of an empty bar and of one as wide as the panel.
    """
    panel = Image.new('RGB', (width, max(1, len(rows)) * (ROW + 14) + 10), PAPER)
    draw, letters = ImageDraw.Draw(panel), font(LETTERS)
    room = width - 80
    for index, (name, value) in enumerate(rows):
        top = 6 + index * (ROW + 14)
        share = min(max((value - lowest) / (highest - lowest), 0.0), 1.0)
        draw.text((8, top), shortened(printable(name), letters, width - 16), fill=BLACK, font=letters)
        draw.rectangle((8, top + 22, 8 + max(1, round(room * share)), top + 38), fill=BAR)
        draw.text((14 + round(room * share), top + 20), f'{value:.2f}', fill=BLACK, font=letters)
    return panel


def shortened(text: str, letters, width: int) -> str:
    """As much of a text as fits into so many pixels."""
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + '...') > width:
        text = text[:-1]
    return text + '...'
