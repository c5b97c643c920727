"""mmparts: vision-transformer parts on the OpenMMLab registry."""

import os.path as osp

from mmengine.config.utils import MODULE2PACKAGE

from .ops.mmcv.finder import install as _install_mmcv_ext
from .version import __version__

__all__ = ['__version__', 'config']

# Makes `_base_ = 'mmparts::dino/...'` legal. The value is the import name on purpose: no distribution is called so,
# hence mmengine finds the package through its import spec, which holds for wheels and editable installs alike.
MODULE2PACKAGE.setdefault('mmparts', 'mmparts')

# mmcv-lite has no compiled ops; mmdet and mmseg import them at module level. A full mmcv is left alone.
_install_mmcv_ext()


def config(name: str) -> str:
    """Path of a shipped config, e.g. ``config('dino/dino-4scale_r50_8xb2-12e_coco.py')``.

    The expression form for a ``_base_`` that must resolve before mmparts is imported:
    ``_base_ = __import__('mmparts').config('...')``.
    """
    path = osp.join(osp.dirname(__file__), '.mim', 'configs', name)
    if not osp.exists(path):
        raise FileNotFoundError(f'mmparts ships no config {name!r} (looked for {path})')
    return path
