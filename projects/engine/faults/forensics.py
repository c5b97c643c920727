"""Where a step went bad: the first module, term and gradient that are not finite, found by doing the step once more."""

import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass
class Diagnosis:
    """What was found; names in the order in which they went bad, empty where all was finite.

    Attributes:
        terms: losses that are not finite, with their values.
        forward: the first module with an output that is not finite, though what it was given is.
        gradients: the first tensors of the way back, outputs of modules or parameters.
        weights: parameters and buffers that were bad before the step.
        inputs: entries of the batch that were.
        stopped: what refused to go on with such numbers, before there was a loss.
    """

    terms: dict[str, float] = field(default_factory=dict)
    forward: list[str] = field(default_factory=list)
    gradients: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    stopped: str = ''

    def __bool__(self) -> bool:
        return bool(self.terms or self.forward or self.gradients or self.weights or self.inputs or self.stopped)

    def lines(self, most: int = 3) -> list[str]:
        """For a message, the likely cause first."""
        found = []
        for what, names in (
            ('bad before the step', self.inputs + self.weights),
            ('first bad output', self.forward),
            ('bad losses', [f'{name}={value}' for name, value in self.terms.items()]),
            ('first bad gradients', self.gradients),
            ('stopped by', [self.stopped] if self.stopped else []),
        ):
            if names:
                more = f' and {len(names) - most} more' if len(names) > most else ''
                found.append(f'  {what}: {", ".join(names[:most])}{more}')
        return found


def diagnose(model: nn.Module, batch: Any, states: dict | None = None, context=nullcontext) -> Diagnosis:
    """Do a training step's forward and backward again, with the same random numbers, and watch.

    Args:
        model: as it was before the step; its gradients are cleared, its weights stay.
        batch: as the data loader gave it.
        states: of :func:`random_states`.
        context: makes the context of the forward (mixed precision).
    """
    found = Diagnosis()
    found.weights = [name for name, value in model.state_dict().items() if is_bad(value)]
    found.inputs = [f'the batch, {name}' for name, value in tensors(batch) if is_bad(value)]
    handles = [module.register_forward_hook(_watch(name, found)) for name, module in model.named_modules()]
    handles += [
        parameter.register_hook(_note(f'{name} (parameter)', found.gradients))
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    ]
    try:
        with same_random_numbers(states), torch.enable_grad():
            model.zero_grad()
            with context():
                losses = model(**model.data_preprocessor(batch, True), mode='loss')
            total, terms = model.parse_losses(losses)
            bad = {name: float(value.detach()) for name, value in terms.items() if is_bad(value)}
            found.terms = {name: value for name, value in bad.items() if name != 'loss'} or bad  # 'loss' is their sum
            total.backward()
    except FloatingPointError as error:  # by which the matching refuses such predictions
        found.stopped = str(error)
    finally:
        for handle in handles:
            handle.remove()
        model.zero_grad()
    return found


def _watch(name: str, found: Diagnosis):
    def hook(module, inputs, outputs) -> None:
        for _, tensor in tensors(outputs):
            if tensor.requires_grad and tensor.is_floating_point():
                tensor.register_hook(_note(f'{name or "the model"} (output)', found.gradients))
        # A bad module inside it, or before it, has been noted first.
        if not found.forward and any(is_bad(tensor) for _, tensor in tensors(outputs)):
            found.forward.append(f'{name or "the model"} ({type(module).__name__})')

    return hook


def _note(name: str, names: list[str]):
    def hook(gradient: Tensor) -> None:
        if is_bad(gradient) and name not in names:
            names.append(name)

    return hook


def is_bad(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all())


def tensors(value: Any, name: str = '') -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of all that a value holds: lists, dicts, data samples, boxes."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from tensors(item, f'{name}.{key}'.lstrip('.'))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from tensors(item, f'{name}[{index}]')
    elif hasattr(value, 'items'):
        yield from tensors(dict(value.items()), name)
    elif isinstance(getattr(value, 'tensor', None), Tensor):
        yield name, value.tensor


def random_states() -> dict:
    """Of python, numpy, torch and this process's GPU."""
    states = dict(python=random.getstate(), numpy=np.random.get_state(), torch=torch.get_rng_state())
    if torch.cuda.is_available():
        states['cuda'] = torch.cuda.get_rng_state()
    return states


@contextmanager
def same_random_numbers(states: dict | None) -> Iterator[None]:
    """Draw what was drawn from these states; afterwards go on as if nothing had been drawn."""
    before = random_states()
    try:
        if states is not None:
            set_states(states)
        yield
    finally:
        set_states(before)


def set_states(states: dict) -> None:
    random.setstate(states['python'])
    np.random.set_state(states['numpy'])
    torch.set_rng_state(states['torch'].cpu())
    if 'cuda' in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states['cuda'].cpu())
