"""Where a decoder looks: the attention maps (DETR), Gaussians (SMCA-DETR) or sampling points (Deformable DETR, DINO) of
chosen objects, and what masks are made of: attention (Cell-DETR) or the masks themselves (Mask DINO).

Works on a detector with a ``decoder`` of ``layers`` and a ``head`` that returns logits and boxes and has a ``select``
rule. What can be drawn is what the parts offer, see :data:`KINDS`; mmdet's Mask2Former: masked_attention.py.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Kind of picture -> the part that offers it, and its method.
KINDS = {
    # A layer's cross-attention, from the inputs of its forward:
    'attention': ('cross_attn', 'weights'),  # B heads N S: what each token counts for; sums to 1
    'gaussian': ('cross_attn', 'gaussians'),  # B heads N S: the prior that attention is multiplied by
    'points': ('cross_attn', 'samples'),  # B N heads levels points 2, in [0, 1] of the padded input; and their weights
    # A branch of the head, from its predictions and a layer, counted from the end:
    'mask-attention': ('head', 'mask_attention'),  # B N heads h w: what a mask is made of; sums to 1
    'mask': ('head', 'mask_logits'),  # B N h w: above zero where the mask is
}


@dataclass
class Look:
    """What one decoder layer saw in one image. All maps lie over the padded input.

    Args:
        logits: N K, of the last layer.
        boxes: N 4, of the last layer: cxcywh, divided by the size of the image without padding; None where there are
            none.
        reference: N 2 or N 4, from which this layer looked, in the same unit; None in a DETR.
        maps: N heads h w, not negative; None where points are drawn.
        points: N heads M 2, (x, y) divided by the size of the padded input; None where maps are.
        weights: N heads M, of the points; they sum to 1 over M.
        masks: N h w, of the last layer: above zero where the mask is; None where there are none.
        brightest: value of the maps that is drawn brightest; None: the largest of each.
    """

    logits: Tensor
    boxes: Tensor | None
    reference: Tensor | None
    maps: Tensor | None = None
    points: Tensor | None = None
    weights: Tensor | None = None
    masks: Tensor | None = None
    brightest: float | None = None


@dataclass
class Found:
    """An object that a query reports."""

    query: int
    label: int
    score: float


class Watch:
    """Context manager that listens in on one decoder layer while the model runs on one image; then :meth:`look`.

    Args:
        layer: counted from 0; negative ones from the end.
        kind: of :data:`KINDS`; None: the first that the model offers.
    """

    def __init__(self, model: nn.Module, layer: int = -1, kind: str | None = None):
        layers, self.head = self._parts(model)
        if not len(layers):
            raise ValueError(
                f'{type(model).__name__} has no decoder to look at; attention is drawn of the DETR family, '
                'Mask2Former, Perceivers, and models that read words and regions in one stream'
            )
        if not -len(layers) <= layer < len(layers):
            raise ValueError(f'{type(model).__name__} has {len(layers)} decoder layers; there is no layer {layer}')
        self.layer = layer - len(layers) if layer >= 0 else layer
        self.cross_attn = getattr(layers[layer], 'cross_attn', None)
        self.kinds = self._offered()
        if not self.kinds:
            raise ValueError(
                f'neither the cross-attention of {type(layers[layer]).__name__} nor '
                f'a branch of {type(self.head).__name__} has one of the methods '
                f'{", ".join(method for _, method in KINDS.values())}; there is nothing to draw'
            )
        if kind not in (None, *self.kinds):
            raise ValueError(
                f'{type(self.cross_attn).__name__} and {type(self.head).__name__} offer '
                f'{" and ".join(self.kinds)}, not {kind}'
            )
        self.kind = kind or self.kinds[0]
        self.inputs = self.predictions = None

    def _parts(self, model: nn.Module) -> tuple[nn.ModuleList, nn.Module]:
        """Decoder layers and head."""
        return getattr(getattr(model, 'decoder', None), 'layers', ()), getattr(model, 'head', None)

    def _offered(self) -> list[str]:
        return [kind for kind, (part, method) in KINDS.items() if self._owner(part, method) is not None]

    def _owner(self, part: str, method: str) -> nn.Module | None:
        """Who has the method: the cross-attention, or a branch of the head."""
        parts = [self.cross_attn] if part == 'cross_attn' else getattr(self.head, 'branches', ())
        return next((part for part in parts if hasattr(part, method)), None)

    @property
    def select(self):
        """The rule by which the model reports objects, for :func:`find`."""
        return self.head.select

    def __enter__(self):
        self.hooks = [
            self.cross_attn.register_forward_pre_hook(self._keep_inputs),
            self.head.register_forward_hook(self._keep_predictions),
        ]
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
        seen = Look(
            self.predictions['logits'][-1, 0].cpu(),
            self.predictions['boxes'][-1, 0].cpu(),
            None if reference is None else reference[0].float().cpu(),
        )
        if 'mask' in self.kinds:
            seen.masks = self._of_head('mask_logits', -1)

        part, method = KINDS[self.kind]
        if self.kind == 'mask':
            seen.maps, seen.brightest = self._of_head(method, self.layer).sigmoid()[:, None], 1.0
        elif part == 'head':
            seen.maps = self._of_head(method, self.layer)
        elif self.kind == 'points':
            points, weights = (each[0].float().cpu() for each in self.cross_attn.samples(*self.inputs))
            seen.points, seen.weights = points.flatten(2, 3), weights.flatten(2, 3)
        else:
            maps = getattr(self.cross_attn, method)(*self.inputs)[0].transpose(0, 1).float().cpu()
            seen.maps = on_finest(maps, memory.shapes, density=self.kind == 'attention')
        return seen

    def _of_head(self, method: str, layer: int) -> Tensor:
        return getattr(self._owner('head', method), method)(self.predictions, layer)[0].float().cpu()


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
    boxes = None if look.boxes is None else look.boxes[queries]
    make = () if look.masks is None else (look.masks[queries].__getitem__,)  # the masks of some rows
    scores, labels, rows = select(look.logits[queries], boxes, *make)[:3]
    order = scores.argsort(descending=True, stable=True)
    return [Found(int(queries[rows[i]]), int(labels[i]), scores[i].item()) for i in order]
