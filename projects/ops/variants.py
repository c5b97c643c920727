"""Which implementation of an op runs: the best that can, unless the user names one.

Environment ``MMPARTS_<OP>=<variant>``, or ``with OP.use('<variant>'):``, which wins.
"""
import os
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass
class Variant:
    """One implementation: ``load`` imports and returns it, or raises ImportError with what to install."""

    load: Callable[[], Callable]
    devices: tuple[str, ...] | None = None                                   # None: all

    def missing(self, device: torch.device) -> str | None:
        if self.devices and device.type not in self.devices:
            return f'it runs on {", ".join(self.devices)}, not on {device.type}'
        try:
            self.load()
        except ImportError as error:
            return str(error)


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
            missing = variant.missing(device)
            if missing:
                raise RuntimeError(f'{self.name}: the variant {forced!r} was asked for, but {missing}')
            return variant.load()

        for name, variant in self.variants.items():
            if variant.devices is None or device.type in variant.devices:
                missing = variant.missing(device)
                if not missing:
                    return variant.load()
                self._warn(f'{self.name}: without the fast variant {name!r}, since {missing}')
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
