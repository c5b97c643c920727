"""A patch laid of small tiles from anywhere in a scene, for sets of one scene.

Where a single map of land trains and another part of it validates, a net learns what lies beside what, and the shares
of materials in a patch, neither of which holds elsewhere. In a mosaic both are chance, and what is left to learn is
what a pixel and its next neighbours look like.
"""

import numpy as np
from mmcv.transforms import BaseTransform

from ..registry import TRANSFORMS
from ..structures.labels import IGNORE


@TRANSFORMS.register_module()
class TileMosaic(BaseTransform):
    """``img`` (H W C) and ``gt_seg_map`` (H W) become a patch of tiles about pixels of known class; the shares of the
    classes are drawn anew for each patch, all of them alike.

    Args:
        size: rows and columns of the patch.
        tile: side of a tile; it must divide the size.
        prob: chance that there is a mosaic; else the scene stays as it is.

    Raises:
        ValueError: tiles do not fit the patch or the scene.
    """

    def __init__(self, size: tuple[int, int], tile: int = 4, prob: float = 0.75):
        if any(side % tile for side in size):
            raise ValueError(f'a patch of {size[0]}x{size[1]} is not made of tiles of {tile}x{tile}')
        self.size, self.tile, self.prob = tuple(size), tile, prob

    def transform(self, results: dict) -> dict:
        if np.random.rand() >= self.prob:
            return results
        image, classes = results['img'], results['gt_seg_map']
        if min(classes.shape) < self.tile:
            raise ValueError(f'{results.get("img_path")}: {classes.shape} is smaller than tiles of {self.tile}')
        starts = self._starts(classes)
        if starts is None:
            return results

        rows, columns = (starts[:, :, axis, None] + np.arange(self.tile) for axis in (0, 1))
        places = rows[..., :, None], columns[..., None, :]  # grid rows, grid columns, tile rows, tile columns
        for key, values in (('img', image), ('gt_seg_map', classes)):
            tiles = values[places].swapaxes(1, 2)
            results[key] = np.ascontiguousarray(tiles.reshape(*self.size, *values.shape[2:]))
        results['img_shape'] = results['ori_shape'] = self.size
        return results

    def _starts(self, classes: np.ndarray) -> np.ndarray | None:
        """Upper left corner of each tile (grid rows, grid columns, 2); None where no class is known."""
        found = np.unique(classes[classes != IGNORE])
        if not len(found):
            return None
        grid = [side // self.tile for side in self.size]
        drawn = np.random.choice(found, grid, p=np.random.dirichlet(np.ones(len(found))))
        middles = np.empty((*grid, 2), int)
        for value in found:
            places, wanted = np.argwhere(classes == value), drawn == value
            middles[wanted] = places[np.random.randint(len(places), size=wanted.sum())]
        return np.clip(middles - self.tile // 2, 0, np.array(classes.shape) - self.tile)
