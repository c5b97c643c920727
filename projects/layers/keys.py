"""Official checkpoints as rules: which official tensors hold a tensor of ours.

A weight layout (`WEIGHT_LAYOUTS`, used by `engine/convert.py`) is a class with

* `part`: the attribute of a whole model that the layout describes ('backbone'), or None for the model itself;
* `matches(keys: set[str]) -> bool`: whether official names look like this layout;
* `convert(state: dict[str, Tensor], model: nn.Module) -> Conversion`: pure, usually one call of `draw`.

Rules start from our names, so every tensor of the model is accounted for, and every official one too.
"""
import re
from dataclasses import dataclass, field
from typing import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

Make = Callable[[list[Tensor], torch.Size], Tensor]


@dataclass(frozen=True)
class Rule:
    """Where a tensor of ours comes from.

    Args:
        ours: regular expression for a whole name of ours.
        theirs: the official names that hold it: templates that may use the groups of `ours` (``\\1``), or a function
            from the match to names. Several names are copies of one tensor unless `make` says otherwise.
        make: from the official tensors, in the order of `theirs`, and our shape to our tensor. Default `the_same`.
    """
    ours: str
    theirs: Sequence[str] | Callable[[re.Match], Iterable[str]]
    make: Make | None = None

    def sources(self, match: re.Match) -> list[str]:
        if callable(self.theirs):
            return list(self.theirs(match))
        return [match.expand(template) for template in self.theirs]


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


def draw(official: Mapping[str, Tensor],
         model: nn.Module,
         rules: Sequence[Rule],
         drop: Mapping[str, str] = {},
         fresh: Mapping[str, str] = {}) -> Conversion:
    """Make the tensors of `model` from `official` ones.

    Args:
        rules: the first whose `ours` matches a name is used; a name without a rule is its own official name.
        drop: regular expression for whole official names -> why they are not needed. Tensors that a rule uses, and
            copies, need no entry.
        fresh: regular expression for whole names of ours -> why they may keep the model's initialisation where the
            checkpoint does not have them.
    """
    made = Conversion()
    copies = {}
    for name, wanted in model.state_dict().items():
        rule, match = _first(rules, name)
        sources = made.sources[name] = rule.sources(match) if rule else [name]
        absent = [source for source in sources if source not in official]
        reason = _reason(fresh, name)
        if absent and reason and len(absent) == len(sources):
            made.initialised[name] = reason
        elif absent:
            made.missing[name] = absent
        else:
            try:
                make = rule.make if rule and rule.make else the_same
                made.state[name] = make([official[source] for source in sources], wanted.shape)
            except (ValueError, RuntimeError) as error:
                made.refused[name] = f'{", ".join(sources)}: {error}'
            if make is the_same:
                copies.update({copy: f'copy of {sources[0]}' for copy in sources[1:]})

    used = {source for sources in made.sources.values() for source in sources}
    firsts = {sources[0] for sources in made.sources.values()}
    for name in official:
        if name in copies and name not in firsts:
            made.dropped[name] = copies[name]
        elif name not in used:
            reason = _reason(drop, name)
            if reason:
                made.dropped[name] = reason
            else:
                made.unexpected.append(name)
    return made


def the_same(tensors: list[Tensor], shape: torch.Size) -> Tensor:
    """One of several copies, which must agree."""
    first, *others = tensors
    different = [tuple(other.shape) for other in others if not torch.equal(first, other)]
    if different:
        raise ValueError(f'{len(different)} of {len(others)} copies differ from the first')
    return first


def joined(tensors: list[Tensor], shape: torch.Size) -> Tensor:
    """Several tensors stacked along the rows: separate q, k, v into a fused projection."""
    return torch.cat(tensors)


def rows(index: int, count: int) -> Make:
    """Block `index` of `count` equal blocks of rows: q, k or v out of a fused projection."""

    def make(tensors: list[Tensor], shape: torch.Size) -> Tensor:
        tensor = the_same(tensors, shape)
        if len(tensor) % count:
            raise ValueError(f'{len(tensor)} rows cannot be split into {count} equal blocks')
        return tensor.chunk(count)[index].clone()

    return make


def _first(rules: Sequence[Rule], name: str) -> tuple[Rule | None, re.Match | None]:
    for rule in rules:
        match = re.fullmatch(rule.ours, name)
        if match:
            return rule, match
    return None, None


def _reason(patterns: Mapping[str, str], name: str) -> str | None:
    return next((reason for pattern, reason in patterns.items() if re.fullmatch(pattern, name)), None)
