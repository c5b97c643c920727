"""What a report says of classes of whole images: shares by class, calibration, what is taken for what, images."""

from functools import cached_property

import numpy as np

from ..evaluation import detection_errors as errors
from ..visualization.report import Album, Lines, Matrix, Section, Table, Text, Tiles, draw_lines
from .findings import Findings

MATRIX = 30  # classes that a table of confusions has room for
EXAMPLES = 4  # images of a cell


class ClassificationFindings(Findings):
    """Of ``truth``, ``labels`` and ``scores`` (the best first) and ``place`` (of the truth) of each image."""

    @cached_property
    def truth(self) -> np.ndarray:
        return np.array([one['truth'] for one in self.evidence], int)

    @cached_property
    def said(self) -> np.ndarray:
        return np.array([one['labels'][0] for one in self.evidence], int)

    @cached_property
    def score(self) -> np.ndarray:
        return np.array([one['scores'][0] for one in self.evidence], float)

    @cached_property
    def names(self) -> list[str]:
        return list(self.classes or (f'class {label}' for label in range(self.evidence[0]['classes'])))

    @cached_property
    def table(self) -> np.ndarray:
        """K K: images of a class that were taken for a class."""
        made = np.zeros((len(self.names), len(self.names)), int)
        np.add.at(made, (self.truth, self.said), 1)
        return made

    def top(self, k: int) -> float:
        return float(np.mean([one['place'] < k for one in self.evidence]))

    def verdict(self) -> str:
        if not self.evidence:
            return ''
        wrong = self.table * (1 - np.eye(len(self.names), dtype=int))
        truth, said = np.unravel_index(wrong.argmax(), wrong.shape)
        often = f' Most often {self.names[truth]} is taken for {self.names[said]} ({wrong.max()} times).'
        return f'{self.top(1):.1%} of {len(self.evidence)} images get their class.' + (often if wrong.any() else '')

    def sections(self, album: Album) -> list[Section]:
        if not self.evidence:
            return []
        images = self.images(album)
        return [self.per_class(), self.calibration(), self.confusions(album), images]

    def per_class(self) -> Section:
        rows = []
        for label, name in enumerate(self.names):
            right, true, said = self.table[label, label], self.table[label].sum(), self.table[:, label].sum()
            f1 = 2 * right / (true + said) if true + said else None
            rows.append(
                [name, int(true), right / said if said else None, right / true if true else None, f1]
            )  # fmt: skip
        rows = [[float(cell) if isinstance(cell, np.floating) else cell for cell in row] for row in rows]
        best = min(5, len(self.names))
        tiles = [(f'{self.top(1):.3f}', 'top-1')] + ([(f'{self.top(best):.3f}', f'top-{best}')] if best > 2 else [])
        recalls = [row[3] for row in rows if row[3] is not None]
        tiles.append((f'{np.mean(recalls):.3f}', 'mean over classes'))
        head = ('class', 'images', 'precision', 'recall', 'F1')
        return Section('classes', 'Classes', [Tiles(tiles), Table('Shares by class', head, rows, bars=(2, 3, 4))])

    def calibration(self) -> Section:
        bins, gap = errors.calibration(self.score, self.said == self.truth)
        lines = [
            Lines('as it should be', (0, 1), (0, 1), grey=True, dashed=True),
            Lines('images', [row[0] for row in bins], [row[1] for row in bins], marker='o'),
        ]
        chart = draw_lines(
            f'Calibration (mean gap {gap:.3f})',
            lines,
            'score',
            'share that is right',
            limits=(0, 1.02),
            x_limits=(0, 1),
        )
        kept = np.sort(self.score)[::-1]
        order = np.argsort(-self.score, kind='stable')
        accuracy = np.cumsum((self.said == self.truth)[order]) / np.arange(1, len(order) + 1)
        share = np.arange(1, len(kept) + 1) / len(kept)
        sure = draw_lines(
            'Where the model is sure', [Lines('', share, accuracy)], 'share of images, the surest first',
            'share that is right', limits=(0, 1.02), x_limits=(0, 1),
        )  # fmt: skip
        text = Text('A calibrated model is right as often as its score says.')
        return Section('curves', 'Calibration', [text, chart, sure])

    def confusions(self, album: Album) -> Section:
        chosen = list(range(len(self.names)))
        if len(chosen) > MATRIX:
            wrong = self.table.sum(1) + self.table.sum(0) - 2 * np.diag(self.table)
            chosen = sorted(np.argsort(-wrong, kind='stable')[:MATRIX].tolist())
        examples = {}
        for row, truth in enumerate(chosen):
            for column, said in enumerate(chosen):
                images = np.flatnonzero((self.truth == truth) & (self.said == said))
                if truth != said and len(images):
                    images = images[np.argsort(-self.score[images], kind='stable')][:EXAMPLES]
                    shown = [self.example(int(index), album) for index in images]
                    examples[row, column] = [one for one in shown if one is not None]
        matrix = Matrix(
            'What is taken for what: images; a cell opens them', 'class', 'taken for',
            [self.names[label] for label in chosen], self.table[np.ix_(chosen, chosen)].tolist(),
            {place: shown for place, shown in examples.items() if shown},
        )  # fmt: skip
        return Section('confusion', 'Confusion', [matrix])

    def quality(self) -> np.ndarray:
        """The score of the right class, less that of the best wrong one."""
        best_wrong = [
            next((score for label, score in zip(one['labels'], one['scores']) if label != one['truth']), 0.0)
            for one in self.evidence
        ]
        return np.array([one['true_score'] for one in self.evidence]) - np.array(best_wrong)

    def caption(self, index: int) -> str:
        one = self.evidence[index]
        return f'is {self.names[one["truth"]]}, said {self.names[one["labels"][0]]} {one["scores"][0]:.2f}'
