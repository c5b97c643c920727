"""The head: its branches read the decoder's layers; it trains them, and turns them into detections."""

from functools import partial
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..registry import MODELS, TASK_UTILS, build_part
from .branches import BoxBranch, ClassBranch, States
from .queries import Proposals
from .roles import Branch, HeadRole
from .structures import Matches, Memory, PredictionSet, QueryGroup, Targets

CLASSES_AND_BOXES = dict(classes=dict(type=ClassBranch), boxes=dict(type=BoxBranch))


@MODELS.register_module()
class SetPredictionHead(HeadRole):
    """
    Args:
        terms: configs of the loss terms.
        matcher: config of the matcher.
        select: config of the rule that turns the last layer's predictions into detections.
        branches: configs of the branches. A dict names them, so that a config adds or changes one of its base's:
            ``branches=dict(masks=dict(type='mmparts.MaskBranch'))``; `classes` and `boxes` are there by default. A list
            is all of them.
        maps: configs of parts that make one map of all masks of an image, see segments.py.
        num_classes, embed_dims, num_layers, num_queries, share_branches, no_object, size_bias, logit_eps, as_published,
            descriptor_dims: handed to every branch that takes them and does not set them itself, see branches.py.
        last_only: read the last decoder layer alone.

    >>> matcher, select = dict(type='mmparts.HungarianMatcher', costs=[]), dict(type='mmparts.TopKSelection')
    >>> head = SetPredictionHead([], matcher, select)
    >>> states, boxes = torch.zeros(2, 100, 256), torch.full((2, 100, 4), 0.5)
    >>> {word: tuple(found.shape) for word, found in head([states] * 6, [boxes] * 6).items()}
    {'logits': (6, 2, 100, 80), 'boxes': (6, 2, 100, 4)}
    """

    def __init__(
        self,
        terms: list[dict],
        matcher: dict,
        select: dict,
        branches: dict[str, dict] | list[dict] = CLASSES_AND_BOXES,
        maps: list[dict] = (),
        num_classes: int = 80,
        embed_dims: int = 256,
        num_layers: int = 6,
        num_queries: int = 300,
        share_branches: bool = True,
        no_object: bool = False,
        size_bias: float | None = 0.0,
        logit_eps: float = 1e-5,
        as_published: bool = False,
        descriptor_dims: int | None = None,
        last_only: bool = False,
    ):
        super().__init__()
        self.num_classes, self.num_layers = num_classes, 1 if last_only else num_layers
        self.no_object, self.last_only = no_object, last_only
        shared = dict(
            num_classes=num_classes,
            embed_dims=embed_dims,
            num_layers=self.num_layers,
            num_queries=num_queries,
            share_branches=share_branches,
            no_object=no_object,
            size_bias=size_bias,
            logit_eps=logit_eps,
            as_published=as_published,
            descriptor_dims=descriptor_dims,
        )
        self._names: list[str] = []
        for branch in branches if isinstance(branches, (list, tuple)) else merged(branches).values():
            self._add(build_part(branch, **shared))
        if not {'logits', 'boxes'} <= set(self.predicts):
            raise ValueError(
                f'the branches predict {list(self.predicts)}; there should be one of logits and one of boxes, as '
                'mmparts.ClassBranch and mmparts.BoxBranch'
            )
        self.terms = nn.ModuleList(MODELS.build(term) for term in terms)
        self.matcher = TASK_UTILS.build(matcher)
        self.select = TASK_UTILS.build(select)
        self.maps = [TASK_UTILS.build(part) for part in maps]

    def _add(self, branch: Branch) -> None:
        lacking = set(branch.reads) - set(self.predicts)
        if branch.name in self._names or lacking:
            raise ValueError(
                f'{type(branch).__name__} reads {sorted(lacking)}, which no branch before it predicts'
                if lacking
                else f'two branches are named {branch.name!r}, {type(branch).__name__} is the second'
            )
        self.add_module(branch.name, branch)
        self._names.append(branch.name)

    @property
    def branches(self) -> list[Branch]:
        return [self.get_submodule(name) for name in self._names]

    @property
    def predicts(self) -> tuple[str, ...]:
        return tuple(word for branch in self.branches for word in branch.predicts)

    def class_branch(self, layer: int) -> nn.Module:
        return self.class_branches.of(layer)

    def box_branch(self, layer: int) -> nn.Module:
        return self.box_branches.of(layer)

    def forward(
        self, hidden: list[Tensor], references: list[Tensor | None], memory: Memory | None = None
    ) -> dict[str, Any]:
        """Hidden states B N C and references of every layer -> what the branches predict: logits L B N K, boxes L B N 4
        and more. One state more than there are layers is what entered the first."""
        if self.last_only:
            hidden, references = hidden[-1:], references[-1:]
        return self.read(hidden, references, memory, first=min(self.num_layers - len(hidden), 0))

    def read(
        self, hidden: list[Tensor], references: list[Tensor | None], memory: Memory | None, first: int = -1
    ) -> dict[str, Any]:
        """The same of the layers from number ``first`` on; by default of tokens with the boxes proposed for them."""
        states, found = self.states(hidden, first), {}
        for branch in self.branches:
            found.update(branch(states, references, memory, **{word: found[word] for word in branch.reads}))
        return found

    def states(self, hidden: list[Tensor], first: int) -> States:
        return States(hidden, first)

    def loss(
        self, predictions: dict[str, Any], groups: list[QueryGroup], proposals: Proposals | None, targets: Targets
    ) -> dict[str, Tensor]:
        """Every term of every layer of every group, under mmdet's names: `loss_cls`, `d0.loss_cls`, `dn_loss_cls`."""
        sets = list(split_groups(predictions, groups, targets))
        if proposals is not None:
            sets.append(proposals.as_set(targets))
        found = iter(self.matcher([each for each in sets if each.group.known is None]))
        num_boxes = targets.boxes.new_full((), sum(targets.counts))
        num_boxes = reduce_mean(num_boxes).clamp(min=1)

        losses = {}
        for each in sets:
            group = each.group
            matches = next(found) if group.known is None else in_every_layer(each)
            divisor = num_boxes * group.copies if group.divisor is None else group.divisor
            for term in self.terms:
                values = group.weight * term(each, matches, divisor)
                losses.update(zip(loss_names(group.name, term.name, len(values)), values))
        return losses

    def predict(self, predictions: dict[str, Any], samples: list, rescale: bool = True) -> list[InstanceData]:
        """Detections of each image, best first, in xyxy pixels: of the original image, or of the resized one.

        Masks are bool; `maps` are written to the samples.
        """
        return [self._detect(predictions, image, sample, rescale) for image, sample in enumerate(samples)]

    def _detect(self, predictions: dict[str, Any], image: int, sample: DetDataSample, rescale: bool) -> InstanceData:
        logits, boxes = (predictions[word][-1, image] for word in ('logits', 'boxes'))
        size = tuple(sample.ori_shape[:2] if rescale else sample.img_shape[:2])
        make = partial(predictions['masks'].over_image, image, size) if 'masks' in predictions else None
        read = (logits, boxes, make) if 'masks' in (self.select.reads or ()) else (logits, boxes)
        scores, labels, query, *masks = self.select(*read)

        found = dict(scores=scores, labels=labels, **dict(zip(('masks',), masks)))
        for branch in self.branches:
            found.update(branch.report(predictions, image, query, sample, rescale))
        for part in self.maps:
            setattr(sample, part.field, part(logits, make))
        return InstanceData(**found)[scores.argsort(descending=True)]

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *args) -> None:
        """Checkpoints that were written when tensors had other names are read, too."""
        for old, new in (pair for branch in self.branches for pair in branch.was.items()):
            for name in [name for name in state if name.startswith(prefix + old)]:
                state[prefix + new + name.removeprefix(prefix + old)] = state.pop(name)
        super()._load_from_state_dict(state, prefix, *args)


def merged(branches: dict[str, dict]) -> dict[str, dict]:
    """With those of classes and boxes, which need not be written, first."""
    return {name: {**CLASSES_AND_BOXES.get(name, {}), **cfg} for name, cfg in {**CLASSES_AND_BOXES, **branches}.items()}


def split_groups(predictions: dict[str, Any], groups: list[QueryGroup], targets: Targets):
    """One prediction set for each group, in the order in which their queries stand."""
    start = 0
    for group in groups:
        own = slice(start, start + group.size)
        yield PredictionSet(group, {word: found[:, :, own] for word, found in predictions.items()}, targets)
        start = own.stop


def in_every_layer(each: PredictionSet) -> Matches:
    """The known pairs of a group hold in all layers."""
    num_layers, pairs = len(each.logits), len(each.group.known[0])
    layer = torch.arange(num_layers, device=each.logits.device).repeat_interleave(pairs)
    return Matches(layer, *(index.repeat(num_layers) for index in each.group.known))


def loss_names(group: str, term: str, num_layers: int) -> list[str]:
    """The last layer's loss has the plain name, those before it are numbered."""
    name = term if group == 'match' else f'{group}_{term}'
    return [f'd{layer}.{name}' for layer in range(num_layers - 1)] + [name]
