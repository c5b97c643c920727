"""Trees such as vessels and airways: how much of the true centreline was found.

Branches and length as the airway challenges EXACT'09 and ATM'22 count them. The centreline is scikit-image's skeleton.
"""

import itertools
from collections.abc import Sequence
from importlib import import_module

import numpy as np
from scipy import ndimage, sparse

ALL = np.ones((3, 3, 3), bool)  # 26 neighbours
FOUND_SHARE = 0.8  # of a branch's voxels, for it to be found (ATM'22)


def skeleton(mask: np.ndarray) -> np.ndarray:
    """Centreline of a mask D H W, one voxel thick."""
    try:
        thin = import_module('skimage.morphology').skeletonize
    except ImportError as error:
        raise ImportError('centreline metrics need scikit-image: pip install "mmparts-toolbox[medical]"') from error
    return thin(mask) > 0


def tree_metrics(truth: np.ndarray, found: np.ndarray, spacing: Sequence[float]) -> dict[str, float]:
    """Shares of the true tree that the prediction holds, neither being empty.

    Returns:
        branches: of its branches, those with at least 80 % of their voxels in the prediction.
        length: of its length in millimetres.
        cldice: harmonic mean of the shares of either skeleton that lie in the other mask (clDice).
    """
    lines, other = skeleton(truth), skeleton(found)
    held = lines & found
    whole = tree_length(lines, spacing)
    recall = held.sum() / max(lines.sum(), 1)
    precision = (other & truth).sum() / max(other.sum(), 1)
    return dict(
        branches=branch_share(lines, found),
        length=tree_length(lines, spacing, found) / whole if whole else float(held.any()),
        cldice=float(2 * recall * precision / (recall + precision)) if recall + precision else 0.0,
    )


def branch_share(lines: np.ndarray, found: np.ndarray) -> float:
    """Share of the branches of a skeleton that are found; a branch ends at voxels with more than two neighbours."""
    neighbours = ndimage.convolve(lines.astype(np.uint8), ALL.astype(np.uint8), mode='constant') - 1
    branches, count = ndimage.label(lines & (neighbours <= 2), ALL)
    if not count:
        branches, count = ndimage.label(lines, ALL)
    if not count:
        return 0.0
    shares = ndimage.mean(found, branches, np.arange(1, count + 1))
    return float((np.asarray(shares) >= FOUND_SHARE).mean())


def tree_length(lines: np.ndarray, spacing: Sequence[float], within: np.ndarray | None = None) -> float:
    """Millimetres of a skeleton: the links of its spanning tree, so that a corner's three links count as two.

    Args:
        within: only links whose two ends lie in this mask.
    """
    places = np.argwhere(lines)
    if len(places) < 2:
        return 0.0
    number = np.full(np.array(lines.shape) + 2, -1)
    number[tuple((places + 1).T)] = np.arange(len(places))
    rows, columns, lengths = [], [], []
    for step in itertools.product((-1, 0, 1), repeat=lines.ndim):
        if step <= (0,) * lines.ndim:
            continue
        other = number[tuple((places + 1 + step).T)]
        linked = other >= 0
        rows.append(np.flatnonzero(linked))
        columns.append(other[linked])
        lengths.append(np.full(linked.sum(), np.linalg.norm(np.multiply(step, spacing))))
    rows, columns, lengths = map(np.concatenate, (rows, columns, lengths))
    tree = sparse.csgraph.minimum_spanning_tree(
        sparse.coo_matrix((lengths, (rows, columns)), shape=(len(places),) * 2).tocsr()
    ).tocoo()
    if within is None:
        return float(tree.data.sum())
    inside = within[tuple(places.T)]
    return float(tree.data[inside[tree.row] & inside[tree.col]].sum())
