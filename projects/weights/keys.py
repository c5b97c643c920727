"""Official checkpoints as rules: which official tensors hold a tensor of ours.

Rules start from our names, so every tensor of the model is accounted for, and every official one too.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

Make = Callable[[Tensor, torch.Size], Tensor]


def reshaped(tensor: Tensor, shape: torch.Size) -> Tensor:
    """A `make` of :class:`Rule`: the same numbers, in order, in our shape."""
    return tensor.reshape(shape)


@dataclass(frozen=True)
class Rule:
    """Where a tensor of ours comes from.

    Args:
        ours: regular expression for a whole name of ours.
        theirs: the official names that hold it: templates that may use the groups of `ours` (``\\1``), or a function
            from the match to names. Several names are copies, which must be equal.
        make: from the official tensor and our shape to our tensor, where it is not taken as it is.
        joined: several names are parts of ours, stacked along the rows: q, k and v into a fused projection.
    """

    ours: str
    theirs: Sequence[str] | Callable[[re.Match], Iterable[str]]
    make: Make | None = None
    joined: bool = False

    def sources(self, match: re.Match) -> list[str]:
        if callable(self.theirs):
            return list(self.theirs(match))
        return [match.expand(template) for template in self.theirs]

    def tensor(self, official: Mapping[str, Tensor], shape: torch.Size) -> Tensor:
        """Ours of the official ones by name; raises ValueError or RuntimeError where they cannot be used."""
        tensor = torch.cat(list(official.values())) if self.joined else the_same(official)
        return tensor if self.make is None else self.make(tensor, shape)


@dataclass
class Conversion:
    """A model's tensors drawn from an official checkpoint, and what did not work out.

    Attributes:
        state: our name -> tensor.
        sources: our name -> the official names it is made of, also where that failed.
        dropped: official name -> why no tensor of ours is made of it.
        initialised: our name -> why it may stay as the model made it.
        missing: our name -> the official names that are not there.
        refused: our name -> why its official tensors cannot be used.
        unexpected: official names that no rule knows.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    initialised: dict[str, str] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)


SAME = Rule('.*', [r'\g<0>'])


def draw(
    official: Mapping[str, Tensor],
    model: nn.Module,
    rules: Sequence[Rule],
    drop: Mapping[str, str] = {},
    fresh: Mapping[str, str] = {},
) -> Conversion:
    """Make the tensors of `model` from `official` ones.

    Args:
        rules: the first whose `ours` matches a name is used; a name without a rule is its own official name.
        drop: regular expression for whole official names -> why they are not needed. Tensors that a rule uses, and
            copies, need no entry.
        fresh: regular expression for whole names of ours -> why they may keep the model's initialisation where the
            checkpoint does not have them.
    """
    made, copies = Conversion(), {}
    for name, wanted in model.state_dict().items():
        rule, match = next((rule, match) for rule in (*rules, SAME) if (match := re.fullmatch(rule.ours, name)))
        sources = made.sources[name] = rule.sources(match)
        if not rule.joined:
            copies.update({copy: f'copy of {sources[0]}' for copy in sources[1:]})

        absent = [source for source in sources if source not in official]
        reason = _reason(fresh, name)
        if reason and len(absent) == len(sources):
            made.initialised[name] = reason
        elif absent:
            made.missing[name] = absent
        else:
            try:
                made.state[name] = rule.tensor({source: official[source] for source in sources}, wanted.shape)
            except (ValueError, RuntimeError) as error:
                made.refused[name] = f'{sources[0]}: {error}'

    firsts = {sources[0] for sources in made.sources.values()}
    used = {source for sources in made.sources.values() for source in sources}
    made.dropped = {name: reason for name, reason in copies.items() if name in official and name not in firsts}
    for name in official:
        if name not in used:
            reason = _reason(drop, name)
            if reason:
                made.dropped[name] = reason
            else:
                made.unexpected.append(name)
    return made


def the_same(copies: Mapping[str, Tensor]) -> Tensor:
    """One of several copies, which must agree."""
    (first, tensor), *others = copies.items()
    different = [name for name, other in others if not torch.equal(tensor, other)]
    if different:
        raise ValueError(f'should equal {", ".join(different)}, but differs')
    return tensor


def block(index: int, count: int, dim: int = 0) -> Make:
    """Part `index` of `count` equal parts: of the rows, q, k or v out of a fused projection; or of another axis."""

    def make(tensor: Tensor, shape: torch.Size) -> Tensor:
        if dim >= tensor.dim() or tensor.size(dim) % count:
            raise ValueError(f'a tensor of shape {tuple(tensor.shape)} cannot be cut into {count} along axis {dim}')
        return tensor.chunk(count, dim)[index].clone()

    return make


def _reason(patterns: Mapping[str, str], name: str) -> str | None:
    return next((reason for pattern, reason in patterns.items() if re.fullmatch(pattern, name)), None)
