"""Pictures of predictions beside the ground truth.

mmdet's visualizer draws through matplotlib with a font tied to the object's area: seconds an image, and unreadable on
small ones. Here small images are enlarged first, and lines and letters keep one size on the page.
"""

import colorsys
import math
import os
import os.path as osp
from dataclasses import dataclass, field
from functools import lru_cache

import matplotlib
import mmcv
import numpy as np
from mmengine.fileio import get
from PIL import Image, ImageDraw, ImageFont

# Short side in pixels up to which a panel is enlarged.
PANEL = 480
HEADER = 30
WHITE, BLACK, PAPER = (255, 255, 255), (0, 0, 0), (250, 250, 250)


@dataclass
class Objects:
    """Objects of one image.

    Args:
        boxes: N 4, xyxy in pixels of the original image.
        labels: N, indices into the class names.
        scores: N, or None for a ground truth.
        masks: N H W booleans, or None.
    """

    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    scores: np.ndarray | None = None
    masks: np.ndarray | None = None

    @classmethod
    def of(cls, instances, score_thr: float = 0.0) -> 'Objects':
        """From mmdet's ``InstanceData``; predictions below ``score_thr`` are left out, the best come first."""
        if instances is None or 'bboxes' not in instances or len(instances) == 0:
            return cls()
        boxes = getattr(instances.bboxes, 'tensor', instances.bboxes).detach().cpu().float().numpy()
        labels = instances.labels.cpu().numpy()
        masks = instances.get('masks')
        if masks is not None:
            masks = masks.to_ndarray() if hasattr(masks, 'to_ndarray') else np.asarray(masks.cpu())
        if 'scores' not in instances:
            return cls(boxes, labels, None, masks)
        scores = instances.scores.detach().cpu().float().numpy()
        keep = np.argsort(-scores, kind='stable')
        keep = keep[scores[keep] >= score_thr]
        return cls(boxes[keep], labels[keep], scores[keep], None if masks is None else masks[keep])


