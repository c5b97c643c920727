"""Makes a torchvision that does not fit the installed torch look absent instead of broken.

The wheel a bare ``pip install torchvision`` takes is built for a CUDA torch; beside a CPU torch its import dies with a
RuntimeError. mmengine's Runner, mmseg and others treat torchvision (and timm, which imports it) as optional, but expect
a ModuleNotFoundError. A torchvision that works is not touched.
"""
import importlib.abc
import sys
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
                raise ModuleNotFoundError(f'the installed torchvision does not fit the installed torch ({error}); '
                                          'install the build made for it. mmparts itself needs none.',
                                          name='torchvision') from error

        spec.loader.exec_module = exec_module
        return spec
