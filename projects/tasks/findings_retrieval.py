"""What a report says of retrieval: how far down the right one stands, both ways, what is found in its place, images."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..evaluation.retrieval import joined, ranks, ranks_of_texts
from ..visualization.report import Album, Lines, Section, Table, Text, Tiles, draw_lines
from .findings import Findings

KS = (1, 5, 10)
SHOWN = 40  # letters of a text
IMAGE, TEXTS = 'image_embedding', 'text_embeddings'
ASKED = ('texts ask for their image', 'images ask for a text')


def share(places: Tensor, k: int) -> float:
    """Of queries whose place, from 0, is among the first k."""
    return float((places < k).float().mean())


def settled(evidence: Sequence[dict]) -> list[dict]:
    """Of embeddings what the findings read: a few numbers for each image and text, however long the vectors are.

    Args:
        evidence: ``id``, ``texts``, and the vectors :data:`IMAGE` D and :data:`TEXTS` n D of length 1.

    Returns:
        Without the vectors; with ``similarities``, n; ``row``, the image as the metric counts, where items of one id
        are one; ``places`` n, how many images come before it for each text; ``place``, how many texts come before the
        first of its own; ``first``, the text that comes first.
    """
    if not evidence:
        return []
    images, texts, owner = joined([(one['id'], one[IMAGE], one[TEXTS]) for one in evidence])
    scores = images @ texts.T
    own = ranks_of_texts(scores, owner)
    best = torch.full((len(scores),), scores.shape[1]).scatter_reduce(0, owner, own, reduce='amin').tolist()
    said = [text for one in evidence for text in one['texts']]
    first, counts = scores.argmax(1).tolist(), [len(one['texts']) for one in evidence]
    places, rows = ranks(scores.T, owner).split(counts), owner.split(counts)
    found = []
    for one, before, row in zip(evidence, places, (int(each[0]) for each in rows)):
        kept = {key: value for key, value in one.items() if key not in (IMAGE, TEXTS)}
        similar = (one[TEXTS] @ one[IMAGE]).tolist()
        kept.update(similarities=[round(value, 4) for value in similar], row=row, places=before.tolist())
        found.append(dict(kept, place=best[row], first=said[first[row]]))
    return found


class RetrievalFindings(Findings):
    """Of ``id`` and ``texts``, :func:`settled`."""

    @property
    def places(self) -> tuple[Tensor, Tensor]:
        """T: how many images come before the right one of each text; N: how many texts before the first right one."""
        of_texts = [place for one in self.evidence for place in one['places']]
        of_images = {one['row']: one['place'] for one in self.evidence}
        return torch.tensor(of_texts), torch.tensor(list(of_images.values()))

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
        shares = [[round(100 * share(places, k), 4) for k in KS] for places in self.places]
        rows = [
            [name, len(places), *own, float(places.float().median()) + 1]
            for name, own, places in zip(ASKED, shares, self.places)
        ]
        head = ('', 'queries', *(f'R@{k} (%)' for k in KS), 'median place')
        tiles = Tiles([(f'{np.mean(shares):.1f}', 'mean recall (%)')])
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
        return np.array([-float(max(one['places'])) for one in self.evidence])

    def caption(self, index: int) -> str:
        first, place = self.evidence[index]['first'], self.evidence[index]['place'] + 1
        return f'"{short(first)}" comes first, its own at {place}' if place > 1 else f'"{short(first)}" comes first'


def short(text: str) -> str:
    return text if len(text) <= SHOWN else f'{text[: SHOWN - 1]}…'
