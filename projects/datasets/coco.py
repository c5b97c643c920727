"""COCO-format detection data whose labels are matched by NAME, and which says what it drops.

mmdet's `CocoDataset` numbers the labels in the order of the json whatever the order of ``classes``, so a list in
another order, a typo or an extra name gives objects the names of others without a word. Here label i is the category
called ``classes[i]``; names that do not meet are refused; boxes that cannot be used are reported in one table.
"""

import difflib
import logging
import math
import os.path as osp
from collections import Counter
from collections.abc import Sequence

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmengine.logging import print_log
from rich.console import Console
from rich.table import Table

from ..registry import DATASETS

MAX_NAMES = 10  # in one line of the log
COCO_COLOURS = dict(zip(CocoDataset.METAINFO['classes'], CocoDataset.METAINFO['palette']))


class ClassMismatch(ValueError):
    """The classes asked for and the categories of the annotation file do not meet."""


class OrderedCOCO(COCO):
    """pycocotools' index, which answers a list of names in its order; an unknown name is answered by None."""

    def get_cat_ids(self, cat_names: Sequence[str] = (), **kwargs) -> list[int | None]:
        if not cat_names:
            return super().get_cat_ids(**kwargs)
        by_name = {category['name']: category['id'] for category in self.cats.values()}
        return [by_name.get(name) for name in cat_names]


