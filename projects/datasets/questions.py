"""Questions about images (VQA v2), and sentences about two images (NLVR2)."""

import json
import os
from collections import Counter
from pathlib import Path

from mmengine.dataset import BaseDataset

from ..registry import DATASETS
from .annotations import BadAnnotations
from .bad_images import NamedImages
from .paths import check_inside

SCORES = (0.0, 0.3, 0.6, 0.9, 1.0)


def read_json(path: str):
    """What a file holds.

    Raises:
        BadAnnotations: it is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding='utf-8-sig'))
    except FileNotFoundError:
        raise FileNotFoundError(f'there is no annotation file {path}') from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadAnnotations(f'{path} is no JSON: {error}') from error


@DATASETS.register_module()
class VqaQuestions(NamedImages, BaseDataset):
    """VQA v2's files. An item has ``question``, ``answers`` with ``answer_weights`` and ``all_answers``, what each
    person said.

    Args:
        ann_file: the questions.
        answer_file: the annotations; None: nobody knows the answers.
        image_name: the name of an image of a number.
        weights: 'soft', 0.3, 0.6, 0.9, 1 for 1, 2, 3 and more people (BEiT-3); 'share', the share of the people (BLIP).
        suffix: what a question ends in beyond itself: VisualBERT's ' [MASK]'.

    Raises:
        BadAnnotations: a question has no answer, or an id comes twice.
    """

    def __init__(
        self,
        *args,
        answer_file: str | None = None,
        image_name: str = 'COCO_train2014_{:012d}.jpg',
        weights: str = 'soft',
        suffix: str = '',
        **kwargs,
    ):
        if weights not in ('soft', 'share'):
            raise ValueError(f"weights={weights!r} is unknown; choose from 'soft', 'share'")
        self.answer_file, self.image_name, self.weights, self.suffix = answer_file, image_name, weights, suffix
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        questions = read_json(self.ann_file).get('questions')
        if not questions:
            raise BadAnnotations(f"{self.ann_file} has no list 'questions'; VQA v2's files of questions have one")
        answers = self._answers()
        items, seen = [], set()
        for index, one in enumerate(questions):
            where, number = f'{self.ann_file}: questions[{index}]', one.get('question_id')
            if number in seen:
                raise BadAnnotations(f'{where}: the question id {number!r} came before; ids are unique')
            seen.add(number)
            if not str(one.get('question', '')).strip():
                raise BadAnnotations(f'{where}: the question is empty')
            item = dict(img_id=one['image_id'], question_id=number, question=one['question'].strip() + self.suffix)
            item['img_path'] = os.path.join(self.data_prefix.get('img') or '', self.image_name.format(one['image_id']))
            if answers is not None:
                if number not in answers:
                    raise BadAnnotations(f'{where}: {self.answer_file} has no answer to question {number!r}')
                item.update(answers[number])
            items.append(item)
        return items

    def _answers(self) -> dict | None:
        if self.answer_file is None:
            return None
        path = self.answer_file
        if self.data_root and not os.path.isabs(path):
            path = os.path.join(self.data_root, path)
        found = read_json(path).get('annotations')
        if not found:
            raise BadAnnotations(f"{path} has no list 'annotations'; VQA v2's files of answers have one")
        return {one['question_id']: self.weighted([each['answer'] for each in one['answers']]) for one in found}

    def weighted(self, said: list[str]) -> dict:
        """The different answers with their weights, and all of them."""
        counts = Counter(said)
        share = self.weights == 'share'
        weights = [count / len(said) if share else SCORES[min(count, 4)] for count in counts.values()]
        return dict(answers=list(counts), answer_weights=weights, all_answers=said)


@DATASETS.register_module()
class Nlvr2Sentences(NamedImages, BaseDataset):
    """NLVR2's files, an item a line: ``img_path`` and ``second_path``, the sentence as ``texts``, and ``gt_label`` 1
    where it is true.

    Args:
        image_name: names of the images of an item, from its identifier without the last number, with ``{}`` for it and
            for 0 and 1.
    """

    def __init__(self, *args, image_name: str = '{}-img{}.png', **kwargs):
        self.image_name = image_name
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        items, folder = [], self.data_prefix.get('img') or ''
        for number, line in enumerate(Path(self.ann_file).read_text(encoding='utf-8').splitlines(), start=1):
            if not line.strip():
                continue
            where = f'{self.ann_file}:{number}'
            try:
                one = json.loads(line)
                name, sentence, label = one['identifier'], one['sentence'], str(one['label']).lower()
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise BadAnnotations(f'{where} lacks identifier, sentence or label: {error}') from error
            if label not in ('true', 'false'):
                raise BadAnnotations(f'{where}: the label is {one["label"]!r}; it should be True or False')
            base = name.rsplit('-', 1)[0]
            first, second = (self.image_name.format(base, index) for index in (0, 1))
            for each in (first, second):
                check_inside(each, where)
            paths = dict(img_path=os.path.join(folder, first), second_path=os.path.join(folder, second))
            items.append(dict(paths, img_id=name, texts=[sentence], gt_label=int(label == 'true')))
        if not items:
            raise BadAnnotations(f'{self.ann_file} holds no sentence')
        return items
