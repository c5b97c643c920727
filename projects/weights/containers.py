"""What published files wrap weights in: one dict among optimiser states, or several kinds of weights side by side."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import WeightsDoNotFit
from .readers import WeightFile

# Where weights lie. Of several in one file the first is taken: averages and teachers are what authors evaluate.
CONTAINERS = (
    'model_ema',
    'ema_model',
    'state_dict_ema',
    'params_ema',
    'teacher',
    'model',
    'state_dict',
    'module',
    'network_weights',
    'params',
    'student',
    'ema_state_dict',  # last: mmengine's hook swaps the two, the average lies under 'state_dict'
)
# What parallel and compiled modules put before every name.
WRAPPERS = ('module.', '_orig_mod.')
# Where the options of the training lie.
ARGUMENTS = ('args', 'hyper_parameters')


@dataclass
class Weights:
    """A state dict and what its file says of it.

    Attributes:
        state: official name -> tensor.
        args: options that the model was trained with, where the file has them.
        kind: what the file is, for messages.
        said: what was chosen on the way, a line each.
    """

    state: dict[str, Tensor]
    args: dict[str, Any] = field(default_factory=dict)
    kind: str = 'a state dict'
    said: list[str] = field(default_factory=list)


def unwrap(content: Mapping[str, Any] | WeightFile | Weights, key: str | None = None) -> Weights:
    """The weights inside a published container, without the prefix of a parallel or compiled wrapper.

    Args:
        content: a state dict, a container of one, or a file that was read.
        key: which of several weights to take, dots between levels ('model_ema', 'a.b'); None chooses, and says so.

    Raises:
        WeightsDoNotFit: there are no weights inside, or not under `key`.
    """
    if isinstance(content, Weights):
        return content
    kind = str(content) if isinstance(content, WeightFile) else 'the checkpoint'
    found = Weights({}, kind=kind)
    inner = content.content if isinstance(content, WeightFile) else content
    if not isinstance(inner, Mapping):
        raise WeightsDoNotFit(f'{kind} has no weights by name: it holds a {type(inner).__name__}')

    for part in key.split('.') if key else ():
        found.args = found.args or _arguments(inner)
        if not isinstance(inner.get(part), Mapping):
            raise WeightsDoNotFit(f'{kind} has nothing under {key!r}; weights lie under {_places(inner) or "no key"}')
        inner = inner[part]
    while inside := [name for name in CONTAINERS if _holds_weights(inner.get(name))]:
        found.args = found.args or _arguments(inner)
        if len(inside) > 1:
            others = ', '.join(map(repr, inside[1:]))
            found.said.append(f'took the weights under {inside[0]!r}; there are also {others} (--key chooses)')
        inner = inner[inside[0]]

    found.state = _state(inner, kind, found.said)
    return found


def _state(inner: Mapping[str, Any], kind: str, said: list[str]) -> dict[str, Tensor]:
    arrays = {name: value for name, value in inner.items() if isinstance(value, (Tensor, np.ndarray))}
    others = [str(name) for name in inner if name not in arrays]
    if not arrays or _places(inner):
        where = _places(inner)
        advice = f'weights may lie under {where} (--key)' if where else f'its keys are {others[:10]}'
        raise WeightsDoNotFit(
            f'no weights found in {kind}: neither a state dict nor a dict with one under '
            f'{", ".join(map(repr, CONTAINERS))}; {advice}'
        )
    if others:
        said.append(f'left out what is no tensor: {", ".join(others[:5])}{" ..." * (len(others) > 5)}')
    state = {str(name): torch.as_tensor(value) for name, value in arrays.items()}
    while prefix := next((prefix for prefix in WRAPPERS if all(name.startswith(prefix) for name in state)), None):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _holds_weights(value: Any) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(item, (Tensor, np.ndarray)) or _holds_weights(item) for item in value.values()
    )


def _places(inner: Mapping[str, Any]) -> str:
    return ', '.join(repr(str(name)) for name, value in inner.items() if _holds_weights(value))


def _arguments(inner: Mapping[str, Any]) -> dict[str, Any]:
    for name in ARGUMENTS:
        value = inner.get(name)
        if isinstance(value, argparse.Namespace):
            return vars(value)
        if isinstance(value, Mapping):
            return dict(value)
    return {}
