"""The roles of the set-prediction family: how a part of each is called, and what it says of itself.

A part derives from the base of its role. Words are attributes of the class or, where an argument decides, of the
object; here are all that there are, with their types and defaults. None: it does not say, and is not asked;
compatibility.py holds parts against each other by these words. A class that sets a word which nobody declares is
refused where it is written, for a misspelt one would be ignored in silence; a word of its own it declares by an
annotation.
"""

import difflib
import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from .structures import Matches, PredictionSet


class Role:
    """
    >>> class Mine(QuerySource):  # doctest: +ELLIPSIS
    ...     cordinates = 4
    Traceback (most recent call last):
    TypeError: Mine sets `cordinates`, which no role of its declares. Did you mean `coordinates`? ...
    """

    tiny: dict  #: changes to a config that make the part small, see tasks/shrink.py

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        known = {word for base in cls.__mro__ for word in inspect.get_annotations(base)}
        for word, value in vars(cls).items():
            if not word.startswith('_') and word not in known and is_word(value):
                close = difflib.get_close_matches(word, known, n=1)
                asked = f' Did you mean `{close[0]}`?' if close else ''
                raise TypeError(
                    f'{cls.__name__} sets `{word}`, which no role of its declares.{asked} A word of its own is '
                    f'declared by an annotation, as in `{word}: {type(value).__name__} = {value!r}`'
                )


def require(part: Any, role: type, where: str) -> None:
    """Raises TypeError where a part, or its class, does not derive from the base of its role."""
    kind = part if isinstance(part, type) else type(part)
    if not issubclass(kind, role):
        raise TypeError(
            f'{where} is a {kind.__name__}, which does not derive from {role.__module__}.{role.__name__}; derive it, '
            'and let it say of itself what it can'
        )


def is_word(value) -> bool:
    """Whether an attribute of a class is no method, property or the like."""
    return isinstance(value, type) or not (callable(value) or hasattr(type(value), '__get__'))


class MaskNeck(Role):
    """A neck that also gives maps of which masks are made, finest first, before those for the encoder.

    >>> class Fine(MaskNeck, nn.Identity):
    ...     num_pixel_levels = 1  # the first map is for masks, the others go to the encoder
    >>> Fine().num_skips
    0
    """

    num_pixel_levels: int = 0  #: maps for ``memory.pixels``, ``embed_dims`` wide
    num_skips: int = 0  #: maps for ``memory.skips``, of any width


class EncoderRole(Role, nn.Module):
    """``encoder(feats, keeps) -> Memory``: feature maps, and what is no padding in them, see :class:`Encoder`.

    >>> from mmparts.detr.structures import Memory
    >>> class NoLayers(EncoderRole):
    ...     def forward(self, feats, keeps):
    ...         return Memory.from_levels(feats, feats, keeps)
    >>> NoLayers()([torch.zeros(2, 256, 4, 6), torch.zeros(2, 256, 2, 3)], None).tokens.shape
    torch.Size([2, 30, 256])
    """

    gives: tuple[str, ...] = ()  #: fields of :class:`Memory` beside the tokens


class QuerySource(Role, nn.Module):
    """``queries(memory, head) -> (QueryGroup 'match', Proposals | None)``.

    >>> from mmparts.detr.structures import Memory
    >>> level = torch.zeros(2, 256, 4, 6)
    >>> memory = Memory.from_levels([level], [level], None)
    >>> from mmparts.detr.structures import QueryGroup
    >>> class FirstTokens(QuerySource):
    ...     coordinates, brings_positions = 0, True
    ...
    ...     def forward(self, memory, head):
    ...         return QueryGroup('match', memory.tokens[:, :5], pos=memory.pos[:, :5]), None
    >>> match, proposals = FirstTokens()(memory, head=None)
    >>> match.size
    5
    """

    coordinates: int | None = None  #: of its references: 4 boxes, 2 points, 0 none
    brings_positions: bool | None = None  #: else the decoder derives them
    indicator: bool = False  #: the last channel is kept to tell noised queries
    copies: int = 1  #: how often it asks each of ``num_queries``
    ranks: bool = False  #: it hands out next-best proposals, see ``QueryGroup.more``
    mixed_selection: bool = False  #: content is learned, also that of the next-best
    reads: tuple[str, ...] = ()  #: what it wants the head to predict of tokens, beside classes and boxes
    proposes: tuple[str, ...] | None = None  #: what it proposes beside classes and boxes; None: all the head predicts
    no_object: bool | None = None  #: its classes compete with a last one


