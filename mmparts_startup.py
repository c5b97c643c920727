"""Lies beside the installed package, and a .pth file imports it in every process of the environment: `import mmcv.ops`
and `_base_ = 'mmparts::...'` then work where nobody imports mmparts. Costs nothing until a library is imported."""

import sys
import warnings

COMPLETED = ('mmcv', 'mmengine', 'mmdet', 'mmseg')


class Startup:
    """Imports mmparts, which is light, before the first of the libraries that it completes."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname in COMPLETED and cls in sys.meta_path:
            sys.meta_path.remove(cls)
            try:
                import mmparts  # noqa: F401
            except Exception as error:  # must not take a library away that works without
                warnings.warn(f'mmparts could not be imported beside {fullname}: {error!r}', stacklevel=2)


if Startup not in sys.meta_path:
    sys.meta_path.insert(0, Startup)
