"""Maps of labels as plain data: the region of each label."""

from collections.abc import Sequence

import numpy as np
from mmdet.structures.mask import encode_mask_results
from torch import Tensor


def regions(labels: Tensor, classes: Sequence[str] | None = None, offset: int | None = None) -> list[dict]:
    """The regions of a map of labels, (D) H W, largest first: ``label``, ``name``, ``area`` (pixels or voxels),
    ``size`` (that of the map) and ``mask``: COCO's RLE, of a volume that of its slices one below the other, (D H) W.

    Args:
        classes: names; labels beyond them are of nobody and left out.
        offset: the map holds ``label + offset * number of the object``, which becomes ``number``.
    """
    values, areas = np.unique(labels.cpu().numpy(), return_counts=True)
    found = []
    for value, area in sorted(zip(values.tolist(), areas.tolist()), key=lambda pair: -pair[1]):
        label, number = (value % offset, value // offset) if offset else (value, 0)
        if classes is not None and not 0 <= label < len(classes):
            continue
        mask = (labels == value).cpu().numpy().reshape(-1, labels.shape[-1])
        rle = encode_mask_results([mask])[0]
        region = dict(label=label, area=area, size=list(labels.shape))
        region.update({'name': classes[label]} if classes is not None else {}, **({'number': number} if offset else {}))
        found.append(dict(region, mask=dict(size=rle['size'], counts=rle['counts'].decode())))
    return found
