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
    """A neck that also gives maps of which masks are made, finest first, before those for the encoder."""

    num_pixel_levels: int = 0  #: maps for ``memory.pixels``, ``embed_dims`` wide
    num_skips: int = 0  #: maps for ``memory.skips``, of any width


class EncoderRole(Role, nn.Module):
    """``encoder(feats, keeps) -> Memory``: feature maps, and what is no padding in them, see :class:`Encoder`."""

    gives: tuple[str, ...] = ()  #: fields of :class:`Memory` beside the tokens


class QuerySource(Role, nn.Module):
    """``queries(memory, head) -> (QueryGroup 'match', Proposals | None)``."""

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
    """``group(match, memory, targets) -> QueryGroup``, or several; called in training only."""

    name: str = ''  #: of the group that it makes
    coordinates: int | None = None  #: see :class:`QuerySource`
    brings_positions: bool | None = None
    indicator: bool | None = None  #: the last channel says that these are noised queries

    @property
    def names(self) -> Sequence[str]:
        """Of all groups that it makes."""
        return (self.name,)


class SelfAttention(Role, nn.Module):
    """``self_attn(content, pos, keep) -> B N C``; keep: N N bool, True where a query may look, or None."""

    position_width: int | None = None  #: channels of ``pos``, in units of ``embed_dims``
    gates: bool = False  #: it has ``query(content, pos)``, B N C, of which the gates of levels are read


class CrossAttention(Role, nn.Module):
    """``cross_attn(content, pos, reference, memory[, prior]) -> B N C``."""

    position_width: int | None = None
    needs_reference: bool = False  #: to sample around
    takes_prior: bool = False  #: a spatial prior as the last argument
    compares: bool = False  #: with every token: it has ``project``, ``out_proj`` and ``weights``

    @property
    def inner(self) -> 'CrossAttention':
        """Of one that wraps another, the one inside, which reads the positions."""
        return self


class PositionSource(Role, nn.Module):
    """``position(reference, memory, content, layer) -> B N C*width``."""

    position_width: int | None = None


class SpatialPrior(Role, nn.Module):
    """``prior(content, pos, layer)``: what its cross-attention takes; ``prior.reference(given, content, groups)``."""

    gives_reference: bool | None = None  #: to queries that bring none


class ReferenceUpdate(Role):
    """``rule(branch, hidden, reference, eps) -> (into the next layer, kept for the next layer's prediction)``."""


class DecoderRole(Role, nn.Module):
    """``decoder(groups, memory, runs, head) -> (hidden B N C, references B N 2|4 or None)``, lists over the layers."""

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
    """``head(hidden, references, memory) -> {word: prediction}``; ``head.loss``, ``head.predict``: see head.py."""

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
    """Called as ``cost(logits L B N K, boxes L B N 4, labels B G, target boxes B G 4)``; returns L B N G."""

    no_object: bool | None = None

    def __init__(self, weight: float = 1.0):
        self.weight = weight

    def __call__(self, logits: Tensor, boxes: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError


class Matcher(Role):
    """``matcher(sets) -> list[Matches]``."""

    costs: Sequence[MatchCost] = ()
    reads: tuple[str, ...] = ()


class Selection(Role):
    """``select(logits N K, boxes N 4[, make]) -> scores P, labels P, queries P[, masks P H W]``.

    ``make(queries)``, for those that read masks, gives the logits M H W of some queries' masks.
    """

    reads: tuple[str, ...] | None = None  #: (): of masks it knows nothing
    no_object: bool | None = None


class MapOfMasks(Role):
    """``part(logits N K, make) -> PixelData``: one map of all masks of an image; make: see :class:`Selection`."""

    field: str  #: of the data sample
    reads: tuple[str, ...] = ('masks',)
    no_object: bool | None = None
