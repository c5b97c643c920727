"""mmparts: vision-transformer parts on the OpenMMLab registry."""

import os.path as osp

from .startup import install as _install
from .version import __version__

__all__ = ['__version__', 'config']

_install()


def config(name: str) -> str:
    """Path of a shipped config, e.g. ``config('dino/dino-4scale_r50_8xb2-12e_coco.py')``.

    The expression form for a ``_base_`` that must resolve before mmparts is imported:
    ``_base_ = __import__('mmparts').config('...')``.
    """
    path = osp.join(osp.dirname(__file__), '.mim', 'configs', name)
    if not osp.exists(path):
        raise FileNotFoundError(f'mmparts ships no config {name!r} (looked for {path})')
    return path
