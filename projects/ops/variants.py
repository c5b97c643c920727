"""Which implementation of an op runs: the best that can, unless the user names one.

Environment ``MMPARTS_<OP>=<variant>``, or ``with OP.use('<variant>'):``, which wins.
"""
import os
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from functools import cached_property

import torch


class Variant:
    """One implementation: ``load`` imports and returns it, or raises ImportError that says what is missing."""

    def __init__(self, load: Callable[[], Callable], devices: tuple[str, ...] | None = None):
        self.load, self.devices = load, devices                              # devices None: all

    def fits(self, device: torch.device) -> bool:
        return self.devices is None or device.type in self.devices

    @cached_property
    def function(self) -> Callable | None:
        """The implementation, or None when something is ``missing``."""
        try:
            self.missing = ''
            return self.load()
        except ImportError as error:
            self.missing = str(error)


class Variants:
    """All variants of the op ``name``, best first. Missing packages are warned of once, at first use."""

    def __init__(self, name: str, **variants: Variant):
        self.name, self.variants = name, variants
        self.environment = f'MMPARTS_{name.upper()}'
        self.forced: str | None = None
        self.warned: set[str] = set()

    def choose(self, device: torch.device) -> Callable:
        """The implementation for ``device``. Raises RuntimeError when the one that the user named cannot run there."""
        forced = self.forced or os.environ.get(self.environment)
        if forced:
            variant = self._named(forced)
            if not variant.fits(device):
                raise RuntimeError(f'{self.name}: the variant {forced!r} was asked for, but it runs on '
                                   f'{", ".join(variant.devices)} and the tensors are on {device.type}')
            if not variant.function:
                raise RuntimeError(f'{self.name}: the variant {forced!r} was asked for, but {variant.missing}')
            return variant.function

        for name, variant in self.variants.items():
            if variant.fits(device):
                if variant.function:
                    return variant.function
                self._warn(f'{self.name}: without its fast variant {name!r}: {variant.missing}')
        raise RuntimeError(f'{self.name}: no variant for {device}; there are {", ".join(self.variants)}')

    @contextmanager
    def use(self, name: str):
        """Inside, only the variant ``name`` runs, in all threads of the process."""
        self._named(name)
        before, self.forced = self.forced, name
        try:
            yield
        finally:
            self.forced = before

    def _named(self, name: str) -> Variant:
        if name not in self.variants:
            raise ValueError(f'{self.name} has no variant {name!r} ({self.environment} or use()); there are '
                             f'{", ".join(self.variants)}')
        return self.variants[name]

    def _warn(self, message: str):
        if message not in self.warned:
            self.warned.add(message)
            warnings.warn(message, stacklevel=4)
