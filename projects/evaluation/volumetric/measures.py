"""All measures of one mask against its truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .centreline import tree_metrics
from .empty_rules import EMPTY_RULES
from .surface import HD_RULES, mean_distance, surface_dice, surface_distances

OVERLAPS = ('Dice', 'IoU', 'sensitivity', 'precision')  # the best is 1, from counts
SURFACES = ('HD95', 'ASSD', 'NSD')
TREES = ('branches', 'length', 'clDice')
VOLUMES = ('volume_difference', 'volume_error')  # millilitres, found minus true; the same as a share of the true volume
MEASURES = (*OVERLAPS, *SURFACES, *VOLUMES, *TREES)
DISTANCES = ('HD95', 'ASSD')  # the best is 0
COUNTS = ('both', 'true', 'found')


@dataclass
class Rules:
    """How to measure; the head of each table says it.

    Attributes:
        measures: names of `MEASURES`.
        hd: 'medpy' or 'monai': how HD95 joins its two directions.
        empty: see `EMPTY_RULES`.
        tolerance: of NSD, in millimetres.
        spacing_aware: False measures in voxels, as TransUNet does.
    """

    measures: Sequence[str] = ('Dice', 'HD95')
    hd: str = 'medpy'
    empty: str = 'diagonal'
    tolerance: float = 1.0
    spacing_aware: bool = True

    def __post_init__(self):
        unknown = [name for name in self.measures if name not in MEASURES]
        if unknown:
            raise ValueError(f'measure {unknown[0]!r}; there are {", ".join(MEASURES)}')
        for name, value, known in (('hd', self.hd, HD_RULES), ('empty', self.empty, EMPTY_RULES)):
            if value not in known:
                raise ValueError(f'{name} rule {value!r}; there are {", ".join(known)}')

    def __str__(self) -> str:
        unit = 'mm' if self.spacing_aware else 'voxels'
        shown = []
        for name in self.measures:
            if name in DISTANCES:
                rule = f", {self.hd}'s rule" if name == 'HD95' else ''
                name = f'{"" if self.spacing_aware else "voxel "}{name} ({unit}{rule})'
            elif name == 'NSD':
                name = f'NSD (within {self.tolerance:g} {unit})'
            shown.append(name)
        return f'{", ".join(shown)}; empty sets: {self.empty}'


def measure(truth: np.ndarray, found: np.ndarray, spacing: Sequence[float], rules: Rules) -> dict[str, float]:
    """The measures of one mask, and its counts of voxels: in both, true, found.

    Args:
        truth, found: D H W or H W, bool.
        spacing: millimetres between voxels.
    """
    spacing = tuple(spacing) if rules.spacing_aware else (1.0,) * truth.ndim
    both, true, hit = (int(np.count_nonzero(mask)) for mask in (truth & found, truth, found))
    row = dict(both=both, true=true, found=hit)
    diagonal = float(np.linalg.norm(np.multiply(truth.shape, spacing)))
    given = EMPTY_RULES[rules.empty](not true, not hit, diagonal)
    if given is not None:
        row |= {name: given[name in DISTANCES] for name in rules.measures}
    else:
        row |= overlaps(both, true, hit)
        if set(SURFACES) & set(rules.measures):
            row |= surfaces(truth, found, spacing, rules)
        if set(TREES) & set(rules.measures):
            tree = tree_metrics(truth, found, spacing)
            row |= dict(branches=tree['branches'], length=tree['length'], clDice=tree['cldice'])
    millilitres = np.prod(spacing) / 1000
    row['volume_difference'] = float((hit - true) * millilitres)
    row['volume_error'] = (hit - true) / true if true else float('nan')
    return {name: row[name] for name in (*COUNTS, *rules.measures)}


def overlaps(both: int, true: int, found: int) -> dict[str, float]:
    """From counts of voxels, none of them all empty."""
    return dict(
        Dice=ratio(2 * both, true + found),
        IoU=ratio(both, true + found - both),
        sensitivity=ratio(both, true),
        precision=ratio(both, found),
    )


def surfaces(truth: np.ndarray, found: np.ndarray, spacing: Sequence[float], rules: Rules) -> dict[str, float]:
    """From the distances between two surfaces."""
    distances = surface_distances(truth, found, spacing)
    return dict(
        HD95=HD_RULES[rules.hd](*distances),
        ASSD=mean_distance(*distances),
        NSD=surface_dice(*distances, rules.tolerance),
    )


def ratio(part: float, whole: float) -> float:
    """NaN where there is nothing."""
    return part / whole if whole else float('nan')
