"""What a report says of a model's predictions: one class a task, made of plain records of images (evidence).

Evidence is made while validating, one dict for each image (:meth:`.base.Task.evidence`), and is kept beside the report,
so that a report is written again without the model.
"""

from collections.abc import Sequence

import numpy as np

from ..visualization.report import Album, Gallery, Section
from ..visualization.report.blocks import Example

SHOWN = 4  # images of the best, of the median and of the worst
WIDE = 920  # pixels of a page with truth and prediction


class Findings:
    """Of predictions nothing more is known than how good each image is, if that.

    Args:
        task: draws.
        evidence: of the images of a validation.
        classes: names of the labels.

    Attributes:
        threshold: the score from which on predictions should be kept; None: predictions have none.
    """

    threshold: float | None = None

    def __init__(self, task, evidence: Sequence[dict], classes: Sequence[str] | None = None):
        self.task, self.evidence, self.classes = task, list(evidence), classes

    def verdict(self) -> str:
        """A sentence, or nothing."""
        return ''

    def sections(self, album: Album) -> list[Section]:
        """What there is to say, images of it put into the album."""
        return [self.images(album)]

    def quality(self) -> np.ndarray:
        """A number for each image, larger for better ones; NaN: it says nothing."""
        return np.full(len(self.evidence), np.nan)

    def caption(self, index: int) -> str:
        """Of an image, beside its name."""
        return ''

    def images(self, album: Album) -> Section:
        """The worst, the median and the best images."""
        quality = self.quality()
        order = [int(index) for index in np.argsort(quality, kind='stable') if not np.isnan(quality[index])]
        if not order:
            return Section('images', 'Images')
        middle = max(0, len(order) // 2 - SHOWN // 2)
        groups = {'Worst': order[:SHOWN], 'Median': order[middle : middle + SHOWN], 'Best': order[::-1][:SHOWN]}
        shown: set[int] = set()
        blocks = []
        for title, indices in groups.items():
            indices = [index for index in indices if index not in shown]
            shown.update(indices)
            examples = [self.example(index, album) for index in indices]
            blocks.append(Gallery(title, [one for one in examples if one is not None]))
        blocks = [block for block in blocks if block.examples]
        return Section('images', 'Images', blocks, 'Left the truth, right the prediction.')

    def example(self, index: int, album: Album) -> Example | None:
        """The page of an image in the album; None where it cannot be drawn or does not fit any more."""
        evidence, key = self.evidence[index], f'image-{index}'
        name, said = str(evidence['image']).rpartition('/')[2], self.caption(index)
        if key not in album:
            try:
                drawn = self.task.draw_evidence(evidence, self.classes, self.threshold or 0.0)
            except (OSError, ValueError, KeyError):  # the data may have moved since
                return None
            if not album.add(key, drawn, f'{name}: truth beside prediction. {said}', WIDE):
                return None
        return Example(key, f'{name}: {said}' if said else name)