class GroupSource(Role, nn.Module):
    """``group(match, memory, targets) -> QueryGroup``, or several; called in training only.

    >>> from mmparts.detr.structures import QueryGroup
    >>> class Again(GroupSource):  # the matching queries once more, each object matched by three
    ...     name = 'again'
    ...
    ...     def forward(self, match, memory, targets):
    ...         return QueryGroup(self.name, match.content, match.reference, match.pos, repeat=3)
    >>> Again()(QueryGroup('match', torch.zeros(2, 5, 256)), memory=None, targets=None).copies
    3
    """

    name: str = ''  #: of the group that it makes
    coordinates: int | None = None  #: see :class:`QuerySource`
    brings_positions: bool | None = None
    indicator: bool | None = None  #: the last channel says that these are noised queries

    @property
    def names(self) -> Sequence[str]:
        """Of all groups that it makes."""
        return (self.name,)


class SelfAttention(Role, nn.Module):
    """``self_attn(content, pos, keep) -> B N C``; keep: N N bool, True where a query may look, or None.

    >>> class Mean(SelfAttention):  # every query sees the mean of all
    ...     def forward(self, content, pos, keep):
    ...         return content.mean(1, keepdim=True).expand_as(content)
    >>> Mean()(torch.zeros(2, 5, 256), None, None).shape
    torch.Size([2, 5, 256])
    """

    position_width: int | None = None  #: channels of ``pos``, in units of ``embed_dims``
    gates: bool = False  #: it has ``query(content, pos)``, B N C, of which the gates of levels are read


class CrossAttention(Role, nn.Module):
    """``cross_attn(content, pos, reference, memory[, prior]) -> B N C``.

    >>> from mmparts.detr.structures import Memory
    >>> level = torch.zeros(2, 256, 4, 6)
    >>> memory = Memory.from_levels([level], [level], None)
    >>> class Mean(CrossAttention):  # every query reads the mean of all tokens
    ...     def forward(self, content, pos, reference, memory):
    ...         return memory.tokens.mean(1, keepdim=True).expand_as(content)
    >>> Mean()(torch.zeros(2, 5, 256), None, None, memory).shape
    torch.Size([2, 5, 256])
    """

    position_width: int | None = None
    needs_reference: bool = False  #: to sample around
    takes_prior: bool = False  #: a spatial prior as the last argument
    compares: bool = False  #: with every token: it has ``project``, ``out_proj`` and ``weights``

    @property
    def inner(self) -> 'CrossAttention':
        """Of one that wraps another, the one inside, which reads the positions."""
        return self


class PositionSource(Role, nn.Module):
    """``position(reference, memory, content, layer) -> B N C*width``.

    >>> class Padded(PositionSource):  # the reference itself, zeros behind it
    ...     position_width = 1
    ...
    ...     def forward(self, reference, memory, content=None, layer=0):
    ...         return nn.functional.pad(reference, (0, content.shape[-1] - reference.shape[-1]))
    >>> Padded()(torch.zeros(2, 5, 4), None, torch.zeros(2, 5, 256)).shape
    torch.Size([2, 5, 256])
    """

    position_width: int | None = None


class SpatialPrior(Role, nn.Module):
    """``prior(content, pos, layer)``: what its cross-attention takes; ``prior.reference(given, content, groups)``.

    >>> from mmparts.detr.smca_detr.gaussian import GaussianPrior
    >>> prior = GaussianPrior(embed_dims=32, num_heads=8, num_layers=2)
    >>> found = prior(torch.zeros(2, 5, 32), torch.zeros(2, 5, 32), 0)  # what GaussianCrossAttention takes
    >>> found.offset.shape  # of images, queries, heads, levels: (x, y)
    torch.Size([2, 5, 8, 1, 2])
    """

    gives_reference: bool | None = None  #: to queries that bring none


