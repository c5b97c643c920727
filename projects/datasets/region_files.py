"""Regions that a detector has found in images, as files beside them: one npz an image with ``features`` R D, ``boxes``
R 4 (xyxy in shares of the image's sides) and ``scores`` R, best first. `mmparts data regions` writes them."""

import os
import zipfile
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from ..registry import TRANSFORMS
from ..structures import ItemRegions
from .annotations import BadAnnotations

KEYS = ('features', 'boxes', 'scores')


def file_of(folder: str | os.PathLike, name: str | os.PathLike) -> Path:
    """The file of an image that is called ``name`` in the folder of images."""
    return Path(folder, f'{name}.npz')


def read_regions(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """What a file holds.

    Raises:
        FileNotFoundError: it is not there.
        BadAnnotations: it is none of regions, or cut short; features, boxes and scores are not as many.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            found = {key: content[key] for key in KEYS}
    except FileNotFoundError:
        raise FileNotFoundError(
            f'no regions at {path}; `mmparts data regions CONFIG CHECKPOINT IMAGES --out FOLDER` makes them'
        ) from None
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadAnnotations(f'{path} is no file of regions ({error}); make it anew') from error
    counts = [len(each) for each in found.values()]
    if len(set(counts)) != 1 or found['boxes'].shape[1:] != (4,) or found['features'].ndim != 2:
        shapes = {key: each.shape for key, each in found.items()}
        raise BadAnnotations(f'{path} holds {shapes}; features R x D, boxes R x 4 and scores R are right')
    return found


@TRANSFORMS.register_module()
class LoadRegions(BaseTransform):
    """The entry ``regions`` of an item, an `ItemRegions`: those of ``img_path``, and of ``second_path`` where there is
    one (NLVR2), told apart by their types.

    Args:
        folder: of the files.
        images: the folder that was read; names of files are those of images below it.
        most: at most so many of an image, the best.
        add_boxes: features get x1, y1, x2, y2, width and height of their box, shares of the image (Flickr30K).
    """

    def __init__(self, folder: str, images: str, most: int = 100, add_boxes: bool = False):
        if most < 1:
            raise ValueError(f'most={most}: at least one region of an image is needed')
        self.folder, self.images, self.most, self.add_boxes = folder, images, most, add_boxes

    def transform(self, results: dict) -> dict:
        paths = [results[key] for key in ('img_path', 'second_path') if key in results]
        features, boxes = zip(*map(self.read, paths))
        types = None
        if len(paths) > 1:
            types = torch.cat([torch.full((len(each),), number) for number, each in enumerate(boxes)])
        results['regions'] = ItemRegions(torch.cat(features), torch.cat(boxes), types)
        return results

    def read(self, path: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Features R D and boxes R 4 of an image."""
        found = read_regions(file_of(self.folder, os.path.relpath(path, self.images)))
        features, boxes = (torch.from_numpy(found[key][: self.most]).float() for key in ('features', 'boxes'))
        if self.add_boxes:
            features = torch.cat([features, boxes, boxes[:, 2:] - boxes[:, :2]], 1)
        return features, boxes
