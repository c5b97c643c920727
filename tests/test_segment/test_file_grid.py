"""Logits on the grid of the file: identity, flips, crops, other spacing, bounded memory."""

import numpy as np
import pytest
import torch

from mmparts.segment.file_grid import RestoreFile, restore
from mmparts.structures import VolumeSample

OBLIQUE = np.array([[0.1, 0.2, 0.9, -30], [0.3, 1.1, -0.2, 12], [2.9, -0.3, 0.1, 5], [0, 0, 0, 1]])
SHAPE = (7, 9, 8)


def largest(logits):
    return logits.argmax(0, keepdim=True).to(torch.uint8)


def truth(classes=3):
    return torch.from_numpy(np.random.default_rng(0).integers(0, classes, SHAPE))


def logits_of(labels, classes=3):
    return torch.stack([(labels == i).float() for i in range(classes)])


def moved(affine, matrix):
    """The affine of a grid whose voxel i lies at ``matrix`` i of the given one."""
    return affine @ matrix


@pytest.mark.parametrize('slab_bytes', [1, 1 << 26])
def test_the_same_grid(slab_bytes):
    labels = truth()
    result = restore(logits_of(labels), OBLIQUE, OBLIQUE, SHAPE, largest, slab_bytes=slab_bytes)
    assert result.dtype == torch.uint8 and torch.equal(result[0].long(), labels)


def test_flipped_turned_and_cropped():
    labels = truth()
    # new axes: W, D flipped, H without its first two rows and its last
    inner = labels.permute(2, 0, 1).flip(1)[:, :, 2:-1]
    matrix = np.array([[0, -1, 0, 6], [0, 0, 1, 2], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    result = restore(logits_of(inner), moved(OBLIQUE, matrix), OBLIQUE, SHAPE, largest)[0].long()
    assert torch.equal(result[:, 2:-1], labels[:, 2:-1]) and not result[:, :2].any() and not result[:, -1:].any()

    meta = dict(affine=moved(OBLIQUE, matrix), source_affine=OBLIQUE, source_shape=SHAPE)
    decided = RestoreFile().labels(inner[None].to(torch.uint8), VolumeSample(metainfo=meta))
    assert torch.equal(decided[0].long(), result)


def test_padded():
    labels = truth()
    padded = torch.nn.functional.pad(labels, (1, 2, 0, 3, 4, 0))
    matrix = np.eye(4)
    matrix[:3, 3] = -4, 0, -1
    assert torch.equal(restore(logits_of(padded), moved(OBLIQUE, matrix), OBLIQUE, SHAPE, largest)[0].long(), labels)


def test_another_spacing_is_torchs_interpolation():
    logits = torch.randn(3, 4, 5, 6)
    matrix = np.diag([2.0, 2, 2, 1])
    matrix[:3, 3] = 0.5  # voxel 0 covers the voxels 0 and 1
    result = restore(logits, moved(OBLIQUE, matrix), OBLIQUE, (8, 10, 12), decode=lambda x: x, slab_bytes=1)
    expected = torch.nn.functional.interpolate(logits[None], scale_factor=2, mode='trilinear', align_corners=False)[0]
    assert (result - expected).abs().max() < 1e-5


def test_regions():
    masks = (truth(2)[None] > 0).repeat(2, 1, 1, 1)
    assert torch.equal(
        restore(masks * 2.0 - 1, OBLIQUE, OBLIQUE, SHAPE, lambda x: (x > 0).to(torch.uint8)), masks.to(torch.uint8)
    )


def test_a_rotated_grid_is_refused():
    turn = np.eye(4)
    turn[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    with pytest.raises(ValueError, match='lies rotated in the file'):
        restore(logits_of(truth()), moved(OBLIQUE, turn), OBLIQUE, SHAPE, largest)


def test_the_part_cuts_the_padding_of_the_batch():
    labels = truth()
    padded = torch.nn.functional.pad(logits_of(labels), (0, 3, 0, 0, 0, 2))
    sample = VolumeSample(metainfo=dict(affine=OBLIQUE, source_affine=OBLIQUE, source_shape=SHAPE, img_shape=SHAPE))
    kept, result = RestoreFile()(padded, sample, largest)
    assert kept.shape[1:] == SHAPE and torch.equal(result[0].long(), labels)
    with pytest.raises(ValueError, match='sample a has no affine; name it in the meta_keys'):
        RestoreFile()(padded, VolumeSample(metainfo=dict(case='a')), largest)
