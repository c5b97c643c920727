"""Stands in for ``mmcv._ext``, the compiled half of mmcv, where there is none (mmcv-lite).

mmdet and mmseg import ``mmcv.ops`` at module level, and that fails without ``mmcv._ext``. The finder here is the last
of ``sys.meta_path``: a compiled ``_ext`` is found by the normal finders before it, so a full mmcv is untouched.
Nothing heavy is imported until somebody imports ``mmcv._ext``.
"""

import importlib
import importlib.abc
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType

from ..stand_in import NAME, ORIGIN
from . import torchvision_guard


def install():
    """Make ``mmcv.ops``, ``mmdet.models`` and ``mmseg.models`` importable on mmcv-lite.

    Does nothing the second time; changes nothing for a full mmcv and a torchvision that fits.
    """
    torchvision_guard.install()
    if not any(isinstance(finder, ExtFinder) for finder in sys.meta_path):
        sys.meta_path.append(ExtFinder())


class ExtFinder(importlib.abc.MetaPathFinder):
    """Finds ``mmcv._ext`` and nothing else."""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        if fullname == NAME:
            return ModuleSpec(fullname, ExtLoader(), origin=ORIGIN)


class ExtLoader(importlib.abc.Loader):
    """Fills the module with the ops of `calls`; every other name is an op that raises when it is called.

    mmcv checks at import that each op exists, so a lacking one may not fail before it is used.
    """

    def exec_module(self, module: ModuleType):
        calls = importlib.import_module('.calls', __package__).CALLS
        vars(module).update(calls)
        module.__getattr__ = lambda name: _lacking(name, sorted(calls))


def _lacking(op: str, supplied: list) -> Callable:
    if op.startswith('__'):
        raise AttributeError(f'module {NAME!r} has no attribute {op!r}')

    def lacking(*args, **kwargs):
        raise NotImplementedError(
            f'mmcv op `{op}` has no plain-torch version in mmparts, and this mmcv has no compiled ops (mmcv-lite).\n'
            f'Asked for by {" in ".join(_askers(sys._getframe(1)))}.\n'
            f'Ways out: use a part that does not need `{op}`; replace mmcv-lite by a full mmcv (compiled ops), which '
            f'mmparts then leaves alone; or request the op from mmparts.\n'
            f'Supplied: {", ".join(supplied)}.'
        )

    lacking.__name__ = op
    return lacking


def _askers(frame) -> Iterator[str]:
    """Who asked, from the call stack: the function that called the op, then the models around it up to the first
    that is not mmcv's."""
    code = frame.f_code
    yield f'{frame.f_globals.get("__name__")}.{getattr(code, "co_qualname", code.co_name)}'  # co_qualname: Python 3.11

    last = None
    while frame is not None:
        owner = frame.f_locals.get('self')
        if owner is not None and owner is not last and hasattr(type(owner), 'named_parameters'):
            kind, last = type(owner), owner
            yield f'{kind.__module__}.{kind.__qualname__}'
            if not kind.__module__.startswith(('mmcv.', 'torch.')):
                return
        frame = frame.f_back
