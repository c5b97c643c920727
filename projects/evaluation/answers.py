"""Answers to questions (VQA v2, https://arxiv.org/abs/1612.00837)."""

import re
from collections.abc import Sequence

from mmengine.evaluator import BaseMetric

from ..registry import METRICS

ARTICLES = {'a', 'an', 'the'}
NUMBERS = dict(
    none='0',
    zero='0',
    one='1',
    two='2',
    three='3',
    four='4',
    five='5',
    six='6',
    seven='7',
    eight='8',
    nine='9',
    ten='10',
)
FORMS = ('official', 'shortcut')
SHORTCUT = (0.0, 0.3, 0.6, 0.9, 1.0)


def normalised(answer: str) -> str:
    """An answer as it is compared: small letters, digits for numbers, no articles, punctuation within numbers only."""
    answer = answer.lower().replace('\n', ' ').replace('\t', ' ').strip()
    answer = re.sub(r'(?<!\d)[.,](?!\d)|(?<=\d),(?=\d)', '', answer)
    answer = re.sub(r'[;/\[\]\"{}()=+\\_\-><@`?!]', ' ' if re.search(r'\w[-/]\w', answer) else '', answer)
    kept = [NUMBERS.get(word, word) for word in answer.split() if word not in ARTICLES]
    return ' '.join(kept)


def soft_score(answer: str, given: Sequence[str], form: str = 'official') -> float:
    """How right an answer is, by those of ten people.

    Args:
        form: 'official', min(1, others that say so / 3), the mean over leaving out each person; 'shortcut', 0, 0.3,
            0.6, 0.9, 1 for 0 to 4 people (what models are trained on, and BEiT-3 reports).
    """
    answer, given = normalised(answer), [normalised(one) for one in given]
    if form == 'shortcut':
        return SHORTCUT[min(given.count(answer), 4)]
    left = [min(1.0, (given.count(answer) - (one == answer)) / 3) for one in given]
    return sum(left) / len(left) if left else 0.0


@METRICS.register_module()
class VqaAccuracy(BaseMetric):
    """``accuracy``, in percent, of ``pred_text`` against ``gt_all_answers``, what every annotator said; where a sample
    has none, against ``gt_answers`` with their ``gt_answer_weights``.

    Args:
        form: see :func:`soft_score`.
    """

    def __init__(self, form: str = 'official', **kwargs):
        super().__init__(**kwargs)
        if form not in FORMS:
            raise ValueError(f'form={form!r} is unknown; choose from {", ".join(map(repr, FORMS))}')
        self.form = form

    def names(self) -> list[str]:
        return [f'{self.prefix}/accuracy' if self.prefix else 'accuracy']

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        for sample in data_samples:
            said = sample['pred_text']
            if sample.get('gt_all_answers') is not None:
                self.results.append(soft_score(said, sample['gt_all_answers'], self.form))
            else:
                known = {normalised(one): float(w) for one, w in zip(sample['gt_answers'], sample['gt_answer_weights'])}
                self.results.append(known.get(normalised(said), 0.0))

    def compute_metrics(self, results: list) -> dict[str, float]:
        return dict(accuracy=round(100 * sum(results) / max(len(results), 1), 4))
