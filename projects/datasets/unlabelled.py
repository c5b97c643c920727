"""Images without annotations, for pre-training."""

import os
from pathlib import Path

from mmengine.dataset import BaseDataset

from ..registry import DATASETS
from .bad_images import NamedImages

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')


@DATASETS.register_module()
class UnlabelledImages(NamedImages, BaseDataset):
    """Every image of a folder and of the folders in it, in the order of their names.

    Takes the arguments of mmengine's ``BaseDataset``; the folder is ``data_prefix['img']`` in ``data_root``.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
    """

    def load_data_list(self) -> list[dict]:
        folder = self.data_prefix['img']
        paths = sorted(
            os.path.join(where, name)
            for where, _, names in os.walk(folder)
            for name in names
            if name.lower().endswith(SUFFIXES)
        )
        if not paths:
            raise FileNotFoundError(
                f'no image ({", ".join(SUFFIXES)}) in {folder} or below; give the folder '
                'that holds the data with --cfg-options data_root=FOLDER'
            )
        return [dict(img_path=path, img_id=str(Path(path).relative_to(folder)), instances=[]) for path in paths]
