"""Visual Commonsense Reasoning (VCR, https://arxiv.org/abs/1811.10830): the best of four answers or reasons."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.dataset import BaseDataset

from ..registry import DATASETS
from .annotations import BadAnnotations
from .bad_images import NamedImages
from .paths import check_inside

# People of an image get names that say nothing of them, one after the other.
NAMES = ('Casey', 'Riley', 'Jessie', 'Jackie', 'Avery', 'Jaime', 'Peyton', 'Kerry', 'Jody', 'Kendall', 'Skyler', 'Pat')
PARTS = dict(
    answer=('question', 'answer_choices', 'answer_label'), reason=('question', 'rationale_choices', 'rationale_label')
)


@DATASETS.register_module()
class VcrChoices(NamedImages, BaseDataset):
    """VCR's files, an item a line: four ``texts``, the question and each answer with [SEP] between them, and
    ``gt_label``, the number of the right one. In 'reason' the right answer follows the question, and reasons are told
    apart.

    People are called by names, other objects by their class. The test set has no labels.

    Args:
        ann_file: ``train.jsonl`` and its like.
        choose: 'answer' (Q -> A) or 'reason' (QA -> R).
        between: what stands between question and answer.

    Raises:
        BadAnnotations: a line lacks something, or speaks of an object that it does not list.
    """

    def __init__(self, *args, choose: str = 'answer', between: str = ' [SEP] ', **kwargs):
        if choose not in PARTS:
            raise ValueError(f'choose={choose!r} is unknown; choose from {", ".join(map(repr, PARTS))}')
        self.choose, self.between = choose, between
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        lines = Path(self.ann_file).read_text(encoding='utf-8').splitlines()
        items = [self.item(f'{self.ann_file}:{number}', line) for number, line in enumerate(lines, 1) if line.strip()]
        if not items:
            raise BadAnnotations(f'{self.ann_file} holds no question')
        return items

    def item(self, where: str, line: str) -> dict:
        """One line."""
        question, choices, label = PARTS[self.choose]
        try:
            one = json.loads(line)
            named = called(one['objects'])
            first = sentence(one[question], named)
            if self.choose == 'reason':
                first = f'{first} {sentence(one["answer_choices"][one["answer_label"]], named)}'
            texts = [f'{first}{self.between}{sentence(each, named)}' for each in one[choices]]
            check_inside(one['img_fn'], where)
            item = dict(img_path=os.path.join(self.data_prefix.get('img') or '', one['img_fn']), texts=texts)
        except (json.JSONDecodeError, KeyError, TypeError, IndexError) as error:
            raise BadAnnotations(
                f'{where}: {type(error).__name__}: {error}; objects, question, {choices} and img_fn are needed, and '
                'numbers of objects below how many there are'
            ) from error
        if label in one and not 0 <= one[label] < len(texts):
            raise BadAnnotations(f'{where}: {label} is {one[label]!r} of {len(texts)} choices')
        return dict(item, img_id=one.get('annot_id', where), **({'gt_label': one[label]} if label in one else {}))


def called(objects: Sequence[str]) -> list[str]:
    """What each object of an image is called."""
    people = 0
    names = []
    for kind in objects:
        names.append(NAMES[people % len(NAMES)] if kind == 'person' else kind)
        people += kind == 'person'
    return names


def sentence(tokens: Sequence, names: Sequence[str]) -> str:
    """Words and lists of numbers of objects, as a text."""
    words = [token if isinstance(token, str) else ' and '.join(names[number] for number in token) for token in tokens]
    return ' '.join(words)
