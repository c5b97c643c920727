"""What a report says of retrieval: how far down the right one stands, both ways, what is found in its place, images."""

import base64
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..evaluation.retrieval import joined, ranks, ranks_of_texts, recalls
from ..visualization.report import Album, Lines, Section, Table, Text, Tiles, draw_lines
from .findings import Findings

KS = (1, 5, 10)
SHOWN = 40  # letters of a text
IMAGE, TEXTS = 'image_embedding', 'text_embeddings'
ASKED = ('texts ask for their image', 'images ask for a text')


def packed(numbers: Tensor) -> str:
    """float32 as text."""
    return base64.b64encode(numbers.detach().float().cpu().numpy().tobytes()).decode()


def vectors(evidence: dict, name: str) -> Tensor:
    """n D under a key."""
    numbers = np.frombuffer(base64.b64decode(evidence[name]), np.float32)
    return torch.from_numpy(numbers.reshape(-1, evidence['width']).copy())


def share(places: Tensor, k: int) -> float:
    """Of queries whose place, from 0, is among the first k."""
    return float((places < k).float().mean())


class RetrievalFindings(Findings):
    """Of ``id``, ``texts``, and :data:`IMAGE` and :data:`TEXTS`, :func:`packed` vectors of ``width`` numbers."""

    @cached_property
    def owner(self) -> Tensor:
        """T: the image of each text, counted as images are; items of one id are one image."""
        return self._joined[2]

    @cached_property
    def scores(self) -> Tensor:
        """N T."""
        images, texts, _ = self._joined
        return images @ texts.T

    @cached_property
    def _joined(self) -> tuple[Tensor, Tensor, Tensor]:
        return joined([(one['id'], vectors(one, IMAGE)[0], vectors(one, TEXTS)) for one in self.evidence])

    @cached_property
    def texts(self) -> list[str]:
        return [text for one in self.evidence for text in one['texts']]

    @cached_property
    def places(self) -> tuple[Tensor, Tensor]:
        """T: how many images come before the right one of each text; N: how many texts before the first right one."""
        own = ranks_of_texts(self.scores, self.owner)
        best = torch.full((len(self.scores),), self.scores.shape[1]).scatter_reduce(0, self.owner, own, reduce='amin')
        return ranks(self.scores.T, self.owner), best

    def verdict(self) -> str:
        if not self.evidence:
            return ''
        of_texts, of_images = self.places
        return (
            f'For {share(of_texts, 1):.1%} of {len(of_texts)} texts the right image comes first among '
            f'{len(of_images)}, for {share(of_images, 1):.1%} of the images one of their texts.'
        )

    def sections(self, album: Album) -> list[Section]:
        if not self.evidence:
            return []
        return [self.numbers(), self.curves(), self.images(album)]

    def numbers(self) -> Section:
        values = recalls(self.scores, self.owner, KS)
        rows = [
            [name, len(places), *own, float(places.float().median()) + 1]
            for name, own, places in zip(ASKED, (values[:3], values[3:6]), self.places)
        ]
        head = ('', 'queries', *(f'R@{k} (%)' for k in KS), 'median place')
        tiles = Tiles([(f'{values[-1]:.1f}', 'mean recall (%)')])
        return Section('recall', 'Recall', [tiles, Table('Share of queries that find it among the first', head, rows)])

    def curves(self) -> Section:
        lines = []
        for name, places in zip(('text to image', 'image to text'), self.places):
            most = int(places.max()) + 1
            at = np.unique(np.linspace(1, most, min(most, 50)).round().astype(int))
            lines.append(Lines(name, at.tolist(), [share(places, k) for k in at]))
        chart = draw_lines('Found among the first k', lines, 'k', 'share of queries', limits=(0, 1.02), whole=True)
        return Section('curves', 'Recall over k', [Text('A query finds it once the right one is among k.'), chart])

    def quality(self) -> np.ndarray:
        """Minus the worst place of an item's own texts."""
        own = self.places[0].split([len(one['texts']) for one in self.evidence])
        return np.array([-float(each.max()) for each in own])

    def caption(self, index: int) -> str:
        row = int(self.owner[sum(len(one['texts']) for one in self.evidence[:index])])
        first = self.texts[int(self.scores[row].argmax())]
        place = int(self.places[1][row]) + 1
        return f'"{short(first)}" comes first, its own at {place}' if place > 1 else f'"{short(first)}" comes first'


def short(text: str) -> str:
    return text if len(text) <= SHOWN else f'{text[: SHOWN - 1]}…'
