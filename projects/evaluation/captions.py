"""Captions against those of people: BLEU (https://aclanthology.org/P02-1040) and CIDEr-D
(https://arxiv.org/abs/1411.5726), and against what a generated image is known to show.

Own, because the usual package (pycocoevalcap, 100 MB) brings Java programs for two other scores; a test holds ours
against its pure parts. COCO's numbers are of texts that its PTB tokenizer cut, a Java program too: ours splits at what
is no letter, digit or apostrophe, after making letters small, so numbers differ a little from published ones.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from ..datasets.shapes.scene import COLOURS, OUTLINES
from ..registry import METRICS

ORDERS = 4
TOKENIZER = "small letters, split at what is no letter, digit or apostrophe (not PTB's)"
NUMBERS = dict(a=1, an=1, one=1, two=2, three=3, four=4, five=5, six=6)


def words(text: str) -> list[str]:
    """The words of a text, as :data:`TOKENIZER` says."""
    return re.findall(r"[\w']+", text.lower())


def ngrams(tokens: Sequence[str]) -> list[Counter]:
    """How often each sequence of 1, 2, 3 and 4 words comes."""
    return [Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)) for n in range(1, ORDERS + 1)]


def bleu(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """BLEU-1 to BLEU-4 of a set, 0 to 1: geometric means of clipped precisions, and the penalty for short texts against
    the reference of the closest length, the shorter of two."""
    right, total = np.zeros(ORDERS), np.zeros(ORDERS)
    length = wanted = 0
    for candidate, others in zip(candidates, references):
        tokens, known = words(candidate), [words(other) for other in others]
        length += len(tokens)
        wanted += min((abs(len(each) - len(tokens)), len(each)) for each in known)[1]
        most = [Counter() for _ in range(ORDERS)]
        for each in known:
            most = [old | new for old, new in zip(most, ngrams(each))]
        for order, found in enumerate(ngrams(tokens)):
            right[order] += sum((found & most[order]).values())
            total[order] += max(len(tokens) - order, 0)
    if not length:
        return [0.0] * ORDERS
    penalty = min(1.0, math.exp(1 - wanted / length))
    logs = np.log(np.maximum(right, 1e-15) / np.maximum(total, 1e-9))
    return [penalty * math.exp(logs[: order + 1].mean()) for order in range(ORDERS)]


def cider_d(candidates: Sequence[str], references: Sequence[Sequence[str]], sigma: float = 6.0) -> np.ndarray:
    """CIDEr-D of each text, 0 to 10: clipped tf-idf similarity of n-grams to each reference, less for other lengths.

    The document frequencies are those of the references given.
    """
    made = [ngrams(words(text)) for text in candidates]
    known = [[ngrams(words(text)) for text in others] for others in references]
    documents: dict[tuple, int] = defaultdict(int)
    for others in known:
        for gram in {gram for each in others for counts in each for gram in counts}:
            documents[gram] += 1
    log_count = math.log(max(len(known), 1))

    def weighted(counts: Counter) -> dict[tuple, float]:
        return {gram: count * (log_count - math.log(max(1, documents[gram]))) for gram, count in counts.items()}

    scores = []
    for mine, others in zip(made, known):
        values = np.zeros(ORDERS)
        for theirs in others:
            gap = sum(mine[1].values()) - sum(theirs[1].values())  # lengths are counted in pairs of words, as published
            for order in range(ORDERS):
                first, second = weighted(mine[order]), weighted(theirs[order])
                norms = [math.sqrt(sum(value**2 for value in each.values())) for each in (first, second)]
                product = sum(
                    min(value, second.get(gram, 0.0)) * second.get(gram, 0.0) for gram, value in first.items()
                )
                value = product / (norms[0] * norms[1]) if norms[0] and norms[1] else 0.0
                values[order] += value * math.exp(-(gap**2) / (2 * sigma**2))
        scores.append(10 * values.mean() / max(len(others), 1))
    return np.array(scores)


@METRICS.register_module()
class CaptionScores(BaseMetric):
    """``CIDEr`` (D, times 100) and ``BLEU-1`` to ``BLEU-4`` (in percent) of ``pred_text`` against ``gt_texts``.

    Images of one ``img_id`` count once. Texts are cut by an own tokenizer, see the top of the file.
    """

    KEYS = ('CIDEr', *(f'BLEU-{order}' for order in range(1, ORDERS + 1)))

    def names(self) -> list[str]:
        """As the numbers are called, with the prefix."""
        return [f'{self.prefix}/{key}' if self.prefix else key for key in self.KEYS]

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        for sample in data_samples:
            self.results.append((sample.get('img_id'), sample['pred_text'], list(sample['gt_texts'])))

    def compute_metrics(self, results: list) -> dict[str, float]:
        once = {number if number is not None else index: rest for index, (number, *rest) in enumerate(results)}
        said, known = zip(*once.values())
        print_log(f'Captions are cut into words by: {TOKENIZER}', 'current')
        values = [cider_d(said, known).mean(), *bleu(said, known)]
        return {key: round(100 * float(value), 4) for key, value in zip(self.KEYS, values)}


def objects_of(text: str) -> Counter:
    """How many of what, as (colour, kind), a caption of the generated set names."""
    found, count, colour = Counter(), 1, None
    for word in words(text):
        kind = singular(word)
        if word in NUMBERS:
            count, colour = NUMBERS[word], None
        elif word in COLOURS:
            colour = word
        elif kind in OUTLINES and colour is not None:
            found[(colour, kind)] += count
            count, colour = 1, None
    return found


def singular(word: str) -> str:
    for ending in ('es', 's'):
        if word.endswith(ending) and word.removesuffix(ending) in OUTLINES:
            return word.removesuffix(ending)
    return word


@METRICS.register_module()
class CaptionedObjects(BaseMetric):
    """Of the generated set: does ``pred_text`` name what the image shows, which the first of ``gt_texts`` counts by
    colour and kind.

    ``objects``: objects with the right colour and kind, over the greater of those said and those there; ``counts``:
    images whose number of objects is right; ``exact``: images of which all is right. In percent.
    """

    KEYS = ('objects', 'counts', 'exact')

    def names(self) -> list[str]:
        return [f'{self.prefix}/{key}' if self.prefix else key for key in self.KEYS]

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        for sample in data_samples:
            said, shown = objects_of(sample['pred_text']), objects_of(sample['gt_texts'][0])
            right, most = sum((said & shown).values()), max(sum(said.values()), sum(shown.values()))
            self.results.append((right, most, sum(said.values()) == sum(shown.values()), said == shown))

    def compute_metrics(self, results: list) -> dict[str, float]:
        right, most, counts, exact = (sum(each) for each in zip(*results))
        values = (right / max(most, 1), counts / len(results), exact / len(results))
        return {key: round(100 * value, 4) for key, value in zip(self.KEYS, values)}
