"""Makes a torchvision that does not fit the installed torch look absent instead of broken.

The wheel a bare ``pip install torchvision`` takes is built for a CUDA torch; beside a CPU torch its import dies with a
RuntimeError. mmengine's Runner, mmseg and others treat torchvision (and timm, which imports it) as optional, but expect
a ModuleNotFoundError. A torchvision that works is not touched.
"""

import importlib.abc
import sys
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def install():
    """Watch the import of torchvision; does nothing the second time."""
    if not any(isinstance(finder, TorchvisionFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, TorchvisionFinder())


class TorchvisionFinder(importlib.abc.MetaPathFinder):
    """Finds torchvision as usual, and translates the error of a build that does not fit."""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == 'torchvision' else None
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType):
            try:
                run(module)
            except RuntimeError as error:
                raise ModuleNotFoundError(
                    f'the installed torchvision does not fit the installed torch ({error}); '
                    'install the build made for it. mmparts itself needs none.',
                    name='torchvision',
                ) from error

        spec.loader.exec_module = exec_module
        return spec


def declare_ops_where_broken():
    """For libraries that die with a torchvision that does not fit (timm, transformers) and run none of its operators:
    with the two declared that such a torchvision lacks, its Python half imports. One that works, or none, stays.
    """
    try:
        import torchvision  # noqa: F401
    except ImportError:
        _declare_ops()


@cache
def _declare_ops():
    """Operators stay declared as long as their library object lives: the cache keeps it."""
    import torch

    library = torch.library.Library('torchvision', 'FRAGMENT')
    for name in ('nms', 'qnms'):
        library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    return library