class ReferenceUpdate(Role):
    """``rule(branch, hidden, reference, eps) -> (into the next layer, kept for the next layer's prediction)``.

    >>> class Halfway(ReferenceUpdate):  # a layer moves its reference by half of what its box branch says
    ...     def __call__(self, branch, hidden, reference, eps):
    ...         moved = (reference + 0.5 * branch(hidden)).clamp(0, 1).detach()
    ...         return moved, moved
    >>> Halfway()(nn.Linear(8, 4), torch.zeros(2, 5, 8), torch.full((2, 5, 4), 0.5), 1e-5)[0].shape
    torch.Size([2, 5, 4])
    """


class DecoderRole(Role, nn.Module):
    """``decoder(groups, memory, runs, head) -> (hidden B N C, references B N 2|4 or None)``, lists over the layers.

    >>> from mmparts.detr.structures import QueryGroup
    >>> class NoLayers(DecoderRole):  # queries as they are, once
    ...     num_layers = 1
    ...
    ...     def forward(self, groups, memory, runs, head):
    ...         return [torch.cat([group.content for group in groups], dim=1)], [None]
    >>> hidden, references = NoLayers()([QueryGroup('match', torch.zeros(2, 5, 256))], None, [], None)
    >>> hidden[0].shape
    torch.Size([2, 5, 256])
    """

    num_layers: int
    layers: nn.ModuleList
    position: PositionSource | None
    spatial_prior: SpatialPrior | None

    def __init__(self):
        super().__init__()
        self.position = self.spatial_prior = None

    def attention(self) -> 'list[SelfAttention | CrossAttention]':
        """Self- and cross-attention of a layer, where it has such."""
        return []


class Branch(Role, nn.Module):
    """``branch(states, references, memory, **what it reads) -> {word: prediction of all layers}``.

    A prediction is a tensor L B N *, or a value that is indexed like one.

    >>> class Angle(Branch, nn.Module):
    ...     name, predicts = 'angle', ('angles',)
    ...
    ...     def __init__(self, embed_dims=256):
    ...         super().__init__()
    ...         self.net = nn.Linear(embed_dims, 1)
    ...
    ...     def forward(self, states, references, memory):
    ...         return dict(angles=torch.stack([self.net(state) for state in states]))
    >>> Angle()([torch.zeros(2, 5, 256)] * 6, None, None)['angles'].shape
    torch.Size([6, 2, 5, 1])
    """

    name: str  #: the head keeps the branch under it
    predicts: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()  #: predictions of branches before it
    needs: tuple[str, ...] = ()  #: fields of :class:`Memory`
    takes_groups: bool = True  #: it reads query groups beside the matching one
    num_queries: int | None = None  #: it reads so many queries and no others
    was: dict[str, str] = {}  #: names of its tensors in older checkpoints, within the head -> now

    def report(self, predictions: dict[str, Any], image: int, query: Tensor, sample, rescale: bool) -> dict[str, Any]:
        """Fields of ``pred_instances``: what the last layer says of some queries (P) of an image, in its pixels."""
        return {}


class HeadRole(Role, nn.Module):
    """``head(hidden, references, memory) -> {word: prediction}``; ``head.loss``, ``head.predict``: see head.py.

    >>> from mmparts.detr.head import SetPredictionHead
    >>> issubclass(SetPredictionHead, HeadRole)  # see there for an example
    True
    """

    branches: list[Branch]
    terms: nn.ModuleList
    matcher: 'Matcher'
    select: 'Selection'
    maps: 'list[MapOfMasks]'
    no_object: bool | None = None  #: classes compete with a last one (softmax)

    def box_branch(self, layer: int) -> nn.Module:
        """B N C -> deltas B N 4, by which references move."""
        raise NotImplementedError(f'{type(self).__name__} has no boxes, by which references could move')


