"""Patches of tiles: each tile is a piece of the scene with its classes, and the shares of the classes vary."""

import numpy as np
import pytest

from mmparts.datasets import TileMosaic
from mmparts.registry import TRANSFORMS


def scene(rows=20, columns=27):
    """Every pixel is known by its values; three classes in stripes, a border of unknown ones."""
    image = np.arange(rows * columns * 2, dtype=np.float32).reshape(rows, columns, 2)
    classes = np.repeat(np.arange(columns)[None] // 9, rows, 0).astype(np.uint8)
    classes[:1] = 255
    return dict(img=image, gt_seg_map=classes)


def test_tiles_are_pieces_of_the_scene_with_their_classes():
    np.random.seed(0)
    whole = scene()
    found = TRANSFORMS.build(dict(type='mmparts.TileMosaic', size=(12, 8), tile=4, prob=1))(scene())
    assert found['img'].shape == (12, 8, 2) and found['gt_seg_map'].shape == found['img_shape'] == (12, 8)
    starts = set()
    for row in range(0, 12, 4):
        for column in range(0, 8, 4):
            tile = np.s_[row : row + 4, column : column + 4]
            y, x = divmod(int(found['img'][row, column, 0]) // 2, 27)
            assert (found['img'][tile] == whole['img'][y : y + 4, x : x + 4]).all()
            assert (found['gt_seg_map'][tile] == whole['gt_seg_map'][y : y + 4, x : x + 4]).all()
            starts.add((y, x))
    assert len(starts) > 3  # from several places


def test_shares_of_classes_vary_from_patch_to_patch():
    np.random.seed(0)
    mosaic = TileMosaic((16, 16), prob=1.0)
    shares = [(mosaic(scene())['gt_seg_map'] == 1).mean() for _ in range(40)]
    assert min(shares) < 0.1 and max(shares) > 0.6  # a third of the scene


def test_the_rest_of_the_draws_leaves_the_scene_as_it_is():
    np.random.seed(0)
    seen = [TileMosaic((16, 16), prob=0.5)(scene())['img'].shape for _ in range(60)]
    assert set(seen) == {(16, 16, 2), (20, 27, 2)} and 15 < seen.count((16, 16, 2)) < 45
    unknown = {**scene(), 'gt_seg_map': np.full((20, 27), 255, np.uint8)}
    assert TileMosaic((16, 16), prob=1.0)(unknown)['img'].shape == (20, 27, 2)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match='16x18 is not made of tiles of 4x4'):
        TileMosaic((16, 18))
    with pytest.raises(ValueError, match=r'\(20, 27\) is smaller than tiles of 32'):
        TileMosaic((32, 32), tile=32, prob=1.0)(scene())
