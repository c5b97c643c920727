"""Official checkpoints to weights of ours, strictly: a tensor that does not fit is listed and refused.

What official names mean is known to the layouts that the families register in `WEIGHT_LAYOUTS`; their protocol stands
in `weights/keys.py`. Here a checkpoint is opened, its layout recognised, and the account drawn up.
"""

import hashlib
import inspect
import io
import os.path as osp
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.model.weight_init import update_init_info
from torch import Tensor, nn

from ..registry import WEIGHT_INITIALIZERS, WEIGHT_LAYOUTS
from ..version import __version__
from .checkpoint import load_checkpoint_file, trusted, verify_checkpoint, write_atomically
from .fit import WeightsDoNotFit

# Where published checkpoints keep their weights, beside optimiser states and arguments.
CONTAINERS = ('state_dict', 'model')


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
    """

    layout: str
    target: str
    state: dict[str, Tensor]
    sources: dict[str, list[str]]
    dropped: dict[str, str]
    initialised: dict[str, str]
    problems: dict[str, list[str]]

    @property
    def num_elements(self) -> int:
        return sum(tensor.numel() for tensor in self.state.values())

    def check(self) -> 'Account':
        """Itself; raises `WeightsDoNotFit` with every problem."""
        if self.problems:
            counts = ', '.join(f'{len(lines)} {group}' for group, lines in self.problems.items())
            groups = ''.join('\n' + '\n  '.join([f'{group}:', *lines]) for group, lines in self.problems.items())
            where = f' in its {self.target!r}' if self.target else ''
            raise WeightsDoNotFit(
                f'through the layout {self.layout!r} the checkpoint does not fit the model{where}: {counts}.{groups}\n'
                'Check that the config is the one the weights were trained with. Tensors of ours that shall stay as '
                'initialised are named with `skip` (--skip REGEX).'
            )
        return self


def convert(
    checkpoint: Mapping[str, Any],
    model: nn.Module,
    layout: str | type | None = None,
    target: str | None = None,
    skip: Sequence[str] = (),
    classes: str | None = None,
) -> dict[str, Tensor]:
    """The tensors of `model`, made of an official checkpoint; raises `WeightsDoNotFit` if anything is amiss.

    Arguments as in `account`.
    """
    return account(checkpoint, model, layout, target, skip, classes).check().state


def account(
    checkpoint: Mapping[str, Any],
    model: nn.Module,
    layout: str | type | None = None,
    target: str | None = None,
    skip: Sequence[str] = (),
    classes: str | None = None,
) -> Account:
    """Convert, and keep the problems for the caller.

    Args:
        checkpoint: a state dict, or a published container of one.
        layout: name or class of the layout; None recognises it.
        target: the submodule to fill, e.g. 'backbone'; '' is the model itself. None: the part that the layout
            describes, if the model has it, else the model.
        skip: regular expressions for names of ours (in the whole model) that stay as initialised, for example a head
            for other classes.
        classes: whose class rows to pick, for layouts that have more than the model ('coco').

    Raises:
        WeightsDoNotFit: there are no weights inside, or the layout is unknown or ambiguous.
    """
    official = unwrap(checkpoint)
    layout = find_layout(set(official), layout)
    if target is None:
        target = layout.part if layout.part and hasattr(model, layout.part) else ''
    part = model.get_submodule(target)
    prefix = f'{target}.' if target else ''

    made = layout.convert(official, part, **_options(layout, classes))
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
        problems=_problems(made, part, prefix, skip, skipped),
    )


def _options(layout: type, classes: str | None) -> dict[str, str]:
    if classes is None:
        return {}
    if 'classes' not in inspect.signature(layout.convert).parameters:
        raise WeightsDoNotFit(
            f'the layout {_name(layout)!r} has no class rows to pick; leave out classes={classes!r} (--classes)'
        )
    return dict(classes=classes)


def _problems(made: Any, part: nn.Module, prefix: str, skip: Sequence[str], skipped: set[str]) -> dict[str, list[str]]:
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
        'refused': [f'{prefix}{name} <- {reason}' for name, reason in made.refused.items() if name not in skipped],
        'skip patterns without effect': [
            pattern for pattern in skip if not any(re.fullmatch(pattern, prefix + name) for name in skipped)
        ],
    }
    return {group: lines for group, lines in groups.items() if lines}


def unwrap(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state dict inside a published container, without the `module.` of a parallel wrapper."""
    inner = checkpoint
    while not _is_state(inner):
        key = next((key for key in CONTAINERS if isinstance(inner.get(key), Mapping)), None)
        if key is None:
            raise WeightsDoNotFit(
                f'no weights found: neither a state dict nor a dict with one under '
                f'{" or ".join(map(repr, CONTAINERS))}; its keys are {list(map(str, inner))[:10]}'
            )
        inner = inner[key]
    while all(name.startswith('module.') for name in inner):
        inner = {name.removeprefix('module.'): tensor for name, tensor in inner.items()}
    return dict(inner)


