"""Maps of labels over their image, with a legend of the classes in it."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .pictures import BLACK, PAPER, enlarge, font, palette

OPACITY = 0.5
LINE, MARGIN = 20, 6  # height of a line of the legend, in pixels


def draw_map(
    image: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str] | None = None,
    instances: np.ndarray | None = None,
    background: int | None = None,
) -> Image.Image:
    """``image`` (H W 3, RGB) under the colours of ``labels`` (H W), above a legend of the classes that occur.

    Args:
        classes: names; pixels with labels beyond them keep the image's colours.
        instances: H W; a line is drawn where it changes. Default: ``labels``.
        background: a label that keeps the image's colours, too.
    """
    count = len(classes) if classes is not None else int(labels.max(initial=0)) + 1
    colours = np.array(palette(count), np.uint8).reshape(-1, 3)
    shown = (labels >= 0) & (labels < count) & (labels != (-1 if background is None else background))
    painted = np.array(image, np.uint8)
    mixed = (1 - OPACITY) * painted[shown] + OPACITY * colours[labels[shown]]
    painted[shown] = mixed.astype(np.uint8)
    painted[shown & borders(labels if instances is None else instances)] = 255

    present = [label for label in np.unique(labels[shown]).tolist()]
    names = [classes[label] if classes is not None else f'class {label}' for label in present]
    return with_legend(enlarge(painted), [(name, tuple(colours[label])) for name, label in zip(names, present)])


def borders(values: np.ndarray) -> np.ndarray:
    """H W bool: where the pixel to the right or below has another value."""
    edges = np.zeros(values.shape, bool)
    edges[:, :-1] |= values[:, :-1] != values[:, 1:]
    edges[:-1] |= values[:-1] != values[1:]
    return edges


def with_legend(panel: Image.Image, entries: list[tuple[str, tuple]]) -> Image.Image:
    """A picture above lines of coloured squares with names; as it is, without entries."""
    if not entries:
        return panel
    unit = max(1.0, panel.width / 700)
    line, margin = round(LINE * unit), round(MARGIN * unit)
    letters = font(round(14 * unit))
    places, x, y = [], margin, 0
    for name, _ in entries:
        wide = line + round(letters.getlength(name)) + 2 * margin
        x, y = (margin, y + line) if x + wide > panel.width and x > margin else (x, y)
        places.append((x, y))
        x += wide
    made = Image.new('RGB', (panel.width, panel.height + y + line + margin), PAPER)
    made.paste(panel)
    draw = ImageDraw.Draw(made)
    for (name, colour), (left, top) in zip(entries, places):
        top += panel.height + margin // 2
        draw.rectangle((left, top + 3, left + line - 6, top + line - 3), fill=tuple(map(int, colour)))
        draw.text((left + line, top), name, font=letters, fill=BLACK)
    return made
