"""Flickr30K Entities (https://arxiv.org/abs/1505.04870): which regions phrases of a sentence mean."""

import os
import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

import torch
from mmengine.dataset import BaseDataset
from torch import Tensor

from ..registry import DATASETS, TASK_UTILS, TRANSFORMS
from .annotations import BadAnnotations
from .bad_images import NamedImages
from .pack_multimodal import PackMultimodal

PHRASE = re.compile(r'\[/EN#(\d+)(?:/[^\s\]]+)? ([^\]]+)\]')


@DATASETS.register_module()
class Flickr30kEntities(NamedImages, BaseDataset):
    """A sentence of an image an item: ``texts``, and ``phrases``, each with its ``end`` in the sentence (a number of
    characters) and ``boxes``, x1 y1 x2 y2 in shares of the image. Phrases without a box, of scenes and of what is not
    shown, are left out, and so are sentences without another.

    Args:
        ann_file: a split, ``train.txt``, a number of an image a line.
        sentences, boxes: folders ``Sentences`` and ``Annotations`` of the data set.

    Raises:
        BadAnnotations: a file is not in the form of the data set.
    """

    def __init__(self, *args, sentences: str = 'Sentences', boxes: str = 'Annotations', **kwargs):
        self.sentences, self.boxes = sentences, boxes
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        items = []
        for name in Path(self.ann_file).read_text(encoding='utf-8').split():
            known = boxes_of(Path(self.data_root or '', self.boxes, f'{name}.xml'))
            path = Path(self.data_root or '', self.sentences, f'{name}.txt')
            for number, line in enumerate(path.read_text(encoding='utf-8').splitlines()):
                text, phrases = parsed(line)
                shown = [dict(end=end, boxes=known[entity]) for entity, end in phrases if entity in known]
                if shown:
                    image = os.path.join(self.data_prefix.get('img') or '', f'{name}.jpg')
                    items.append(dict(img_path=image, img_id=f'{name}#{number}', texts=[text], phrases=shown))
        if not items:
            raise BadAnnotations(f'{self.ann_file} names no image of whose sentences a phrase has a box')
        return items


def parsed(line: str) -> tuple[str, list[tuple[str, int]]]:
    """A sentence without its marks, and number and end of each phrase.

    >>> parsed('[/EN#1/people A man] with [/EN#2/other a hat] .')
    ('A man with a hat .', [('1', 5), ('2', 16)])
    """
    text, phrases, start = '', [], 0
    for found in PHRASE.finditer(line):
        text += line[start : found.start()] + found[2]
        phrases.append((found[1], len(text)))
        start = found.end()
    return (text + line[start:]).strip(), phrases


def boxes_of(path: Path) -> dict[str, list[list[float]]]:
    """Number of an entity -> its boxes, in shares of the image's sides."""
    try:
        root = ET.parse(path).getroot()
        width, height = (float(root.findtext(f'size/{side}')) for side in ('width', 'height'))
        boxes = defaultdict(list)
        for one in root.iter('object'):
            corners = [one.findtext(f'bndbox/{side}') for side in ('xmin', 'ymin', 'xmax', 'ymax')]
            for name in one.iter('name') if None not in corners else ():
                x1, y1, x2, y2 = map(float, corners)
                boxes[name.text].append([x1 / width, y1 / height, x2 / width, y2 / height])
    except (ET.ParseError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BadAnnotations(f'{path} is no annotation of Flickr30K Entities: {error}') from error
    return dict(boxes)


@TRANSFORMS.register_module()
class PackPhrases(PackMultimodal):
    """The sentence as ``text``, and regions; into the sample ``gt_phrases``, the place of each phrase's last token, and
    ``gt_phrase_regions``, P R: equal shares for the regions that overlap a box of the phrase.

    In training phrases that no region overlaps, and those behind the end of a text that is cut, are left out, and
    items without another, too; in a test they stay and are missed.

    Args:
        tokenizer: the model's.
        overlap: least IoU of a region and a box of the phrase.
        every: keep phrases that no region overlaps.
    """

    def __init__(self, tokenizer: dict, overlap: float = 0.5, every: bool = False):
        super().__init__('first', keys=('regions',))
        self.tokenizer, self.overlap, self.every = TASK_UTILS.build(tokenizer), overlap, every

    def transform(self, results: dict) -> dict | None:
        packed, (text, *_) = super().transform(results), results['texts']
        boxes, last = results['regions'].boxes, self.tokenizer.context_length - 2
        places, shares = [], []
        for phrase in results['phrases']:
            place = len(self.tokenizer.pieces(text[: phrase['end']]).ids)  # the token of the start is the first
            right = (ious(torch.tensor(phrase['boxes']), boxes) >= self.overlap).any(0).float()
            if self.every or (place <= last and right.any()):
                places.append(min(place, last))
                shares.append(right / right.sum().clamp(min=1))
        if not places and not self.every:
            return None  # the data set takes another item
        sample = packed['data_samples']
        sample.gt_phrases = torch.tensor(places, dtype=torch.long)
        sample.gt_phrase_regions = torch.stack(shares) if shares else boxes.new_zeros(0, len(boxes))
        return packed


def ious(first: Tensor, second: Tensor) -> Tensor:
    """N M, of boxes xyxy."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = [(each[:, 2:] - each[:, :2]).clamp(min=0).prod(-1) for each in (first, second)]
    return both / (areas[0][:, None] + areas[1][None] - both).clamp(min=1e-9)