@DATASETS.register_module()
class CheckedCocoDataset(CocoDataset):
    """`CocoDataset` with labels by name.

    Where ``metainfo['classes']`` is not given, the classes are the json's categories in the order of their ids.
    Evaluate with `CheckedCocoMetric`, which finds the annotation file and the labels through this data set.

    Args:
        ignore_categories: categories of the json whose annotations are not wanted, by name; ``'*'`` for all that are
            not in ``classes``.
        allow_missing: classes that this json may lack, by name, so that their labels stay reserved; ``'*'`` for any.

    Raises:
        TypeError: ``classes`` is a bare string, as ``('car')`` is.
        ClassMismatch: a class has no category or an annotated category no class, unless it was said to be so.
        ValueError: an annotation refers to an image or a category that the json does not define, a box is not four
            numbers, or a file lies outside the folder of the images.
    """

    METAINFO: dict = {}

    def __init__(self, *args, ignore_categories: Sequence[str] = (), allow_missing: Sequence[str] = (), **kwargs):
        self.ignore_categories = as_names(ignore_categories, 'ignore_categories', star=True)
        self.allow_missing = as_names(allow_missing, 'allow_missing', star=True)
        self.dropped: dict[str, list[str]] = {}  # reason: file names, one for each box
        super().__init__(*args, **kwargs)

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        # Checked before mmengine sees it: a string that is no file would be kept, and counted letter by letter.
        classes = (metainfo or {}).get('classes')
        if isinstance(classes, str) and not osp.isfile(classes):
            as_names(classes, 'classes')
        metainfo = super()._load_metainfo(metainfo)
        if metainfo.get('classes') is not None:
            metainfo['classes'] = as_names(metainfo['classes'], 'classes')
        return metainfo

    def COCOAPI(self, ann_file: str) -> COCO:
        """Index the json, settle the classes and hold them against its categories."""
        if not osp.isfile(ann_file):
            raise FileNotFoundError(
                f'there is no annotation file {self.ann_file}; give the folder that holds the data '
                'with --cfg-options data_root=FOLDER'
            )
        coco = OrderedCOCO(ann_file)
        check_structure(coco.dataset, self.ann_file)
        if not self._metainfo.get('classes'):
            self._metainfo['classes'] = tuple(
                coco.cats[i]['name'] for i in sorted(coco.cats) if coco.cats[i]['name'] not in self.ignore_categories
            )
            classes = self._metainfo['classes']
            shown = ', '.join(classes[:MAX_NAMES]) + (', ...' if len(classes) > MAX_NAMES else '')
            print_log(
                f'{self.ann_file}: no classes given, so its {len(classes)} categories in the order of their ids: '
                f'{shown}',
                'current',
            )
        self._check_classes(coco)
        colours = palette(coco, self._metainfo['classes'])
        if colours:
            self._metainfo.setdefault('palette', colours)
        if self.test_mode:  # for the metric; checkpoints, which keep the training set's metainfo, need no path
            self._metainfo['ann_file'] = self.ann_file
        return coco

    def load_data_list(self) -> list[dict]:
        self.dropped = {}
        data_list = super().load_data_list()
        # A class that the json lacks (`allow_missing`) has no images and no id.
        self.cat2label.pop(None, None)
        self.cat_img_map[None] = []
        if self.dropped:
            print_log(drop_table(self.ann_file, self.dropped), 'current', logging.WARNING)
        return data_list

    def parse_data_info(self, raw_data_info: dict) -> dict:
        image, annotations = raw_data_info['raw_img_info'], raw_data_info['raw_ann_info']
        check_path(image['file_name'], self.ann_file)
        usable = []
        for annotation in annotations:
            if annotation['category_id'] not in self.cat2label or annotation.get('ignore', False):
                continue
            annotation.setdefault('area', annotation['bbox'][2] * annotation['bbox'][3])
            reason = fault(annotation, image)
            if reason:
                self.dropped.setdefault(reason, []).append(image['file_name'])
            else:
                usable.append(annotation)
        return super().parse_data_info(dict(raw_img_info=image, raw_ann_info=usable))

    def _check_classes(self, coco: COCO):
        classes, names = self._metainfo['classes'], [category['name'] for category in coco.cats.values()]
        for name, listed in (('classes', classes), (f'the categories of {self.ann_file}', names)):
            twice = [word for word, count in Counter(listed).items() if count > 1]
            if twice:
                raise ClassMismatch(f'{name} name {twice} more than once')

        annotated = Counter(coco.cats[a['category_id']]['name'] for a in coco.anns.values())
        lost = (
            []
            if '*' in self.allow_missing
            else [name for name in classes if name not in names and name not in self.allow_missing]
        )
        unwanted = (
            []
            if '*' in self.ignore_categories
            else [
                name for name in names if annotated[name] and name not in classes and name not in self.ignore_categories
            ]
        )
        unknown = [name for name in self.ignore_categories if name not in (*names, '*')]
        if lost or unwanted or unknown:
            raise ClassMismatch(mismatch(self.ann_file, classes, annotated, names, lost, unwanted, unknown))

        unseen = [name for name in classes if not annotated[name]]
        if unseen and not self.test_mode:
            print_log(
                f'{self.ann_file}: no object of {", ".join(unseen[:MAX_NAMES])}'
                f'{", ..." if len(unseen) > MAX_NAMES else ""}; nothing can be learned about them',
                'current',
                logging.WARNING,
            )
        ids = [coco_id for coco_id in coco.get_cat_ids(cat_names=classes) if coco_id is not None]
        if ids != [i for i in coco.get_cat_ids() if i in ids]:
            print_log(
                f'{self.ann_file}: the classes are in another order than the categories. Labels follow the '
                "classes; evaluate with mmparts.CheckedCocoMetric, since mmdet's CocoMetric with an ann_file "
                'assumes the order of the json.',
                'current',
                logging.WARNING,
            )


def as_names(names: Sequence[str], what: str, star: bool = False) -> tuple[str, ...]:
    """The names as a tuple; a bare string is refused, since Python would take it letter by letter."""
    if isinstance(names, str):
        if star and names == '*':
            return ('*',)
        raise TypeError(f"{what}='{names}' is a string, not a list of names; write ('{names}', ) with a comma")
    return tuple(str(name) for name in names)


