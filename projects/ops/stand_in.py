"""Which module stands in for ``mmcv._ext``, the compiled half of mmcv, and how to tell it from the real one."""

from types import ModuleType

NAME = 'mmcv._ext'
ORIGIN = 'plain torch, from mmparts.ops'


def is_stand_in(module: ModuleType) -> bool:
    """Whether this module is ours, and not a compiled extension."""
    return module.__spec__ is not None and module.__spec__.origin == ORIGIN
