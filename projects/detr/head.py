"""The head: reads classes and boxes from the decoder's output, trains them, turns them into detections."""

import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..registry import MODELS, TASK_UTILS
from .boxes import move
from .branches import box_branch, class_branch
from .queries import Proposals
from .structures import Matches, Memory, PredictionSet, QueryGroup, Targets


@MODELS.register_module()
class SetPredictionHead(nn.Module):
    """Class and box branches over decoder layers.

    Args:
        terms: configs of the loss terms.
        matcher: config of the matcher.
        select: config of the rule that turns the last layer's predictions into detections.
        share_branches: one pair of branches for all layers; else one for each.
        no_object: the class branch has one more row, for "no object" (softmax heads).
        size_bias: see :func:`box_branch`; of the first layer only, where each has its own.
        num_layers: decoder layers.
        logit_eps: clamp of the inverse sigmoid.
    """

    takes_initial = False  # see InitialPredictionDecoder
    predicts: tuple[str, ...] = ()  #: what beside classes and boxes

    def __init__(
        self,
        terms: list[dict],
        matcher: dict,
        select: dict,
        num_classes: int = 80,
        embed_dims: int = 256,
        num_layers: int = 6,
        share_branches: bool = True,
        no_object: bool = False,
        size_bias: float | None = 0.0,
        logit_eps: float = 1e-5,
    ):
        super().__init__()
        self.num_classes = num_classes
        self.num_layers = num_layers
        self.no_object = no_object
        self.logit_eps = logit_eps
        copies = 1 if share_branches else num_layers
        later = None if size_bias is None else 0.0
        self.class_branches = nn.ModuleList(class_branch(embed_dims, num_classes, no_object) for _ in range(copies))
        self.box_branches = nn.ModuleList(
            box_branch(embed_dims, size_bias if layer == 0 else later) for layer in range(copies)
        )
        self.terms = nn.ModuleList(MODELS.build(term) for term in terms)
        self.matcher = TASK_UTILS.build(matcher)
        self.select = TASK_UTILS.build(select)

    def class_branch(self, layer: int) -> nn.Module:
        return self.class_branches[min(layer, len(self.class_branches) - 1)]

    def box_branch(self, layer: int) -> nn.Module:
        return self.box_branches[min(layer, len(self.box_branches) - 1)]

    def forward(
        self, hidden: list[Tensor], references: list[Tensor | None], memory: Memory | None = None
    ) -> dict[str, Tensor]:
        """Hidden states B N C and references of every layer -> logits L B N K, boxes L B N 4."""
        logits = [self.class_branch(layer)(state) for layer, state in enumerate(hidden)]
        boxes = [
            move(self.box_branch(layer)(state), reference, self.logit_eps)
            for layer, (state, reference) in enumerate(zip(hidden, references))
        ]
        return dict(logits=torch.stack(logits).float(), boxes=torch.stack(boxes))

    def loss(
        self, predictions: dict[str, Tensor], groups: list[QueryGroup], proposals: Proposals | None, targets: Targets
    ) -> dict[str, Tensor]:
        """Every term of every layer of every group, under mmdet's names: `loss_cls`, `d0.loss_cls`, `dn_loss_cls`."""
        sets = list(split_groups(predictions, groups, targets))
        if proposals is not None:
            sets.append(proposals.as_set(targets))
        found = iter(self.matcher([each for each in sets if each.known is None]))
        num_boxes = targets.boxes.new_full((), sum(targets.counts))
        num_boxes = reduce_mean(num_boxes).clamp(min=1)

        losses = {}
        for each in sets:
            matches = next(found) if each.known is None else in_every_layer(each)
            divisor = num_boxes * each.copies if each.divisor is None else each.divisor
            for term in self.terms:
                values = each.weight * term(each, matches, divisor)
                losses.update(zip(loss_names(each.name, term.name, len(values)), values))
        return losses

    def predict(self, predictions: dict[str, Tensor], samples: list, rescale: bool = True) -> list[InstanceData]:
        """Detections of each image, best first, in xyxy pixels: of the original image, or of the resized one."""
        results = []
        for logits, boxes, sample in zip(predictions['logits'][-1], predictions['boxes'][-1], samples):
            scores, labels, boxes = self.select(logits, boxes)
            boxes = in_pixels(boxes, sample, rescale)
            order = scores.argsort(descending=True)
            results.append(InstanceData(bboxes=boxes[order], scores=scores[order], labels=labels[order]))
        return results


def in_pixels(boxes: Tensor, sample: DetDataSample, rescale: bool) -> Tensor:
    """N 4, normalised cxcywh -> xyxy pixels: of the original image, or of the resized one."""
    height, width = sample.img_shape[:2]
    boxes = bbox_cxcywh_to_xyxy(boxes).clamp(0, 1) * boxes.new_tensor([width, height, width, height])
    return boxes / boxes.new_tensor(sample.scale_factor).repeat(2) if rescale else boxes


def split_groups(predictions: dict[str, Tensor], groups: list[QueryGroup], targets: Targets):
    """One prediction set for each group, in the order in which their queries stand."""
    start = 0
    for group in groups:
        part = {name: value[:, :, start : start + group.size] for name, value in predictions.items()}
        yield PredictionSet(
            group.name,
            part['logits'],
            part['boxes'],
            targets,
            group.known,
            group.valid,
            group.repeat,
            group.copies,
            group.divisor,
            group.weight,
            part.get('masks'),
            part.get('embeddings'),
        )
        start += group.size


def in_every_layer(each: PredictionSet) -> Matches:
    """The known pairs of a group hold in all layers."""
    num_layers, pairs = len(each.logits), len(each.known[0])
    layer = torch.arange(num_layers, device=each.logits.device).repeat_interleave(pairs)
    return Matches(layer, *(index.repeat(num_layers) for index in each.known))


def loss_names(group: str, term: str, num_layers: int) -> list[str]:
    """The last layer's loss has the plain name, those before it are numbered."""
    name = term if group == 'match' else f'{group}_{term}'
    return [f'd{layer}.{name}' for layer in range(num_layers - 1)] + [name]
