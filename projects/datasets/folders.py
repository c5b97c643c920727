"""Images sorted into a folder for each class, as ImageNet is."""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset

from ..registry import DATASETS, TRANSFORMS
from ..structures import ImageSample
from .bad_images import NamedImages
from .unlabelled import SUFFIXES


@DATASETS.register_module()
class ImageFolders(NamedImages, BaseDataset):
    """A folder for each class, with images in it or in folders below; the folders lie in ``data_prefix['img']``.

    Takes the arguments of mmengine's ``BaseDataset`` and of `NamedImages`. Classes are the folders in the order of
    their names, or those that ``metainfo=dict(classes=...)`` names, in its order: labels go by name, so training and
    test sets agree whatever folders each of them has.

    Args:
        names: folder -> name of its class, where they differ (ImageNet's ``n01440764``); folders of one name are one
            class.
        allow_empty: classes without an image are kept in silence.
        fraction: the part of each class that is used, by the order of its files: (0, 0.99) is what
            ``train[:99%]`` is in the official ViT.

    Raises:
        FileNotFoundError: no such folder, or no folder in it.
        ValueError: a class has no folder or no image; a folder belongs to no class.
    """

    def __init__(
        self,
        *args,
        names: dict[str, str] | None = None,
        allow_empty: bool = False,
        fraction: Sequence[float] = (0.0, 1.0),
        **kwargs,
    ):
        self.names, self.allow_empty, self.fraction = dict(names or {}), allow_empty, tuple(fraction)
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        root = Path(self.data_prefix.get('img') or self.data_root or '.')
        if not root.is_dir():
            raise FileNotFoundError(f'{root} is no folder; give the one with a folder for each class as data_root')
        folders = sorted(each for each in root.iterdir() if each.is_dir() and not each.name.startswith('.'))
        if not folders:
            raise FileNotFoundError(f'{root} holds no folder; it should hold one for each class')
        classes = self._classes(root, [self.names.get(folder.name, folder.name) for folder in folders])

        files = {name: [] for name in classes}
        for folder in folders:
            files[self.names.get(folder.name, folder.name)] += images_below(folder)
        empty = [name for name, paths in files.items() if not paths]
        if empty and not self.allow_empty:
            raise ValueError(
                f'no image ({", ".join(SUFFIXES)}) of {", ".join(empty)} in {root}; remove the class, or write '
                'allow_empty=True'
            )
        return [
            dict(img_path=path, img_id=str(Path(path).relative_to(root)), gt_label=classes.index(name))
            for name, paths in files.items()
            for path in self._part(paths)
        ]

    def _classes(self, root: Path, found: list[str]) -> list[str]:
        wanted = self._metainfo.get('classes')
        if wanted is None:
            wanted = list(dict.fromkeys(found))
            self._metainfo['classes'] = tuple(wanted)
        strange = [name for name in found if name not in wanted]
        if strange:
            near = [get_close_matches(name, wanted, 1) for name in strange]
            hints = [f'{name}' + (f' (meant: {close[0]}?)' if close else '') for name, close in zip(strange, near)]
            raise ValueError(
                f'folders of {root} that are none of the {len(wanted)} classes: {", ".join(hints)}; rename them, or '
                'say with `names` which class they are'
            )
        absent = [name for name in wanted if name not in found]
        if absent and not self.allow_empty:
            raise ValueError(
                f'{root} has no folder for {", ".join(absent)}; it has {", ".join(found)}. Correct the names, or write '
                'allow_empty=True'
            )
        return list(wanted)

    def _part(self, paths: list[str]) -> list[str]:
        first, last = (round(share * len(paths)) for share in self.fraction)
        return paths[first:last]


def images_below(folder: Path) -> list[str]:
    """Paths of the images in a folder and the folders below it, in order."""
    return sorted(
        os.path.join(where, name)
        for where, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(SUFFIXES) and not name.startswith('.')
    )


@TRANSFORMS.register_module()
class PackImage(BaseTransform):
    """An image with its class, for a model: ``inputs`` C H W and a data sample, with ``gt_label`` if it is known."""

    META = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip')

    def transform(self, results: dict) -> dict:
        image = results['img'] if results['img'].ndim == 3 else results['img'][..., None]
        inputs = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        sample = ImageSample(metainfo={key: results[key] for key in self.META if key in results})
        if 'gt_label' in results:
            sample.gt_label = torch.tensor(results['gt_label'])
        return dict(inputs=inputs, data_samples=sample)
