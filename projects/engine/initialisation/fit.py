"""Counts how much of a model a set of weights fills, says so in one line, and refuses weights that do not fit.

mmengine loads pretrained weights non-strictly: when no name matches it logs a warning and trains from scratch.
"""

import math
import os
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import mmengine.runner.checkpoint as mmengine_checkpoint
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from ...weights.errors import WeightsDoNotFit

MINIMUM_VARIABLE = 'MMPARTS_MIN_LOADED'
DEFAULT_MINIMUM = 0.5
# A step counter, absent from many published files and of no effect on the output.
IGNORED = 'num_batches_tracked'

_load_state_dict = mmengine_checkpoint.load_state_dict


@dataclass
class Fit:
    """What a load did. Counts are over parameters and persistent buffers; ``share`` is by number of elements."""

    name: str
    tensors: int = 0
    elements: int = 0
    loaded_tensors: int = 0
    loaded_elements: int = 0
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    misshaped: list[str] = field(default_factory=list)
    in_part: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        return self.loaded_elements / max(self.elements, 1)

    def __str__(self) -> str:
        # Rounded down: 100 % is said of whole models alone.
        line = (
            f'{self.name}: {self.loaded_tensors}/{self.tensors} tensors, {math.floor(1000 * self.share) / 10:.1f} % of '
            'parameters loaded'
        )
        if self.in_part:
            line += f'; in part: {_some(self.in_part)}'
        if self.missing:
            line += f'; as initialised, not in the file: {_some(self.missing)}'
        if self.misshaped:
            line += f'; other shape: {_some(self.misshaped)}'
        if self.unused:
            line += f'; {len(self.unused)} tensors of the file not used'
        return line


# The last load into each model: SafeCheckpointHook demands a whole one on resume.
last_fit: WeakKeyDictionary = WeakKeyDictionary()
# Tensors of the next load into a model that the file fills in part: model -> name -> (rows of the file, rows).
partly: WeakKeyDictionary = WeakKeyDictionary()


def minimum() -> float:
    """Smallest share of a model that a load must fill: ``MMPARTS_MIN_LOADED``, or one half."""
    return float(os.environ.get(MINIMUM_VARIABLE, DEFAULT_MINIMUM))


def load_and_account(module: nn.Module, state_dict: dict, strict: bool = False, logger=None) -> None:
    """mmengine's ``load_state_dict``, then one line on what was loaded; too little is refused.

    What was loaded is seen in the tensors themselves (their version counters), so modules that rename keys while
    loading are counted rightly.

    Raises:
        WeightsDoNotFit: The share is below :func:`minimum`; the message proposes a prefix if one would help.
    """
    model = module.module if is_model_wrapper(module) else module
    before = {name: (id(tensor), tensor._version) for name, tensor in _tensors(model).items()}
    _load_state_dict(module, state_dict, strict, logger)

    fit = _count(model, before, state_dict)
    last_fit[model] = fit
    print_log(str(fit), logger=logger or 'current')
    if fit.share < minimum():
        raise WeightsDoNotFit(
            f'{fit}. At least {100 * minimum():.0f} % are needed. {hint(model, state_dict)} '
            f'To load them all the same: {MINIMUM_VARIABLE}={fit.share:.2f}.'
        )


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {
        name: value
        for name, value in model.state_dict(keep_vars=True).items()
        if isinstance(value, Tensor) and not name.endswith(IGNORED)
    }


def _count(model: nn.Module, before: dict, state_dict: dict) -> Fit:
    fit = Fit(type(model).__name__)
    after, parts = _tensors(model), partly.pop(model, {})
    for name, tensor in after.items():
        fit.tensors += 1
        fit.elements += tensor.numel()
        if before.get(name) != (id(tensor), tensor._version):
            taken, rows = parts.get(name, (1, 1))
            fit.loaded_tensors += taken == rows
            fit.loaded_elements += tensor.numel() * taken // rows
            if taken < rows:
                fit.in_part.append(f'{name} ({taken} of {rows} rows)')
        elif name in state_dict:
            fit.misshaped.append(f'{name} {_shape(state_dict[name])}, the model has {_shape(tensor)}')
        else:
            fit.missing.append(name)
    fit.unused = [name for name in state_dict if name not in after and not name.endswith(IGNORED)]
    return fit


def hint(model: nn.Module, state_dict: dict) -> str:
    """The change of prefix that makes most of ``state_dict`` fit ``model``, or else the names on either side."""
    wanted = {name: _shape(tensor) for name, tensor in _tensors(model).items()}
    given = {name: _shape(tensor) for name, tensor in state_dict.items() if isinstance(tensor, Tensor)}
    total = max(len(wanted), 1)

    removed = {
        prefix: sum(
            wanted.get(name[len(prefix) :]) == shape for name, shape in given.items() if name.startswith(prefix)
        )
        for prefix in _prefixes(given)
    }
    added = {
        prefix: sum(wanted.get(prefix + name) == shape for name, shape in given.items()) for prefix in _prefixes(wanted)
    }
    best_removed = max(removed, key=removed.get, default='')
    best_added = max(added, key=added.get, default='')

    if removed.get(best_removed, 0) > max(added.get(best_added, 0), 0):
        return (
            f"{removed[best_removed]}/{total} tensors fit without the prefix '{best_removed}' of the file: "
            f"init_cfg=dict(type='Pretrained', checkpoint=..., prefix='{best_removed}')."
        )
    if added.get(best_added, 0) > 0:
        part = best_added.rstrip('.')
        return (
            f"{added[best_added]} of its tensors fit the part '{part}': load them there, "
            f"{part}=dict(init_cfg=dict(type='Pretrained', checkpoint=...))."
        )
    return (
        f'The file has {_some(list(given))}; the model has {_some(list(wanted))}. '
        'Weights in an official layout are converted by tools/convert_weights.py.'
    )


def _prefixes(names: dict) -> set[str]:
    """Every leading part of the names, with its dot, up to three levels."""
    parts = [name.split('.') for name in names]
    return {'.'.join(part[:depth]) + '.' for part in parts for depth in (1, 2, 3) if depth < len(part)}


def _shape(tensor: Tensor) -> tuple:
    return tuple(tensor.shape)


def _some(names: list[str], most: int = 4) -> str:
    rest = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(str(name) for name in names[:most]) + rest
