"""What makes mmparts known to the libraries that it completes, each as soon as it is imported and not before.

`import mmparts` installs it; `mmparts_startup.py`, which an installed mmparts puts into every process of its
environment, imports mmparts when one of these libraries is imported. So a process that never heard of mmparts reads
our configs.
"""

import importlib.abc
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from .ops.mmcv.finder import install as install_mmcv_ext

NAMES = 'mmengine.config.utils'  # holds the packages that `_base_ = 'package::...'` may name


def install() -> None:
    """Make `_base_ = 'mmparts::...'` legal and mmcv-lite complete; does nothing the second time."""
    if NAMES in sys.modules:
        add_name(sys.modules[NAMES])
    elif not any(isinstance(finder, ConfigNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, ConfigNames())
    # mmcv-lite has no compiled ops; mmdet and mmseg import them at module level. A full mmcv is left alone.
    install_mmcv_ext()


def add_name(module: ModuleType) -> None:
    """The value is the import name on purpose: no distribution is called so, hence mmengine finds the package through
    its import spec, which holds for wheels and editable installs alike."""
    module.MODULE2PACKAGE.setdefault('mmparts', 'mmparts')


class ConfigNames(importlib.abc.MetaPathFinder):
    """Finds mmengine's table of packages as usual, and adds ours to it."""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == NAMES else None
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            add_name(module)

        spec.loader.exec_module = exec_module
        return spec
