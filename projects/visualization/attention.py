"""Where a decoder looks: the attention maps (DETR), Gaussians (SMCA-DETR) or sampling points (Deformable DETR, DINO) of
chosen objects over the image, as in the figures of the papers.

Works on a detector whose ``decoder.layers[i].cross_attn`` has one of the methods of :data:`KINDS`, and whose ``head``
returns logits and boxes and has a ``select`` rule.
"""
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Kind of picture -> the method of a cross-attention that gives what is drawn, from the inputs of its forward.
KINDS = {
    'attention': 'weights',  # B heads N S: what each token counts for; sums to 1
    'gaussian': 'gaussians',  # B heads N S: the prior that attention is multiplied by
    'points': 'samples',  # B N heads levels points 2, in [0, 1] of the padded input, and their weights
}
PANEL = 7.  # inches of the longer side of a panel, whatever the size of the image
DPI = 120


@dataclass
class Look:
    """What one decoder layer saw in one image.

    Args:
        logits: N K, of the last layer.
        boxes: N 4, of the last layer: cxcywh, divided by the size of the image without padding.
        reference: N 2 or N 4, from which this layer looked, in the same unit; None in a DETR.
        maps: N heads h w, attention or Gaussians over the padded input; None where points are drawn.
        points: N heads M 2, (x, y) divided by the size of the padded input; None where maps are.
        weights: N heads M, of the points; they sum to 1 over M.
    """
    logits: Tensor
    boxes: Tensor
    reference: Tensor | None
    maps: Tensor | None = None
    points: Tensor | None = None
    weights: Tensor | None = None


@dataclass
class Found:
    """An object that a query reports."""
    query: int
    label: int
    score: float


@dataclass
class Frame:
    """How the input of the model lies in the image: (width, height) in pixels, and the factors of the resize."""
    padded: tuple[int, int]
    resized: tuple[int, int]
    scale: tuple[float, float] = (1., 1.)

    @classmethod
    def of(cls, sample) -> 'Frame':
        """From the meta data of an mmdet data sample that went through a model."""
        height, width = sample.img_shape[:2]
        padded = sample.get('batch_input_shape', (height, width))
        return cls((padded[1], padded[0]), (width, height), tuple(sample.get('scale_factor', (1., 1.)))[:2])

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


class Watch:
    """Context manager that listens in on one decoder layer while the model runs on one image; then :meth:`look`.

    Args:
        layer: counted from 0; negative ones from the end.
        kind: of :data:`KINDS`; None: the first that the model offers.
    """

    def __init__(self, model: nn.Module, layer: int = -1, kind: str | None = None):
        layers = getattr(getattr(model, 'decoder', None), 'layers', ())
        if not -len(layers) <= layer < len(layers):
            raise ValueError(f'{type(model).__name__} has {len(layers)} decoder layers; there is no layer {layer}')
        self.cross_attn = getattr(layers[layer], 'cross_attn', None)
        self.kinds = offered(self.cross_attn)
        if not self.kinds:
            raise ValueError(f'the cross-attention of {type(layers[layer]).__name__} has none of the methods '
                             f'{", ".join(KINDS.values())}; its attention cannot be drawn')
        if kind not in (None, *self.kinds):
            raise ValueError(f'{type(self.cross_attn).__name__} offers {" and ".join(self.kinds)}, not {kind}')
        self.kind = kind or self.kinds[0]
        self.head = model.head
        self.inputs = self.predictions = None

    def __enter__(self):
        self.hooks = [self.cross_attn.register_forward_pre_hook(self._keep_inputs),
                      self.head.register_forward_hook(self._keep_predictions)]
        return self

    def __exit__(self, *error):
        for hook in self.hooks:
            hook.remove()

    def _keep_inputs(self, module, inputs):
        self.inputs = inputs

    def _keep_predictions(self, module, inputs, predictions):
        self.predictions = predictions

    @torch.no_grad()
    def look(self) -> Look:
        """The first image of the last batch that the model saw."""
        reference, memory = self.inputs[2:4]
        seen = [self.predictions['logits'][-1, 0].cpu(), self.predictions['boxes'][-1, 0].cpu(),
                None if reference is None else reference[0].float().cpu()]
        shown = getattr(self.cross_attn, KINDS[self.kind])(*self.inputs)
        if self.kind == 'points':
            points, weights = (part[0].float().cpu() for part in shown)
            return Look(*seen, points=points.flatten(2, 3), weights=weights.flatten(2, 3))
        maps = shown[0].transpose(0, 1).float().cpu()
        return Look(*seen, maps=on_finest(maps, memory.shapes, density=self.kind == 'attention'))


