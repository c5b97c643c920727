"""Official checkpoints to weights of ours, strictly: a tensor that does not fit is listed and refused.

What official names mean is known to the layouts that the families register in `WEIGHT_LAYOUTS` (`layout.py`). Here a
file's layout is recognised, and the account drawn up.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ..registry import WEIGHT_LAYOUTS
from .containers import Weights, unwrap
from .errors import WeightsDoNotFit
from .keys import Conversion
from .layout import WeightLayout, is_classifier
from .readers import WeightFile, is_finite

SHOWN = 5  # lines of a kind that a refusal has room for


@dataclass
class Account:
    """What became of every tensor. Names of ours are those of the whole model.

    Attributes:
        layout: name of the layout that was used.
        target: the submodule that it filled, '' for the whole model.
        state: our name -> tensor.
        sources: our name -> the official names that it is made of.
        dropped: official name -> why it is not needed.
        initialised: our name -> why it stays as the model made it.
        problems: group -> lines; empty when all is well.
        file: what the weights came from, for messages.
        model: class of what was to be filled.
        differences: official option -> its value in the file and in the model, where these are known and differ.
        advice: option of the config with which the model does as the official code -> what it is about.
        said: what was chosen on the way, a line each.
    """

    layout: str
    target: str
    state: dict[str, Tensor]
    sources: dict[str, list[str]]
    dropped: dict[str, str]
    initialised: dict[str, str]
    problems: dict[str, list[str]]
    file: str = 'the checkpoint'
    model: str = 'model'
    differences: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    advice: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def num_elements(self) -> int:
        return sum(tensor.numel() for tensor in self.state.values())

    def check(self, config: str = 'the config', fitting: str = '', verbose: bool = False) -> 'Account':
        """Itself; raises `WeightsDoNotFit` where there are problems.

        Args:
            config: what to call the config of the model.
            fitting: a sentence that says which config would fit.
            verbose: list every tensor, not the first of a kind.
        """
        if self.problems:
            counts = ', '.join(f'{len(lines)} {group}' for group, lines in self.problems.items())
            groups = '\n'.join(_listed(group, lines, verbose) for group, lines in self.problems.items())
            raise WeightsDoNotFit(
                f'{self.headline(config)}{" " * bool(fitting)}{fitting}\n{counts}.\n{groups}\n'
                'Tensors of ours that shall stay as initialised are named with `skip` (--skip REGEX).'
            )
        return self

    def headline(self, config: str) -> str:
        """What the file is and what the config is, in one line."""
        theirs, ours = (
            ', '.join(f'{word}={values[side]!r}' for word, values in self.differences.items()) for side in (0, 1)
        )
        where = f' as its {self.target!r}' if self.target else ''
        return (
            f'{self.file} does not fit {config}: it has the layout {self.layout!r}{" with " * bool(theirs)}{theirs}; '
            f'the config builds a {self.model}{where}{" with " * bool(ours)}{ours}.'
        )


def _listed(group: str, lines: list[str], verbose: bool) -> str:
    kept = lines if verbose else lines[:SHOWN]
    more = [f'... and {len(lines) - SHOWN} more (--verbose lists all)'] if len(lines) > len(kept) else []
    return '\n  '.join([f'{group}:', *kept, *more])


def convert(
    checkpoint: Mapping[str, Any] | WeightFile | Weights,
    model: nn.Module,
    layout: str | type[WeightLayout] | None = None,
    target: str | None = None,
    skip: Sequence[str] = (),
    classes: str | None = None,
    other: Sequence[str] = (),
) -> dict[str, Tensor]:
    """The tensors of `model`, made of an official checkpoint; raises `WeightsDoNotFit` if anything is amiss.

    Arguments as in `account`.
    """
    return account(checkpoint, model, layout, target, skip, classes, other).check().state


def account(
    checkpoint: Mapping[str, Any] | WeightFile | Weights,
    model: nn.Module,
    layout: str | type[WeightLayout] | None = None,
    target: str | None = None,
    skip: Sequence[str] = (),
    classes: str | None = None,
    other: Sequence[str] = (),
    numbers: bool = True,
) -> Account:
    """Convert, and keep the problems for the caller.

    Args:
        checkpoint: a state dict, a published container of one, or a file that `read_file` has read.
        layout: name or class of the layout; None recognises it.
        target: the submodule to fill, e.g. 'backbone'; '' is the model itself. None: the part that the layout
            describes, if the model has it, else the model.
        skip: regular expressions for names of ours (in the whole model) that stay as initialised, for example a head
            for other classes.
        classes: whose class rows to pick, for layouts that have more than the model ('coco').
        other: options kept in the file that may differ from what the config builds.
        numbers: look for NaN and infinity, too.

    Raises:
        WeightsDoNotFit: there are no weights inside, or the layout is unknown or ambiguous.
    """
    found = unwrap(checkpoint)
    official = found.state
    layout = find_layout(set(official), layout, found.kind)
    if target is None:
        target = layout.target(model)
    part = model.get_submodule(target)
    prefix = f'{target}.' if target else ''

    made = layout.convert(official, part, **_choice(layout, classes))
    body = part.backbone if layout.head and is_classifier(part) else part
    body = body if isinstance(body, layout.model) else None
    built = {} if body is None else layout.built(body)
    shown = _differences(layout.shown(official), built)
    declared = _differences(layout.declared(official, found.args), built)
    declared = {word: pair for word, pair in declared.items() if word not in shown}  # tensors say it, too
    skipped = {name for name in made.sources if any(re.fullmatch(pattern, prefix + name) for pattern in skip)}
    unused = {source for name in skipped for source in made.sources[name]} - {
        source for name, sources in made.sources.items() if name not in skipped for source in sources
    }

    return Account(
        layout=_name(layout),
        target=target,
        state={prefix + name: tensor for name, tensor in made.state.items() if name not in skipped},
        sources={prefix + name: sources for name, sources in made.sources.items() if name not in skipped},
        dropped={**made.dropped, **{name: 'skipped' for name in official if name in unused}},
        initialised={prefix + name: reason for name, reason in made.initialised.items()}
        | {prefix + name: 'skipped' for name in made.sources if name in skipped},
        problems=_problems(made, part, prefix, skip, skipped, numbers) | _other_options(declared, other),
        file=found.kind,
        model=type(part).__name__,
        differences=shown | {word: pair for word, pair in declared.items() if word not in other},
        advice={} if body is None else dict(layout.advise(body)),
        said=found.said + ([] if body is None or found.args else _unsaid(layout)),
    )


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {word: (theirs[word], value) for word, value in ours.items() if word in theirs and theirs[word] != value}


def _other_options(differences: dict[str, tuple[Any, Any]], other: Sequence[str]) -> dict[str, list[str]]:
    lines = [
        f'{word}: {theirs!r} in the file, {ours!r} in the config; to take it all the same: --other {word}'
        for word, (theirs, ours) in differences.items()
        if word not in other
    ]
    groups = {'other options': lines, 'options that do not differ': [w for w in other if w not in differences]}
    return {group: lines for group, lines in groups.items() if lines}


def _unsaid(layout: type[WeightLayout]) -> list[str]:
    """What a file that keeps no options does not tell."""
    if not layout.hidden:
        return []
    return [f'the file does not tell {", ".join(layout.hidden)}: see to it that the config is the right one']


def _choice(layout: type[WeightLayout], classes: str | None) -> dict[str, str]:
    if classes is None:
        return {}
    if classes not in layout.classes:
        choices = f'it knows {", ".join(layout.classes)}' if layout.classes else 'it has no class rows to pick'
        raise WeightsDoNotFit(f'the layout {_name(layout)!r} cannot pick classes={classes!r} (--classes): {choices}')
    return dict(classes=classes)


def _problems(
    made: Conversion, part: nn.Module, prefix: str, skip: Sequence[str], skipped: set[str], numbers: bool
) -> dict[str, list[str]]:
    shapes = {name: tensor.shape for name, tensor in part.state_dict().items()}
    groups = {
        'missing': [
            f'{prefix}{name} <- {", ".join(absent)}' for name, absent in made.missing.items() if name not in skipped
        ],
        'unexpected': made.unexpected,
        'mis-shaped': [
            f'{prefix}{name} <- {", ".join(made.sources[name])}: got {_shape(tensor.shape)}, '
            f'wanted {_shape(shapes[name])}'
            for name, tensor in made.state.items()
            if name not in skipped and tensor.shape != shapes[name]
        ],
        'not finite': [
            f'{prefix}{name} <- {", ".join(made.sources[name])}: NaN or infinity'
            for name, tensor in made.state.items()
            if numbers and name not in skipped and not is_finite(tensor)
        ],
        'refused': [f'{prefix}{name} <- {reason}' for name, reason in made.refused.items() if name not in skipped],
        'skip patterns without effect': [
            pattern for pattern in skip if not any(re.fullmatch(pattern, prefix + name) for name in skipped)
        ],
    }
    return {group: lines for group, lines in groups.items() if lines}


def find_layout(
    keys: set[str], layout: str | type[WeightLayout] | None = None, file: str = 'the checkpoint'
) -> type[WeightLayout]:
    """The layout of that name, or the only one that recognises the names.

    Args:
        file: what the names come from, for messages.
    """
    if isinstance(layout, type):
        return layout
    WEIGHT_LAYOUTS.import_from_location()
    known = WEIGHT_LAYOUTS.module_dict
    if layout is not None:
        if layout not in known:
            raise WeightsDoNotFit(f'no layout is called {layout!r}; there are {", ".join(sorted(known))}')
        return known[layout]

    found = [name for name, candidate in known.items() if candidate.matches(keys)]
    if not found:
        raise WeightsDoNotFit(
            f'{file} has names that no layout knows, as {", ".join(sorted(keys)[:4])}. Names of the model itself need '
            'no conversion: load_from, or init_cfg=dict(type="Pretrained"), takes the file as it is. Layouts that can '
            f'be named (--layout): {", ".join(sorted(known))}'
        )
    if len(found) > 1:
        raise WeightsDoNotFit(f'{file} may be of several layouts, {" or ".join(found)}; name one (--layout)')
    return known[found[0]]


def _name(layout: type[WeightLayout]) -> str:
    return next((name for name, known in WEIGHT_LAYOUTS.module_dict.items() if known is layout), layout.__name__)


def _shape(shape: Sequence[int]) -> str:
    return 'x'.join(map(str, shape)) or 'a scalar'
