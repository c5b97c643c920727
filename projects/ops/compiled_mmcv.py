"""The compiled half of a full mmcv, for those ops' ``mmcv`` variants."""
import importlib
from collections.abc import Callable

from .mmcv_ext import NAME, ExtLoader


def compiled_op(name: str) -> Callable:
    """The function ``name`` of ``mmcv._ext``, for example ``'nms'`` or ``'ms_deform_attn_forward'``.

    Raises:
        ImportError: there is no mmcv; or it has no compiled ops (mmcv-lite), of which those in plain torch that
            `mmcv_ext` lends it are none; or it was built without this op.
    """
    try:
        extension = importlib.import_module(NAME)
    except ImportError as error:
        raise ImportError(f'mmcv has no compiled ops here ({error}); a full mmcv has') from error
    if isinstance(extension.__spec__.loader, ExtLoader):
        raise ImportError('this mmcv has no compiled ops (mmcv-lite); a full mmcv has')
    if not hasattr(extension, name):
        raise ImportError(f'this mmcv was built without the op {name}')
    return getattr(extension, name)
