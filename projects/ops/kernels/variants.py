"""Which implementation of an op runs: the best that can, unless the user names one.

Environment ``MMPARTS_<OP>=<variant>``, or ``with OP.use('<variant>'):``, which wins. `python -m mmparts.ops` lists all.
"""

import os
import shutil
import sysconfig
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from typing import Any

import torch


class Variant:
    """One implementation.

    Args:
        load: imports and returns it, or raises ImportError that says what is missing.
        devices: types of device on which it runs; None: all.
        dtypes: those that it takes; None: all that the op takes.
        expected: whether its absence is worth a warning.
        by_name: only taken where the user names it.
    """

    def __init__(
        self,
        load: Callable[[], Any],
        devices: tuple[str, ...] | None = None,
        dtypes: tuple[torch.dtype, ...] | None = None,
        expected: bool = True,
        by_name: bool = False,
    ):
        self.load, self.devices, self.dtypes, self.expected = load, devices, dtypes, expected
        self.by_name = by_name

    def unfit(self, device: torch.device, dtype: torch.dtype | None = None) -> str:
        """Why it cannot take tensors of this kind; empty if it can."""
        if self.devices is not None and device.type not in self.devices:
            return f'it runs on {", ".join(self.devices)} and the tensors are on {device.type}'
        if self.dtypes is not None and dtype is not None and dtype not in self.dtypes:
            return f'it takes {", ".join(map(str, self.dtypes))} and the tensors are {dtype}'
        return ''

    @cached_property
    def function(self) -> Any | None:
        """The implementation, or None when something is ``missing``."""
        try:
            self.missing = ''
            return self.load()
        except ImportError as error:
            self.missing = str(error)


def from_module(path: str, extra: str) -> Callable[[], Any]:
    """For `Variant.load`: import ``'op.module.name'`` of `mmparts.ops`, which needs what our ``extra`` brings."""

    def load():
        module, _, name = path.rpartition('.')
        try:
            return getattr(import_module(f'..{module}', __package__), name)
        except ImportError as error:
            raise ImportError(f'{error}; pip install "mmparts-toolbox[{extra}]"') from error

    return load


def from_triton(path: str) -> Callable[[], Any]:
    """As `from_module`, for kernels of Triton, which compiles C at the first launch: to find out then would be late."""
    load = from_module(path, 'triton')

    def checked():
        if not (os.environ.get('CC') or shutil.which('gcc') or shutil.which('clang')):
            raise ImportError('Triton needs a C compiler: install gcc or clang, or name one in the environment as CC')
        if not os.path.exists(header := os.path.join(sysconfig.get_path('include'), 'Python.h')):
            raise ImportError(f'Triton needs the headers of Python, and there is no {header}: install python3-dev')
        return load()

    return checked


class Variants:
    """All variants of the op ``name``, best first. Missing packages are warned of once, at first use.

    Args:
        example: for `python -m mmparts.ops`: gives a function and its tensors. The function calls the op and returns
            a tensor or several; for inputs that require a gradient, it is taken too. Random numbers are seeded before.
    """

    def __init__(self, name: str, *, example: Callable[[], tuple] | None = None, **variants: Variant):
        self.name, self.example, self.variants = name, example, variants
        self.environment = f'MMPARTS_{name.upper()}'
        self.forced: str | None = None
        self.warned: set[str] = set()

    def choose(self, device: torch.device, dtype: torch.dtype | None = None) -> Any:
        """The implementation for ``device`` (and ``dtype``).

        Raises:
            RuntimeError: the one that the user named cannot run there.
            ValueError: there is none of that name.
        """
        return self.variants[self.chosen(device, dtype)].function

    def chosen(self, device: torch.device, dtype: torch.dtype | None = None) -> str:
        """The name of what `choose` gives."""
        if forced := self.forced or os.environ.get(self.environment):
            variant = self._named(forced)
            if obstacle := variant.unfit(device, dtype) or ('' if variant.function else variant.missing):
                raise RuntimeError(f'{self.name}: the variant {forced!r} was asked for, but {obstacle}')
            return forced

        for name, variant in self.variants.items():
            if not variant.by_name and not variant.unfit(device, dtype):
                if variant.function:
                    return name
                if variant.expected:
                    self._warn(f'{self.name}: without its fast variant {name!r}: {variant.missing}')
        raise RuntimeError(
            f'{self.name}: no variant for {dtype or "tensors"} on {device}; there are {", ".join(self.variants)}'
        )

    def forced_by(self) -> str:
        """What names the variant; empty when the best is taken."""
        return 'use()' if self.forced else self.environment if os.environ.get(self.environment) else ''

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
            raise ValueError(
                f'{self.name} has no variant {name!r} ({self.environment} or use()); there are '
                f'{", ".join(self.variants)}'
            )
        return self.variants[name]

    def _warn(self, message: str):
        if message not in self.warned:
            self.warned.add(message)
            warnings.warn(message, stacklevel=5)
