"""What a report says of maps of classes or regions: overlaps by class and by image, what is taken for what, images."""

from functools import cached_property

import numpy as np

from ..visualization.report import Album, Bars, Matrix, Section, Table, Text, Tiles, draw_bars
from .findings import Findings

MATRIX = 30  # classes that a table of confusions has room for
BARS = 20
EXAMPLES = 3  # images of a cell


def pairs_of(truth: np.ndarray, found: np.ndarray, ignore: int) -> list[list[int]]:
    """[class, class that was predicted, pixels] of 1 (D) H W each; of regions, R (D) H W, [region, both, only in the
    truth, only predicted]."""
    if len(found) > 1:
        truth, found = ((each > 0).reshape(len(each), -1) for each in (truth, found))
        counts = (truth & found).sum(1), (truth & ~found).sum(1), (~truth & found).sum(1)
        return [[region, *(int(each[region]) for each in counts)] for region in range(len(found))]
    known = truth != ignore
    rows, counts = np.unique(np.stack([truth[known], found[known]]).astype(int), axis=1, return_counts=True)
    return [[*pair, number] for pair, number in zip(rows.T.tolist(), counts.tolist())]


class SegmentationFindings(Findings):
    """Of ``pairs`` (:func:`pairs_of`) and the regions ``truth`` and ``found`` of each image."""

    @cached_property
    def by_region(self) -> bool:
        """Whether regions overlap, so that nothing is taken for something else."""
        return bool(self.evidence) and self.evidence[0]['shape'][0] > 1

    @cached_property
    def names(self) -> list[str]:
        most = max(
            (max(pair[: 1 if self.by_region else 2]) for one in self.evidence for pair in one['pairs']), default=-1
        )
        names = list(self.classes or ())
        return names + [f'class {label}' for label in range(len(names), most + 1)]

    @cached_property
    def tables(self) -> np.ndarray:
        """N K K: pixels of each class that were taken for each; of regions N K 3."""
        made = np.zeros((len(self.evidence), len(self.names), 3 if self.by_region else len(self.names)), np.int64)
        for table, one in zip(made, self.evidence):
            for first, *rest in one['pairs']:
                if self.by_region:
                    table[first] = rest
                else:
                    table[first, rest[0]] += rest[1]
        return made

    def _counts(self, tables: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(both, truth, prediction) ... K of tables ... K K or ... K 3."""
        if self.by_region:
            both, missed, added = np.moveaxis(tables, -1, 0)
            return both, both + missed, both + added
        return np.diagonal(tables, axis1=-2, axis2=-1), tables.sum(-1), tables.sum(-2)

    @cached_property
    def dice_by_image(self) -> np.ndarray:
        """N K; NaN where a class is in neither."""
        both, true, found = self._counts(self.tables)
        with np.errstate(invalid='ignore'):
            return 2 * both / (true + found)

    def scored(self) -> list[int]:
        """Classes that are no background."""
        skip = self.names and self.names[0].lower() == 'background'
        return list(range(1 if skip else 0, len(self.names)))

    def verdict(self) -> str:
        if not self.evidence:
            return ''
        both, true, found = self._counts(self.tables.sum(0))
        labels = [label for label in self.scored() if true[label]]
        if not labels:
            return 'The validation set holds none of the classes.'
        iou = both / np.maximum(true + found - both, 1)
        dice = 2 * both / np.maximum(true + found, 1)
        worst = min(labels, key=lambda label: iou[label])
        weak = f' Weakest is {self.names[worst]} ({iou[worst]:.3f}).' if len(labels) > 1 else ''
        means = f'Mean IoU {np.mean(iou[labels]):.3f}, mean Dice {np.mean(dice[labels]):.3f}'
        return f'{means} over {len(labels)} classes.{weak}'

    def sections(self, album: Album) -> list[Section]:
        if not self.evidence:
            return []
        images = self.images(album)
        return [self.per_class(), *([] if self.by_region else [self.confusions(album)]), images]

    def per_class(self) -> Section:
        both, true, found = self._counts(self.tables.sum(0))
        rows = []
        for label, name in enumerate(self.names):
            each = self.dice_by_image[:, label]
            each = each[~np.isnan(each)]
            present = int((self._counts(self.tables)[1][:, label] > 0).sum())
            ends = [
                _ratio(both[label], true[label] + found[label] - both[label]),
                _ratio(2 * both[label], true[label] + found[label]),
                _ratio(both[label], found[label]),
                _ratio(both[label], true[label]),
            ]
            by_image = [float(np.mean(each)), float(np.median(each)), float(each.min())] if len(each) else [None] * 3
            rows.append([name, present, *ends, *by_image])
        head = ('class', 'images', 'IoU', 'Dice', 'precision', 'recall', 'Dice by image: mean', 'median', 'worst')
        total = self._counts(self.tables.sum(0))
        pixel = _ratio(int(total[0].sum()), int(total[1].sum()))
        labels = [label for label in self.scored() if true[label]]
        mean = {name: np.mean([rows[label][place] for label in labels]) if labels else 0 for name, place in
                (('mean IoU', 2), ('mean Dice', 3))}  # fmt: skip
        tiles = [(f'{value:.3f}', name) for name, value in mean.items()]
        tiles += [(f'{pixel:.3f}', 'share of pixels that is right')] if pixel is not None and not self.by_region else []
        text = Text('IoU, Dice, precision and recall count the pixels of all images together; the columns on the right '
                    'are means over images, in which small objects weigh more.')  # fmt: skip
        blocks = [Tiles(tiles), text, Table('Overlap by class', head, rows, bars=tuple(range(2, 9)))]
        if labels:
            shown = sorted(labels, key=lambda label: rows[label][2])[:BARS]
            bars = [Bars(head[place], [rows[label][place] or 0.0 for label in shown]) for place in (2, 3)]
            blocks.append(
                draw_bars('Classes, the weakest first', [self.names[k] for k in shown], bars, 'overlap', False)
            )
        return Section('classes', 'Classes', blocks)

    def confusions(self, album: Album) -> Section:
        table = self.tables.sum(0)
        chosen = list(range(len(self.names)))
        if len(chosen) > MATRIX:
            wrong = table.sum(1) + table.sum(0) - 2 * np.diag(table)
            chosen = sorted(np.argsort(-wrong, kind='stable')[:MATRIX].tolist())
        examples = {}
        for row, truth in enumerate(chosen):
            for column, said in enumerate(chosen):
                often = self.tables[:, truth, said]
                if truth != said and often.any():
                    images = [int(index) for index in np.argsort(-often, kind='stable')[:EXAMPLES] if often[index]]
                    shown = [self.example(index, album) for index in images]
                    examples[row, column] = [one for one in shown if one is not None]
        share = 1000 * table / np.maximum(table.sum(1, keepdims=True), 1)
        matrix = Matrix(
            'What is taken for what: of a thousand pixels of a class; a cell opens images with most of it',
            'pixels of', 'taken for', [self.names[label] for label in chosen],
            np.rint(share[np.ix_(chosen, chosen)]).astype(int).tolist(),
            {place: shown for place, shown in examples.items() if shown},
        )  # fmt: skip
        return Section('confusion', 'Confusion', [matrix])

    def quality(self) -> np.ndarray:
        """Mean Dice over the classes that an image has or was said to have, without the background."""
        dice = self.dice_by_image[:, self.scored()]
        known = ~np.isnan(dice)
        return np.where(known.any(1), np.nansum(dice, 1) / np.maximum(known.sum(1), 1), np.nan)

    def caption(self, index: int) -> str:
        return f'mean Dice {self.quality()[index]:.3f}'


def _ratio(part, whole) -> float | None:
    return float(part / whole) if whole else None