class LossTerm(Role, nn.Module):
    """
    Args:
        weight: factor of the term in the sum.

    >>> from mmparts.detr.structures import Matches, PredictionSet, Targets, Training
    >>> class CentreDistance(LossTerm):
    ...     name = 'loss_centre'
    ...
    ...     def forward(self, predictions, matches, num_boxes):
    ...         objects = predictions.targets.boxes[matches.target]
    ...         off = (predictions.boxes[matches.where] - objects)[:, :2].norm(dim=-1)
    ...         return self.weight * off.new_zeros(len(predictions.boxes)).index_add(0, matches.layer, off) / num_boxes
    >>> objects = Targets(torch.tensor([7]), torch.tensor([[0.5, 0.5, 0.2, 0.2]]), [1], ['a.png'])
    >>> found = dict(logits=torch.zeros(2, 1, 5, 80), boxes=torch.full((2, 1, 5, 4), 0.5))
    >>> pairs = Matches(*torch.tensor([[0, 1], [0, 0], [3, 4], [0, 0]]))  # in both layers a query for the one object
    >>> CentreDistance()(PredictionSet(Training('match'), found, objects), pairs, torch.tensor(1.0))
    tensor([0., 0.])
    """

    name: str  #: key of the loss, as in mmdet
    reads: tuple[str, ...] = ()  #: predictions beside classes and boxes
    no_object: bool | None = None  #: for classes that compete with a last one

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    def forward(self, predictions: PredictionSet, matches: Matches, num_boxes: Tensor) -> Tensor:
        """A loss for each layer, or of the last one alone."""
        raise NotImplementedError


class MatchCost(Role):
    """Called as ``cost(logits L B N K, boxes L B N 4, labels B G, target boxes B G 4)``; returns L B N G.

    >>> class Area(MatchCost):  # prefers boxes of the object's area
    ...     def __call__(self, logits, boxes, labels, targets):
    ...         return self.weight * (boxes[..., 2:].prod(-1)[..., None] - targets[:, None, :, 2:].prod(-1)).abs()
    >>> Area()(None, torch.rand(6, 2, 5, 4), None, torch.rand(2, 3, 4)).shape  # layers, images, queries, objects
    torch.Size([6, 2, 5, 3])
    """

    no_object: bool | None = None

    def __init__(self, weight: float = 1.0):
        self.weight = weight

    def __call__(self, logits: Tensor, boxes: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError


class Matcher(Role):
    """``matcher(sets) -> list[Matches]``.

    >>> from mmparts.detr.matching import HungarianMatcher
    >>> from mmparts.detr.structures import PredictionSet, Targets, Training
    >>> matcher = HungarianMatcher([dict(type='mmparts.FocalCost'), dict(type='mmparts.BoxL1Cost', weight=5.0)])
    >>> objects = Targets(torch.tensor([7]), torch.tensor([[0.5, 0.5, 0.2, 0.2]]), [1], ['a.png'])
    >>> boxes = torch.zeros(1, 1, 5, 4)
    >>> boxes[0, 0, 3] = objects.boxes
    >>> found = dict(logits=torch.zeros(1, 1, 5, 80), boxes=boxes)
    >>> (pairs,) = matcher([PredictionSet(Training('match'), found, objects)])
    >>> pairs.query.tolist(), pairs.target.tolist()
    ([3], [0])
    """

    costs: Sequence[MatchCost] = ()
    reads: tuple[str, ...] = ()


class Selection(Role):
    """``select(logits N K, boxes N 4[, make]) -> scores P, labels P, queries P[, masks P H W]``.

    ``make(queries)``, for those that read masks, gives the logits M H W of some queries' masks.

    >>> class Above(Selection):  # queries whose best class is likelier than a half
    ...     reads = ()
    ...
    ...     def __call__(self, logits, boxes):
    ...         scores, labels = logits.sigmoid().max(-1)
    ...         queries = (scores > 0.5).nonzero()[:, 0]
    ...         return scores[queries], labels[queries], queries
    >>> Above()(torch.tensor([[-1.0, -2.0], [0.0, 3.0]]), None)[1:]
    (tensor([1]), tensor([1]))
    """

    reads: tuple[str, ...] | None = None  #: (): of masks it knows nothing
    no_object: bool | None = None


class MapOfMasks(Role):
    """``part(logits N K, make) -> PixelData``: one map of all masks of an image; make: see :class:`Selection`.

    >>> from mmengine.structures import PixelData
    >>> class AnyObject(MapOfMasks):  # where some query sees an object
    ...     field = 'pred_sem_seg'
    ...
    ...     def __call__(self, logits, make):
    ...         return PixelData(sem_seg=(make(torch.arange(len(logits))) > 0).any(0, keepdim=True).long())
    >>> AnyObject()(torch.zeros(5, 80), lambda queries: torch.ones(len(queries), 8, 9)).sem_seg.shape
    torch.Size([1, 8, 9])
    """

    field: str  #: of the data sample
    reads: tuple[str, ...] = ('masks',)
    no_object: bool | None = None