def _is_state(value: Mapping[str, Any]) -> bool:
    return bool(value) and all(isinstance(name, str) and isinstance(item, Tensor) for name, item in value.items())


def find_layout(keys: set[str], layout: str | type | None = None) -> type:
    """The layout of that name, or the only one that recognises the names."""
    if isinstance(layout, type):
        return layout
    WEIGHT_LAYOUTS.import_from_location()
    known = WEIGHT_LAYOUTS.module_dict
    if layout is not None:
        if layout not in known:
            raise WeightsDoNotFit(f'no layout is called {layout!r}; there are {", ".join(sorted(known))}')
        return known[layout]

    found = [name for name, candidate in known.items() if candidate.matches(keys)]
    if len(found) != 1:
        what = f'{" and ".join(found)} fit' if found else 'none fits'
        raise WeightsDoNotFit(
            f'the layout of the checkpoint is not clear: of {", ".join(sorted(known))}, {what} its '
            f'names, as {", ".join(sorted(keys)[:4])}. Name one (--layout). Weights that have the '
            'names of the model need no conversion.'
        )
    return known[found[0]]


def _name(layout: type) -> str:
    return next((name for name, known in WEIGHT_LAYOUTS.module_dict.items() if known is layout), layout.__name__)


def _shape(shape: Sequence[int]) -> str:
    return 'x'.join(map(str, shape)) or 'a scalar'


def load_weights(path: str, trust: bool = False) -> Mapping[str, Any]:
    """Read a checkpoint without running code from it; `.safetensors` too, where that package is installed."""
    if not str(path).endswith('.safetensors'):
        return load_checkpoint_file(path, trust=trust)
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError(f'{path}: to read this format, `pip install safetensors`') from error
    return load_file(osp.expanduser(path))


def save_weights(made: Account, source: str, path: str):
    """Write a checkpoint that `load_from`, `init_cfg=dict(type='Pretrained')` and the tools take, all or nothing."""
    with open(osp.expanduser(source), 'rb') as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    meta = dict(
        converted_from=osp.basename(source),
        sha256=digest,
        layout=made.layout,
        target=made.target,
        initialised=sorted(made.initialised),
        mmparts_version=__version__,
    )
    buffer = io.BytesIO()
    torch.save(dict(state_dict=made.state, meta=meta), buffer)
    write_atomically(buffer.getvalue(), path, verify=verify_checkpoint)


@WEIGHT_INITIALIZERS.register_module()
class OfficialWeights:
    """`init_cfg=dict(type='mmparts.OfficialWeights', checkpoint=...)`: fill a part from an official file, strictly.

    mmengine's `Pretrained` wants a file with the part's own names; this one converts on the way.

    Args:
        checkpoint: a local file.
        layout: as in `account`.
        skip: as in `account`; names are those of the part.
    """

    def __init__(self, checkpoint: str, layout: str | None = None, skip: Sequence[str] = ()):
        self.checkpoint = checkpoint
        self.layout = layout
        self.skip = skip

    def __call__(self, module: nn.Module):
        made = account(load_weights(self.checkpoint, trusted()), module, self.layout, skip=self.skip).check()
        module.load_state_dict(made.state, strict=False)
        # mmengine goes on to the children, whose own initialisation would undo this.
        for child in module.modules():
            if isinstance(child, BaseModule) and child is not module:
                child._is_init = True

        info = f'{len(made.state)} tensors of {self.checkpoint} ({made.layout}), {len(made.initialised)} as initialised'
        print_log(f'{type(module).__name__}: {info}', logger='current')
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=info)
