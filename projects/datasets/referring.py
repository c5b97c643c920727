"""Phrases with the one box in an image that they mean: RefCOCO, RefCOCO+ and RefCOCOg, and objects by their names.

An item has ``img_path, img_id, ori_shape``, the phrase as ``texts``, and ``gt_bboxes``, 1 4, xyxy in pixels, which
mmcv's transforms move with the image.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
from mmengine.dataset import BaseDataset

from ..registry import DATASETS
from .annotations import BadAnnotations, box_fault, read_coco
from .bad_images import NamedImages

PICKLES = ('.p', '.pkl', '.pickle')


class Phrases(NamedImages, BaseDataset):
    """Base; takes the arguments of mmengine's ``BaseDataset``.

    Raises:
        BadAnnotations: the file is no COCO file of objects, or has no phrase.
    """

    def load_data_list(self) -> list[dict]:
        if os.path.splitext(self.ann_file)[1] in PICKLES:
            raise BadAnnotations(
                f"{self.ann_file} is a pickle, as refer's files are, and reading one runs what it says; take the JSON "
                'files of MDETR (finetune_refcoco_train.json and others in its mdetr_annotations.tar.gz)'
            )
        content = read_coco(self.ann_file)
        of_image = defaultdict(list)
        for annotation in content['annotations']:
            of_image[annotation['image_id']].append(annotation)
        items = [
            dict(
                img_path=os.path.join(self.data_prefix.get('img') or '', image['file_name']),
                img_id=image['id'],
                ori_shape=(image['height'], image['width']),
                texts=[phrase],
                gt_bboxes=corners(annotation['bbox']),
            )
            for image, phrase, annotation in self.pairs(content, of_image)
        ]
        if not items:
            raise BadAnnotations(f'{self.ann_file} holds no phrase with a box')
        return items

    def pairs(self, content: dict, of_image: dict) -> Iterator[tuple[dict, str, dict]]:
        """An image, a phrase, and the annotation that it means.

        Args:
            of_image: id of an image -> its annotations.
        """
        raise NotImplementedError


def corners(box: list) -> np.ndarray:
    """x, y, width, height -> 1 4, xyxy."""
    x, y, width, height = box
    return np.array([[x, y, x + width, y + height]], np.float32)


@DATASETS.register_module()
class ReferredObjects(Phrases):
    """MDETR's form of RefCOCO (the one of mmdet's ``MDETRStyleRefCocoDataset``, which is for evaluation alone): a COCO
    file in which an image stands once for each of its phrases, with the phrase as ``caption`` and a single annotation.

    Raises:
        BadAnnotations: an image has no phrase, no or several boxes, or one that is empty or outside.
    """

    def pairs(self, content: dict, of_image: dict) -> Iterator[tuple[dict, str, dict]]:
        for image in content['images']:
            phrase, meant = image.get('caption'), of_image[image['id']]
            where = f'{self.ann_file}: image {image["id"]!r}'
            if not isinstance(phrase, str) or not any(map(str.isalnum, phrase)):
                raise BadAnnotations(f'{where} has the caption {phrase!r}; it should be a phrase that means an object')
            if len(meant) != 1:
                raise BadAnnotations(f'{where} ({phrase!r}) has {len(meant)} boxes; a phrase means one')
            fault = box_fault(meant[0], image)
            if fault:
                raise BadAnnotations(f'{where} ({phrase!r}): the box {meant[0]["bbox"]} is {fault}')
            yield image, phrase, meant[0]


@DATASETS.register_module()
class NamedObjects(Phrases):
    """Any COCO file of objects: each object that is the only one of its class in an image, with its name as the phrase.

    Args:
        phrase: with ``{}`` for the name.
    """

    def __init__(self, *args, phrase: str = 'the {}', **kwargs):
        if '{}' not in phrase:
            raise ValueError(f"phrase={phrase!r} has no '{{}}' where the name goes")
        self.phrase = phrase
        super().__init__(*args, **kwargs)

    def pairs(self, content: dict, of_image: dict) -> Iterator[tuple[dict, str, dict]]:
        names = {category['id']: category['name'] for category in content['categories']}
        for image in content['images']:
            objects = of_image[image['id']]
            counts = Counter(each['category_id'] for each in objects)
            for each in objects:
                alone = counts[each['category_id']] == 1 and not each.get('iscrowd')
                if alone and not box_fault(each, image):
                    yield image, self.phrase.format(names[each['category_id']]), each
