"""Maps of labels as plain data: the region of each label."""

from collections.abc import Sequence

import numpy as np
from mmdet.structures.mask import encode_mask_results
from pycocotools import mask as rle
from torch import Tensor


def regions(labels: Tensor, classes: Sequence[str] | None = None, offset: int | None = None) -> list[dict]:
    """The regions of a map of labels, (D) H W, largest first: ``label``, ``name``, ``area`` (pixels or voxels),
    ``size`` (that of the map) and ``mask``: COCO's RLE, of a volume that of its slices one below the other, (D H) W.

    Args:
        classes: names; labels beyond them are of nobody and left out.
        offset: the map holds ``label + offset * number of the object``, which becomes ``number``.
    """
    labels = labels.cpu().numpy()
    found = []
    for value in np.unique(labels).tolist():
        label, number = (value % offset, value // offset) if offset else (value, None)
        if classes is None or 0 <= label < len(classes):
            found.append(region(labels == value, label, classes, number))
    return sorted(found, key=lambda one: -one['area'])


def overlapping(masks: Tensor, classes: Sequence[str] | None = None) -> list[dict]:
    """The same of R maps of 0 and 1, R (D) H W, one for each label; in their order, empty ones left out."""
    masks = masks.cpu().numpy() > 0
    return [region(mask, label, classes) for label, mask in enumerate(masks) if mask.any()]


def region(mask: np.ndarray, label: int, classes: Sequence[str] | None, number: int | None = None) -> dict:
    """One region as plain data."""
    rle = encode_mask_results([mask.reshape(-1, mask.shape[-1])])[0]
    named = {} if classes is None else dict(name=classes[label])
    numbered = {} if number is None else dict(number=number)
    coded = dict(size=rle['size'], counts=rle['counts'].decode())
    return dict(label=label, **named, **numbered, area=int(mask.sum()), size=list(mask.shape), mask=coded)


def map_of(found: Sequence[dict], shape: Sequence[int], empty: int = 255) -> np.ndarray:
    """The map that regions were made of: 1 (D) H W of labels (``empty`` where there is none), or R (D) H W of 0 and 1.

    Args:
        found: regions.
        shape: of the map.
    """
    made = np.full(shape, empty if shape[0] == 1 else 0, np.uint8 if empty < 256 else int)
    for one in found:
        coded = dict(size=one['mask']['size'], counts=one['mask']['counts'].encode())
        inside = rle.decode(coded).reshape(shape[1:]) > 0
        made[0 if shape[0] == 1 else one['label']][inside] = one['label'] if shape[0] == 1 else 1
    return made
