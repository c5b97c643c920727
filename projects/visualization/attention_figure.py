"""Pictures of where a decoder looks, as in the figures of the papers: what attention.py saw, over the image."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .attention import Found, Look

PANEL = 7.0  # inches of the longer side of a panel, whatever the size of the image
DPI = 120


@dataclass
class Frame:
    """How the input of the model lies in the image: (width, height) in pixels, and the factors of the resize."""

    padded: tuple[int, int]
    resized: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def of(cls, sample) -> 'Frame':
        """From the meta data of an mmdet data sample that went through a model."""
        height, width = sample.img_shape[:2]
        padded = sample.get('batch_input_shape', (height, width))
        return cls((padded[1], padded[0]), (width, height), tuple(sample.get('scale_factor', (1.0, 1.0)))[:2])

    def from_padded(self, points: Tensor) -> Tensor:
        """... 2, divided by the size of the padded input -> pixels of the original image."""
        return points * points.new_tensor(self.padded) / points.new_tensor(self.scale)

    def from_resized(self, points: Tensor) -> Tensor:
        """... 2, divided by the size of the input without its padding -> pixels of the original image."""
        return points * points.new_tensor(self.resized) / points.new_tensor(self.scale)

    def corners(self, box: Tensor) -> list[float]:
        """cxcywh, divided by the size without padding -> xyxy pixels of the original image."""
        centre, size = box[:2], box[2:]
        return torch.cat([self.from_resized(centre - size / 2), self.from_resized(centre + size / 2)]).tolist()


def draw_looks(
    image: np.ndarray,
    frame: Frame,
    look: Look,
    objects: list[Found],
    classes: list[str] | None = None,
    heads: bool = False,
):
    """A figure with one panel for each object; with ``heads``, several: all heads together, then each alone.

    Args:
        image: H W 3, RGB, as it is in the file.

    Returns:
        matplotlib's ``Figure``, for :func:`save_figure`.
    """
    if not objects:
        raise ValueError('there is no object to draw')
    from matplotlib.figure import Figure

    sources = [None, *range((look.maps if look.maps is not None else look.points).shape[1])] if heads else [None]
    panels = [(found, head) for found in objects for head in sources]
    columns = len(sources) if heads and len(objects) > 1 else math.ceil(math.sqrt(len(panels)))
    rows = math.ceil(len(panels) / columns)
    width, height = _panel_size(image, len(panels))
    figure = Figure(figsize=(columns * width, rows * (height + 0.4)), dpi=DPI, layout='compressed')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, (found, head) in zip(axes, panels):
        _draw_panel(axis, image, frame, look, found, head, classes)
    return figure


def save_figure(figure, path: str) -> None:
    """Write a figure without touching the user's matplotlib backend."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).print_figure(path, bbox_inches='tight', pad_inches=0.05)


def _panel_size(image: np.ndarray, panels: int) -> tuple[float, float]:
    longer = PANEL if panels == 1 else PANEL / 2
    height, width = image.shape[:2]
    return width * longer / max(height, width), height * longer / max(height, width)


def _draw_panel(axis, image, frame, look, found, head, classes):
    height, width = image.shape[:2]
    axis.imshow(image, extent=(0, width, height, 0), interpolation='bilinear')
    draw = _draw_map if look.maps is not None else _draw_points
    draw(axis, frame, look, found.query, head)
    _draw_boxes(axis, frame, look, found.query)
    _draw_outline(axis, frame, look, found.query)
    # The input is padded on its right and lower side, and samples may lie anywhere: show the image alone.
    axis.set(xlim=(0, width), ylim=(height, 0))
    name = classes[found.label] if classes is not None and found.label < len(classes) else f'class {found.label}'
    axis.set_title(f'{name} {found.score:.2f}, query {found.query}' if head is None else f'head {head}', fontsize=9)


def _draw_map(axis, frame, look, query, head):
    attention = look.maps[query].mean(0) if head is None else look.maps[query, head]
    right, bottom = frame.from_padded(torch.ones(2)).tolist()
    axis.imshow(
        attention.numpy(),
        extent=(0, right, bottom, 0),
        cmap='inferno',
        alpha=0.65,
        interpolation='bilinear',
        vmin=0,
        vmax=look.brightest,
    )


def _draw_points(axis, frame, look, query, head):
    points, weights = look.points[query], look.weights[query]
    if head is not None:
        points, weights = points[head : head + 1], weights[head : head + 1]
    heaviest = look.weights[query].max().item()
    order = weights.flatten().argsort()  # the heaviest on top
    x, y = frame.from_padded(points.flatten(0, 1)[order]).unbind(-1)
    dots = axis.scatter(
        x.numpy(),
        y.numpy(),
        c=weights.flatten()[order].numpy(),
        cmap='turbo',
        vmin=0,
        vmax=heaviest,
        s=22,
        linewidths=0.4,
        edgecolors='black',
    )
    if head is None:
        axis.figure.colorbar(dots, ax=axis, fraction=0.03, pad=0.01, label='attention weight')


def _draw_boxes(axis, frame, look, query):
    """The predicted box, and the reference that the layer started from: a cross, and a dashed box where it is one."""
    from matplotlib.patches import Rectangle

    def rectangle(box, **style):
        left, top, right, bottom = frame.corners(box)
        axis.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, **style))

    if look.boxes is not None:
        rectangle(look.boxes[query], edgecolor='lime', linewidth=2)
    if look.reference is not None:
        reference = look.reference[query]
        if len(reference) == 4:
            rectangle(reference, edgecolor='white', linewidth=1.2, linestyle='--')
        axis.plot(
            *frame.from_resized(reference[:2]).tolist(), marker='+', markersize=14, markeredgewidth=2.5, color='lime'
        )


def _draw_outline(axis, frame, look, query):
    """Of the mask that the query predicts, where it does."""
    if look.masks is None or not (look.masks[query] > 0).any():
        return
    mask = look.masks[query]
    height, width = mask.shape
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing='ij')
    x, y = frame.from_padded(torch.stack([x, y], dim=-1)).unbind(-1)
    axis.contour(x.numpy(), y.numpy(), mask.numpy(), levels=[0.0], colors='lime', linewidths=1.5)