def palette(num: int) -> list[tuple[int, int, int]]:
    """``num`` colours that differ in hue and lightness, the same for the same class in every picture."""
    golden = (math.sqrt(5) - 1) / 2
    return [
        tuple(int(255 * part) for part in colorsys.hsv_to_rgb(i * golden % 1, 0.85, 0.95 - 0.25 * (i // 5 % 2)))
        for i in range(num)
    ]


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Letters of so many pixels."""
    # matplotlib ships it, so it is the same on every machine.
    return ImageFont.truetype(osp.join(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf'), size)


def enlarge(image: np.ndarray) -> Image.Image:
    """``image`` (H W 3, RGB), enlarged when its short side is under ``PANEL`` pixels."""
    height, width = image.shape[:2]
    panel = Image.fromarray(np.ascontiguousarray(image, dtype=np.uint8)).convert('RGB')
    scale = max(1.0, PANEL / min(height, width))
    size = (round(width * scale), round(height * scale))
    return panel.resize(size, Image.Resampling.BICUBIC) if scale > 1 else panel


def draw_objects(image: np.ndarray, objects: Objects, classes: list[str] | None = None) -> Image.Image:
    """``image`` (H W 3, RGB) with boxes, names and scores; enlarged when its short side is under ``PANEL`` pixels."""
    panel = enlarge(image)
    size, scale = panel.size, panel.width / image.shape[1]
    # Letters of a large image grow with it: the page is shrunk on screen.
    unit = max(1.0, size[0] / 700)
    colours = palette(max(len(classes or ()), int(objects.labels.max(initial=-1)) + 1))

    for index in range(len(objects.boxes) if objects.masks is not None else 0):
        _fill(panel, objects.masks[index], colours[objects.labels[index]])
    draw = ImageDraw.Draw(panel)
    boxes = [_upright(box, scale) for box in objects.boxes]
    # The best is drawn last, over the others; names after all frames, which would cross them out.
    order = [index for index in reversed(range(len(boxes))) if boxes[index] is not None]
    for index in order:
        draw.rectangle(boxes[index], outline=colours[objects.labels[index]], width=round(3 * unit))
    for index in order:
        label = int(objects.labels[index])
        name = classes[label] if classes is not None and label < len(classes) else f'class {label}'
        text = name if objects.scores is None else f'{name} {objects.scores[index]:.2f}'
        _name(draw, boxes[index], text, colours[label], size, unit)
    return panel


def _fill(panel: Image.Image, mask: np.ndarray, colour: tuple) -> None:
    stencil = Image.fromarray((np.asarray(mask) > 0).astype(np.uint8) * 110).resize(panel.size)
    panel.paste(Image.new('RGB', panel.size, colour), mask=stencil)


def _upright(box: np.ndarray, scale: float) -> tuple[float, float, float, float] | None:
    """Left, top, right, bottom in pixels of the page; None: no box."""
    left, top, right, bottom = (float(value) * scale for value in box)
    if not all(map(math.isfinite, (left, top, right, bottom))):
        return None
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


def _name(draw: ImageDraw.ImageDraw, box: tuple, text: str, colour: tuple, size: tuple, unit: float) -> None:
    """Above a box, or in it where there is no room."""
    left, top, _, _ = box
    text, letters = printable(text), font(round(15 * unit))
    _, _, wide, high = draw.textbbox((0, 0), text, font=letters)
    x = min(max(left, 0), max(size[0] - wide - 4, 0))
    y = top - high - 3 if top - high - 3 >= 0 else min(top, size[1] - high - 3)
    draw.rectangle((x, y, x + wide + 4, y + high + 3), fill=colour)
    dark = sum(part * weight for part, weight in zip(colour, (0.3, 0.59, 0.11))) < 140
    draw.text((x + 2, y), text, font=letters, fill=WHITE if dark else BLACK)


def printable(text: str) -> str:
    """With a dot for each character that has no shape: what a model writes may hold some, and fonts fail on them."""
    return ''.join(each if each.isprintable() else '\N{MIDDLE DOT}' for each in text)


def page(views: list[tuple[str, Image.Image]], title: str = '') -> Image.Image:
    """Pictures side by side, each under its heading.

    Raises:
        ValueError: there are none.
    """
    if not views:
        raise ValueError('a page needs at least one picture')
    unit = max(1.0, views[0][1].width / 700)
    gap, letters, line = round(8 * unit), font(round(17 * unit)), round(21 * unit)
    headings = [f'{title}  {views[0][0]}' if title else views[0][0], *(heading for heading, _ in views[1:])]
    texts = [wrapped(printable(text), letters, panel.width - 8) for text, (_, panel) in zip(headings, views)]
    header = round(HEADER * unit) + line * (max(map(len, texts)) - 1)
    width = sum(panel.width for _, panel in views) + gap * (len(views) - 1)
    made = Image.new('RGB', (width, max(panel.height for _, panel in views) + header), PAPER)
    draw, x = ImageDraw.Draw(made), 0
    for lines, (_, panel) in zip(texts, views):
        made.paste(panel, (x, header))
        for number, text in enumerate(lines):
            draw.text((x + 4, round(5 * unit) + number * line), text, font=letters, fill=BLACK)
        x += panel.width + gap
    return made


def wrapped(text: str, letters: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """A text as lines of so many pixels, cut between words; a word that is wider has a line of its own."""
    lines = ['']
    for word in text.split(' '):
        longer = f'{lines[-1]} {word}' if lines[-1] else word
        if lines[-1] and letters.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def sheet(pages: list[Image.Image], columns: int = 2, cell_width: int = 640) -> Image.Image:
    """Pictures in a grid, each shrunk to ``cell_width`` pixels."""
    if not pages:
        raise ValueError('a sheet needs at least one picture')
    gap = 10
    cells = [
        page.resize((cell_width, max(1, round(page.height * cell_width / page.width))), Image.Resampling.LANCZOS)
        for page in pages
    ]
    columns = min(columns, len(cells))
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) for row in rows]
    page = Image.new('RGB', (columns * (cell_width + gap) + gap, sum(heights) + gap * (len(rows) + 1)), PAPER)
    y = gap
    for row, height in zip(rows, heights):
        for column, cell in enumerate(row):
            page.paste(cell, (gap + column * (cell_width + gap), y))
        y += height + gap
    return page


def read_rgb(path: str) -> np.ndarray:
    """An image as H W 3, RGB; raises ValueError for a file that cannot be decoded."""
    image = mmcv.imfrombytes(get(path), channel_order='rgb')
    if image is None:
        raise ValueError(f'{path} cannot be decoded as an image')
    return image


def save(picture: Image.Image, path: str) -> None:
    """Write ``picture``, making its folder where missing."""
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    picture.save(path, **(dict(quality=92) if path.endswith('.jpg') else {}))


def file_name(img_path: str, used: set[str]) -> str:
    """``NAME.jpg`` for an image, with its folder in front where two folders hold the same name."""
    name = osp.splitext(osp.basename(img_path))[0]
    if name in used:
        name = f'{osp.basename(osp.dirname(img_path))}_{name}'
    base, count = name, 1
    while name in used:
        name, count = f'{base}_{count}', count + 1
    used.add(name)
    return f'{name}.jpg'  # JPEG: a hundred times faster to write than PNG