def offered(cross_attn: nn.Module | None) -> list[str]:
    """The kinds of pictures that a cross-attention has something for."""
    return [kind for kind, method in KINDS.items() if hasattr(cross_attn, method)]


def on_finest(maps: Tensor, shapes: tuple[tuple[int, int], ...], density: bool) -> Tensor:
    """N heads S -> N heads h w: the maps of all levels laid over that of the finest, and added up.

    Args:
        density: a cell of a coarse level is spread over the finer ones, so that sums stay; else they take its value.
    """
    total = 0
    for level, shape in zip(maps.split([h * w for h, w in shapes], dim=-1), shapes):
        fine = F.interpolate(level.unflatten(-1, shape), size=shapes[0], mode='bilinear')
        if density:
            fine = fine * (level.sum(-1) / fine.sum((-2, -1)).clamp(min=1e-12))[..., None, None]
        total = total + fine
    return total


def find(look: Look, select, query: int | None = None) -> list[Found]:
    """The objects that the rule ``select`` reports, best first, with the query of each; with ``query``, what it would
    report if there were no other."""
    queries = torch.arange(len(look.logits)) if query is None else torch.tensor([query])
    scores, labels, queries = select(look.logits[queries], queries)  # it picks rows of its second argument
    order = scores.argsort(descending=True, stable=True)
    return [Found(int(queries[i]), int(labels[i]), float(scores[i])) for i in order]


def draw_looks(image: np.ndarray, frame: Frame, look: Look, objects: list[Found], classes: list[str] | None = None,
               heads: bool = False):
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
    # The input is padded on its right and lower side, and samples may lie anywhere: show the image alone.
    axis.set(xlim=(0, width), ylim=(height, 0))
    name = classes[found.label] if classes is not None and found.label < len(classes) else f'class {found.label}'
    axis.set_title(f'{name} {found.score:.2f}, query {found.query}' if head is None else f'head {head}', fontsize=9)


def _draw_map(axis, frame, look, query, head):
    attention = look.maps[query].mean(0) if head is None else look.maps[query, head]
    right, bottom = frame.from_padded(torch.ones(2)).tolist()
    axis.imshow(attention.numpy(), extent=(0, right, bottom, 0), cmap='inferno', alpha=0.65, interpolation='bilinear')


def _draw_points(axis, frame, look, query, head):
    points, weights = look.points[query], look.weights[query]
    if head is not None:
        points, weights = points[head:head + 1], weights[head:head + 1]
    heaviest = look.weights[query].max().item()
    order = weights.flatten().argsort()  # the heaviest on top
    x, y = frame.from_padded(points.flatten(0, 1)[order]).unbind(-1)
    dots = axis.scatter(x.numpy(), y.numpy(), c=weights.flatten()[order].numpy(), cmap='turbo', vmin=0,
                        vmax=heaviest, s=22, linewidths=0.4, edgecolors='black')
    if head is None:
        axis.figure.colorbar(dots, ax=axis, fraction=0.03, pad=0.01, label='attention weight')


def _draw_boxes(axis, frame, look, query):
    """The predicted box, and the reference that the layer started from: a cross, and a dashed box where it is one."""
    from matplotlib.patches import Rectangle

    def rectangle(box, **style):
        left, top, right, bottom = frame.corners(box)
        axis.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, **style))

    rectangle(look.boxes[query], edgecolor='lime', linewidth=2)
    if look.reference is not None:
        reference = look.reference[query]
        if len(reference) == 4:
            rectangle(reference, edgecolor='white', linewidth=1.2, linestyle='--')
        axis.plot(*frame.from_resized(reference[:2]).tolist(), marker='+', markersize=14, markeredgewidth=2.5,
                  color='lime')
