"""What the numbers in a label file mean: labels and regions by name.

BraTS shows why: the enhancing tumour is 4 until 2021 and 3 since 2023, in MSD 3 is the same and 1 and 2 are swapped;
codes order the regions as TC, WT, ET or as ET, TC, WT. So nothing here goes by a number that is not declared.
"""

from collections.abc import Mapping, Sequence

import numpy as np

IGNORE = 255  # no truth at this voxel


class LabelTable:
    """Labels, and the regions that are unions of them.

    Args:
        labels: Value in the file of each label, as ``dict(background=0, necrosis=1, edema=2, enhancing=4)``, or
            several, ``background=(0, 5)``, of which the first is written. Their order is the order of the classes; the
            first is the background.
        regions: Labels of each region, as ``dict(WT=('necrosis', 'edema', 'enhancing'), ...)``; their order is the
            order of the channels. None: the model predicts the labels themselves.
        paint: The label that a region stands for when regions become labels; later ones paint over earlier ones.
            Default: in the order of ``regions`` (nnU-Net's rule), the one label of each that no later region has.
        ignore: Value in the file of voxels without a truth.

    Raises:
        ValueError: a region names no label, or it is not clear which label it paints.
    """

    def __init__(
        self,
        labels: Mapping[str, int | Sequence[int]],
        regions: Mapping[str, Sequence[str]] | None = None,
        paint: Mapping[str, str] | None = None,
        ignore: int = IGNORE,
    ):
        self.labels, self.ignore = dict(labels), ignore
        self.values = {name: (v,) if isinstance(v, int) else tuple(v) for name, v in self.labels.items()}
        everything = [value for each in self.values.values() for value in each]
        if len(set(everything)) < len(everything):
            raise ValueError(f'two labels share a value: {self.labels}')
        if len(self.labels) > IGNORE:
            raise ValueError(f'{len(self.labels)} labels; there may be {IGNORE} at most, kept in a byte')
        self.names = tuple(self.labels)
        self.regions = {name: as_names(parts) for name, parts in (regions or {}).items()}
        for name, parts in self.regions.items():
            unknown = [part for part in parts if part not in self.labels]
            if unknown:
                raise ValueError(f'region {name!r} names {unknown[0]!r}; the labels are {", ".join(self.names)}')
        self.paint = dict(paint) if paint is not None else self._painted()
        if set(self.paint) != set(self.regions):
            raise ValueError(f'paint names {sorted(self.paint)}, but the regions are {sorted(self.regions)}')

    @classmethod
    def of(cls, metainfo: Mapping) -> 'LabelTable':
        """The table that a data set's metainfo describes; only ``classes`` given: 0, 1, 2 ... are their values."""
        labels = metainfo.get('labels') or {name: i for i, name in enumerate(metainfo['classes'])}
        given = {key: metainfo[key] for key in ('regions', 'paint', 'ignore') if metainfo.get(key) is not None}
        return cls(labels, **given)

    @property
    def classes(self) -> tuple[str, ...]:
        """What the channels of a prediction stand for: regions, or labels."""
        return tuple(self.regions) or self.names

    @property
    def scored(self) -> tuple[str, ...]:
        """What is scored: regions, or labels without the background."""
        return tuple(self.regions) or self.names[1:]

    def to_classes(self, values: np.ndarray, source: str = 'the label') -> np.ndarray:
        """Class numbers (uint8) for the values of a file; 255 for the ignored ones.

        Raises:
            ValueError: a value that is no label, with ``source``.
        """
        found, index = np.unique(values, return_inverse=True)
        table = {value: i for i, each in enumerate(self.values.values()) for value in each} | {self.ignore: IGNORE}
        beyond = [value for value in found.tolist() if value not in table]
        if beyond:
            known = ', '.join(f'{" ".join(map(str, each))} {name}' for name, each in self.values.items())
            raise ValueError(
                f'{source} has the value{"s" if len(beyond) > 1 else ""} {", ".join(map(str, beyond[:5]))}; '
                f'the labels are {known}, and {self.ignore} is ignored'
            )
        lookup = np.array([table[value] for value in found.tolist()], np.uint8)
        return lookup[index.reshape(values.shape)]

    def to_values(self, classes: np.ndarray) -> np.ndarray:
        """Values to write into a file for class numbers; uint8 if they fit."""
        values = np.array([each[0] for each in self.values.values()])
        values = values.astype(np.uint8 if values.min() >= 0 and values.max() < 256 else np.int16)
        if IGNORE in classes:
            values = np.append(values, np.full(IGNORE + 1 - len(values), self.ignore, values.dtype))
        return values[classes]

    def to_regions(self, classes: np.ndarray) -> np.ndarray:
        """Masks of all regions for class numbers D H W: R D H W (uint8), 255 where ignored."""
        numbers = [[self.names.index(part) for part in parts] for parts in self.regions.values()]
        return np.stack([self._union(classes, each) for each in numbers])

    def from_regions(self, masks: np.ndarray) -> np.ndarray:
        """Class numbers D H W for masks R D H W, painted in the declared order."""
        if len(masks) != len(self.regions):
            raise ValueError(f'{len(masks)} masks for {len(self.regions)} regions: {", ".join(self.regions)}')
        order = list(self.regions)
        classes = np.zeros(masks.shape[1:], np.uint8)
        for region, label in self.paint.items():
            classes[np.asarray(masks[order.index(region)]) == 1] = self.names.index(label)
        return classes

    def scored_masks(self, maps: np.ndarray) -> np.ndarray:
        """Masks of all that is scored, from class numbers 1 D H W or regions R D H W; 255 where ignored."""
        if self.regions:
            if len(maps) == len(self.regions):
                return maps
            return self.to_regions(maps[0])
        return np.stack([self._union(maps[0], [number]) for number in range(1, len(self.names))])

    @staticmethod
    def _union(classes: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
        lookup = np.zeros(256, np.uint8)
        lookup[list(numbers)], lookup[IGNORE] = 1, IGNORE
        return lookup[classes]

    def _painted(self) -> dict[str, str]:
        painted, names = {}, list(self.regions)
        for i, name in enumerate(names):
            later = {part for other in names[i + 1 :] for part in self.regions[other]}
            own = [part for part in self.regions[name] if part not in later]
            if len(own) != 1:
                raise ValueError(
                    f'region {name!r} = {self.regions[name]}: which label does it paint? {len(own)} of its labels are '
                    f'in no later region; declare the larger regions first, or give paint=dict({name}=...)'
                )
            painted[name] = own[0]
        return painted


def as_names(parts: Sequence[str] | str) -> tuple[str, ...]:
    """One name or several as a tuple."""
    return (parts,) if isinstance(parts, str) else tuple(parts)
