"""What a report says of detections: classes, curves, what is taken for what, errors and their cost, images."""

from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw

from ..datasets.annotations import indexed
from ..evaluation import coco_backends
from ..evaluation import detection_errors as errors
from ..evaluation.coco_scores import Scores, Truth, score
from ..evaluation.detection_errors import KINDS, RIGHT
from ..visualization.pictures import enlarge
from ..visualization.report import (
    Album,
    Bars,
    Gallery,
    Lines,
    Matrix,
    Section,
    Table,
    Text,
    Tiles,
    draw_bars,
    draw_lines,
)
from ..visualization.report.blocks import Example
from .findings import Findings

OVERLAPS = np.linspace(0.5, 0.95, 10)
CURVES = 8  # classes that a chart has room for
CROPS = 6  # of a cell of the table of confusions, and of a kind of error
MATRIX = 30  # classes that a table of confusions has room for
CROP_BUDGET = 1_400_000  # bytes of all of them
TRUE, SAID = '#00a06e', '#e07000'


class DetectionFindings(Findings):
    """Of ``boxes`` (xyxy), ``labels``, ``scores``, ``true_boxes``, ``true_labels`` and ``crowd`` of each image."""

    @cached_property
    def all(self) -> errors.Examined:
        """Every detection."""
        return errors.examine(self.evidence)

    @cached_property
    def kept(self) -> errors.Examined:
        """Those that reach the threshold."""
        return errors.examine(self.evidence, self.threshold)

    @cached_property
    def balance(self) -> errors.Balance | None:
        counted = self.all.kind != errors.FREE
        right = (self.all.kind == RIGHT)[counted]
        return errors.best_balance(self.all.score[counted], right, len(self.all.true_label))

    @property
    def threshold(self) -> float:
        return 0.3 if self.balance is None else round(self.balance.threshold, 3)

    @cached_property
    def names(self) -> list[str]:
        if self.classes is not None:
            return list(self.classes)
        labels = np.concatenate([self.all.label, self.all.true_label, [-1]])
        return [f'class {label}' for label in range(int(labels.max()) + 1)]

    @cached_property
    def costs(self) -> tuple[float, dict[int, float]]:
        return errors.costs(self.all, len(self.names))

    @cached_property
    def scores(self) -> Scores | None:
        """COCO's precisions; None without objects."""
        if not len(self.all.true_label):
            return None
        return coco_scores(self.evidence, len(self.names))

    def verdict(self) -> str:
        if self.balance is None:
            return 'The validation set has no objects, or nothing was detected.'
        base, rise = self.costs
        worst = [KINDS[kind] for kind in sorted(rise, key=rise.get, reverse=True)[:2] if rise[kind] > 0.005]
        costly = f' What costs most: {" and ".join(worst)}.' if worst else ''
        return (
            f'From a score of {self.threshold:g} on it finds {self.balance.recall:.0%} of the objects, and '
            f'{self.balance.precision:.0%} of what it reports is right (AP {self.scores.ap():.3f}, at half overlap '
            f'{self.scores.ap(0.5):.3f}).{costly}'
        )

    def sections(self, album: Album) -> list[Section]:
        if self.balance is None:
            return [self.images(album)]
        images = self.images(album)  # they come last, but have the first claim on the room
        crops = Crops(self, album)
        masks = [self.masks()] if all('mask_overlaps' in each for each in self.evidence) else []
        return [self.per_class(), self.curves(), self.confusions(crops), self.errors(crops), *masks, images]

    # Classes and curves

    def per_class(self) -> Section:
        rows = []
        for label, name in enumerate(self.names):
            right, said, objects = self._of(label)
            best = errors.best_balance(said, right, objects)
            ap = [self.scores.ap(overlap, label=label) if objects else None for overlap in (None, 0.5, 0.75)]
            ends = (best.f1, best.threshold, best.precision, best.recall) if best else (None,) * 4
            rows.append([name, objects, *ap, *ends])
        text = (
            f'The best F1 over all classes, {self.balance.f1:.3f}, is at a score of {self.threshold:g}: predict takes '
            "it unless it is told otherwise. The columns on the right hold at each class's own best threshold."
        )
        head = ('class', 'objects', 'AP', 'AP50', 'AP75', 'best F1', 'at score', 'precision', 'recall')
        tiles = [
            (f'{self.scores.ap():.3f}', 'AP'), (f'{self.scores.ap(0.5):.3f}', 'AP50'),
            (f'{self.scores.ap(0.75):.3f}', 'AP75'), (f'{self.balance.f1:.3f}', f'F1 at {self.threshold:g}'),
            (f'{self.balance.precision:.3f}', 'precision there'), (f'{self.balance.recall:.3f}', 'recall there'),
        ]  # fmt: skip
        table = Table('Average precision of boxes by class', head, rows, bars=(2, 3, 4, 5, 7, 8))
        return Section('classes', 'Classes', [Tiles(tiles), Text(text), table])

    def _of(self, label: int) -> tuple[np.ndarray, np.ndarray, int]:
        """(right, score, number of objects) of a class."""
        own = (self.all.label == label) & (self.all.kind != errors.FREE)
        return (self.all.kind == RIGHT)[own], self.all.score[own], int((self.all.true_label == label).sum())

    def curves(self) -> Section:
        often = np.bincount(self.all.true_label, minlength=len(self.names))
        shown = [int(label) for label in np.argsort(-often, kind='stable')[:CURVES] if often[label]]
        precision = [Lines(self.names[label], errors.RECALLS, self.scores.precision[0, :, label, 0]) for label in shown]
        at = np.linspace(0, 1, 101)
        counted = self.all.kind != errors.FREE
        right, said = (self.all.kind == RIGHT)[counted], self.all.score[counted]
        f1 = [Lines('all', at, errors.f1_curve(said, right, len(self.all.true_label), at), ink=True)]
        for label in shown if len(shown) < CURVES else ():
            own, scores, objects = self._of(label)
            f1.append(Lines(self.names[label], at, errors.f1_curve(scores, own, objects, at)))
        bins, gap = errors.calibration(said, right)
        calibration = [
            Lines('as it should be', (0, 1), (0, 1), grey=True, dashed=True),
            Lines('detections', [row[0] for row in bins], [row[1] for row in bins], marker='o'),
        ]
        unit = dict(limits=(0, 1.02), x_limits=(0, 1))
        mark = (self.threshold, f'best {self.threshold:g}')
        charts = [
            draw_lines('Precision and recall at half overlap', precision, 'recall', 'precision', **unit),
            draw_lines('F1 over the threshold', f1, 'score threshold', 'F1', mark=mark, **unit),
            draw_lines(f'Calibration (mean gap {gap:.3f})', calibration, 'score', 'share that is right', **unit),
        ]
        return Section('curves', 'Precision, recall, calibration', charts)

    # What is taken for what

    def confusions(self, crops: 'Crops') -> Section:
        found = errors.confusion(self.kept, len(self.names))
        table = found.table()
        chosen = list(range(len(self.names)))
        note = f'Detections from a score of {self.threshold:g} on, matched at half overlap whatever their class.'
        if len(chosen) > MATRIX:
            wrong = table.sum(1)[:-1] + table.sum(0)[:-1] - 2 * np.diag(table)[:-1]
            chosen = sorted(np.argsort(-wrong, kind='stable')[:MATRIX].tolist())
            note += f' Shown are the {MATRIX} of {len(self.names)} classes with the most errors.'
        chosen.append(len(self.names))
        names = [*self.names, 'background']
        examples = {}
        for (truth, said), rows in sorted(found.pairs.items(), key=lambda pair: pair[0][0] == pair[0][1]):
            if truth in chosen and said in chosen and truth != said:
                shown = [crops.add(self.kept, *row) for row in self._telling(rows)]
                examples[chosen.index(truth), chosen.index(said)] = [one for one in shown if one is not None]
        matrix = Matrix(
            'What is taken for what: counts; a cell opens images of it',
            'object', 'taken for', [names[label] for label in chosen], table[np.ix_(chosen, chosen)].tolist(),
            {place: shown for place, shown in examples.items() if shown},
        )  # fmt: skip
        matrix.values[-1][-1] = 0
        return Section('confusion', 'Confusion', [matrix], note)

    def _telling(self, rows: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        """The few with the highest scores."""
        return sorted(rows, key=lambda row: -self.kept.score[row[1]] if row[1] >= 0 else 0)[:CROPS]

    # Errors

    def errors(self, crops: 'Crops') -> Section:
        base, rise = self.costs
        counts = self.kept.counts()
        rows = [[KINDS[kind], counts[kind], rise[kind], MEANINGS[kind]] for kind in KINDS]
        head = ('error', f'from {self.threshold:g} on', 'AP50 lost', 'what it is')
        chart = draw_bars('AP50 that each kind of error costs', list(KINDS.values()), [Bars('', list(rise.values()))],
                          'AP50', upright=False)  # fmt: skip
        untouched = int((~self.all.touched).sum())
        most = max((len(image['true_labels']) for image in self.evidence), default=0)
        most_said = max((len(image['labels']) for image in self.evidence), default=0)
        doubles = counts[errors.DOUBLE]
        rows_of_queries = [
            ['objects that two queries report', doubles],
            ['objects that no query takes, at any score', untouched],
            ['objects in the fullest image', most],
            ['detections of an image, at most', most_said],
        ]
        galleries = [self._gallery(kind, crops) for kind in KINDS]
        table = Table('Errors by kind', head, rows, beside=True)
        queries = Table('Queries', ('', 'number'), rows_of_queries)
        blocks = [chart, table, queries, *(gallery for gallery in galleries if gallery.examples)]
        intro = (
            f'Kinds are those of TIDE (arXiv 2008.08115). Counts are of detections from {self.threshold:g} on; what a '
            f'kind costs is how much AP50 (here {base:.3f}) would rise if it alone were mended, in all detections.'
        )
        return Section('errors', 'Errors', blocks, intro)

    def _gallery(self, kind: int, crops: 'Crops') -> Gallery:
        seen = self.kept
        if kind == errors.MISSED:
            rows = [(int(seen.true_image[index]), -1, int(index)) for index in np.flatnonzero(seen.missed())]
            rows = rows[:: max(1, len(rows) // CROPS)]
        else:
            rows = [(int(seen.image[i]), int(i), int(seen.truth[i])) for i in np.flatnonzero(seen.kind == kind)]
        shown = [crops.add(seen, *row) for row in self._telling(rows)]
        title = KINDS[kind].capitalize()
        return Gallery(
            title, [one for one in shown if one is not None], 'Dashed green: the truth. Orange: detected.', True
        )

    def masks(self) -> Section:
        """The same errors where masks, not boxes, have to overlap by half."""
        every = errors.examine(self.evidence, masks=True)
        counts = errors.examine(self.evidence, self.threshold, masks=True).counts()
        base, rise = errors.costs(every, len(self.names))
        boxes, lost = self.kept.counts(), self.costs[1]
        head = ('error', f'masks, from {self.threshold:g} on', 'boxes', 'AP50 of masks lost', 'of boxes')
        rows = [[KINDS[kind], counts[kind], boxes[kind], rise[kind], lost[kind]] for kind in KINDS]
        note = (
            f'AP50 of masks is {base:.3f}, that of boxes {self.costs[0]:.3f}. What masks lose by the place and boxes '
            'do not are objects that are found and outlined badly.'
        )
        return Section('masks', 'Masks', [Table('Errors of masks by kind', head, rows)], note)

    # Images

    def quality(self) -> np.ndarray:
        """F1 of each image at the threshold; of equal ones those with closer boxes are better."""
        number = len(self.evidence)
        right = self.kept.kind == RIGHT
        hits = np.bincount(self.kept.image[right], minlength=number)
        said = np.bincount(self.kept.image[self.kept.kind != errors.FREE], minlength=number)
        objects = np.bincount(self.kept.true_image, minlength=number)
        close = np.bincount(self.kept.image[right], self.kept.overlap[right], minlength=number)
        with np.errstate(invalid='ignore'):
            return 2 * hits / (said + objects) + 1e-3 * close / np.maximum(hits, 1)

    def caption(self, index: int) -> str:
        here = self.kept.image == index
        right = int((self.kept.kind[here] == RIGHT).sum())
        objects = int((self.kept.true_image == index).sum())
        return f'{right} of {objects} found, {int(here.sum()) - right} detections wrong'


MEANINGS = {
    errors.CLASS: 'lies on an object of another class',
    errors.PLACE: 'right class, overlap from 0.1 to 0.5',
    errors.BOTH: 'other class, overlap from 0.1 to 0.5',
    errors.DOUBLE: 'on an object that a better detection has',
    errors.NOTHING: 'overlaps nothing by 0.1',
    errors.MISSED: 'an object that none of these stands for',
}


class Crops:
    """Parts of images around a detection and the object that it belongs to, in an album."""

    def __init__(self, findings: DetectionFindings, album: Album):
        self.findings, self.album, self.left = findings, album, CROP_BUDGET
        self.image: tuple[int, np.ndarray | None] = (-1, None)

    def add(self, seen: errors.Examined, image: int, detection: int, truth: int) -> Example | None:
        """None where the image cannot be read or there is no room left."""
        key, names = f'crop-{image}-{detection}-{truth}', self.findings.names
        true = seen.true_box[truth] if truth >= 0 else None
        said = seen.box[detection] if detection >= 0 else None
        words = []
        if truth >= 0:
            words.append(f'is {names[seen.true_label[truth]]}')
        if detection >= 0:
            words.append(f'said {names[seen.label[detection]]} {seen.score[detection]:.2f}')
        if truth >= 0 and detection >= 0:
            words.append(f'overlap {seen.overlap[detection]:.2f}')
        caption = ', '.join(words)
        if key in self.album:
            return Example(key, caption)
        pixels = self._read(image)
        if pixels is None or self.left < 0:
            return None
        before = self.album.left
        name = str(self.findings.evidence[image]['image']).rpartition('/')[2]
        if not self.album.add(key, crop(pixels, true, said), f'part of {name}: {caption}', 240):
            return None
        self.left -= before - self.album.left
        return Example(key, caption)

    def _read(self, image: int) -> np.ndarray | None:
        if self.image[0] != image:
            try:
                self.image = image, self.findings.task.read_evidence(self.findings.evidence[image])
            except (OSError, ValueError):
                self.image = image, None
        return self.image[1]


def crop(image: np.ndarray, true: np.ndarray | None, said: np.ndarray | None) -> Image.Image:
    """The part of an image (H W 3) around two boxes (xyxy), with both drawn."""
    boxes = np.array([box for box in (true, said) if box is not None])
    left, top, right, bottom = *boxes[:, :2].min(0), *boxes[:, 2:].max(0)
    height, width = image.shape[:2]
    side = max(1.6 * max(right - left, bottom - top), min(height, width) / 8, 24)
    x = int(np.clip((left + right - side) / 2, 0, max(width - side, 0)))
    y = int(np.clip((top + bottom - side) / 2, 0, max(height - side, 0)))
    part = image[y : y + int(side) + 1, x : x + int(side) + 1]
    panel = enlarge(part)
    scale = panel.width / part.shape[1]
    draw = ImageDraw.Draw(panel)
    unit = max(2, round(panel.width / 120))
    for box, colour, dashed in ((said, SAID, False), (true, TRUE, True)):
        if box is not None:
            rectangle(draw, [float(v) for v in (box - [x, y, x, y]) * scale], colour, unit, dashed)
    return panel


def rectangle(draw: ImageDraw.ImageDraw, box: list[float], colour: str, width: int, dashed: bool) -> None:
    """xyxy, its sides ordered."""
    left, top, right, bottom = min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])
    if not dashed:
        draw.rectangle((left, top, right, bottom), outline=colour, width=width)
        return
    step = 4 * width
    for start in np.arange(left, right, 2 * step):
        for level in (top, bottom):
            draw.line((start, level, min(start + step, right), level), fill=colour, width=width)
    for start in np.arange(top, bottom, 2 * step):
        for level in (left, right):
            draw.line((level, start, level, min(start + step, bottom)), fill=colour, width=width)


def coco_scores(evidence: list[dict], num_classes: int) -> Scores:
    """COCO's precisions of the best 100 detections, by the installed back end."""
    images, annotations = [], []
    for number, image in enumerate(evidence):
        images.append(dict(id=number, width=image['width'], height=image['height']))
        for box, label, crowd in zip(image['true_boxes'], image['true_labels'], image['crowd']):
            one = dict(image_id=number, category_id=label, bbox=xywh(box), iscrowd=int(crowd))
            annotations.append(dict(one, id=len(annotations) + 1))
    content = dict(images=images, annotations=annotations, categories=[dict(id=k) for k in range(num_classes)])
    truth = Truth(indexed(content), range(len(evidence)), range(num_classes), 'bbox')
    found = (
        dict(image_id=number, category_id=label, score=said, bbox=xywh(box))
        for number, image in enumerate(evidence)
        for box, label, said in zip(image['boxes'], image['labels'], image['scores'])
    )
    return score(coco_backends.choose(), truth, found, OVERLAPS, errors.LIMIT)


def xywh(box: list[float]) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]