def check_structure(content: dict, ann_file: str):
    """Refuse a json that does not hold together; mmdet would drop such annotations or fail far from the cause."""
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(key), list):
            raise ValueError(
                f"{ann_file} has no list {key!r}; a COCO detection file has 'images', 'annotations' and "
                f"'categories', this one has {sorted(content)}"
            )
    for key in ('images', 'annotations', 'categories'):
        twice = [i for i, count in Counter(item['id'] for item in content[key]).items() if count > 1]
        if twice:
            raise ValueError(f'{ann_file}: {len(twice)} ids of {key} are used more than once, e.g. {twice[:5]}')
    for image in content['images']:
        lacking = [key for key in ('file_name', 'width', 'height') if not image.get(key)]
        if lacking:
            raise ValueError(f'{ann_file}: image {image["id"]!r} has no {", ".join(lacking)}')
    images = {item['id'] for item in content['images']}
    categories = {item['id']: item['name'] for item in content['categories']}
    for annotation in content['annotations']:
        where = f'{ann_file}: annotation {annotation["id"]}'
        if annotation['image_id'] not in images:
            raise ValueError(f'{where} belongs to image {annotation["image_id"]!r}, which is not in the file')
        if annotation['category_id'] not in categories:
            raise ValueError(f'{where} has category_id {annotation["category_id"]!r}; the file defines {categories}')
        box = annotation.get('bbox')
        if not isinstance(box, list) or len(box) != 4 or not all(isinstance(value, (int, float)) for value in box):
            raise ValueError(f'{where} has bbox {box!r}; four numbers x, y, width, height are needed')


def check_path(file_name: str, ann_file: str):
    if osp.isabs(file_name) or osp.normpath(file_name).startswith('..'):
        raise ValueError(f'{ann_file} names the image {file_name!r}, which leaves the folder of the images')


def fault(annotation: dict, image: dict) -> str | None:
    """Why mmdet cannot train on this box, if so."""
    x, y, width, height = annotation['bbox']
    if not all(math.isfinite(value) for value in annotation['bbox']):
        return 'NaN or infinite'
    if width <= 0 or height <= 0:
        return 'no or negative size'
    if min(x + width, image['width']) <= max(x, 0) or min(y + height, image['height']) <= max(y, 0):
        return 'outside the image'
    if width < 1 or height < 1:
        return 'thinner than a pixel'
    if annotation['area'] <= 0:
        return 'area 0'
    return None


def palette(coco: COCO, classes: Sequence[str]) -> list[tuple] | None:
    """A colour for each class: the json's, else those mmdet draws COCO in; None lets the visualizer choose."""
    colours = {category['name']: tuple(category['color']) for category in coco.cats.values() if 'color' in category}
    for known in (colours, COCO_COLOURS):
        if all(name in known for name in classes):
            return [known[name] for name in classes]
    return None


def mismatch(
    ann_file: str,
    classes: Sequence[str],
    annotated: Counter,
    names: Sequence[str],
    lost: Sequence[str],
    unwanted: Sequence[str],
    unknown: Sequence[str],
) -> str:
    """What the config asks for against what the file has, with the nearest names and the ways out."""
    lines = [f'the classes do not fit {ann_file}:']
    lines += [f'  {name!r} is in classes but not a category of the file{hint(name, names)}' for name in lost]
    lines += [
        f'  {name!r} has {annotated[name]} annotations in the file but is not in classes{hint(name, classes)}'
        for name in unwanted
    ]
    lines += [
        f'  {name!r} is in ignore_categories but not a category of the file{hint(name, names)}' for name in unknown
    ]
    lines += [f'classes:    {tuple(classes)}', f'categories: {tuple(names)}']
    if lost:
        lines.append(f'If this file may lack them, say allow_missing={tuple(lost)}.')
    if unwanted:
        lines.append(f'To train without them, say ignore_categories={tuple(unwanted)}.')
    return '\n'.join(lines)


def hint(name: str, candidates: Sequence[str]) -> str:
    lower = {candidate.lower(): candidate for candidate in candidates}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    return f'; did you mean {lower[near[0]]!r}?' if near else ''


def drop_table(ann_file: str, dropped: dict[str, list[str]]) -> str:
    """Counts of dropped boxes by reason, with the first files."""
    total = sum(len(files) for files in dropped.values())
    table = Table('reason', 'boxes', 'files')
    for reason, files in dropped.items():
        unique = list(dict.fromkeys(files))
        rest = f' and {len(unique) - MAX_NAMES} more' if len(unique) > MAX_NAMES else ''
        table.add_row(reason, str(len(files)), ', '.join(unique[:MAX_NAMES]) + rest)
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return f'{ann_file}: {total} boxes dropped\n{capture.get()}'
