"""COCO-format detection data whose labels are matched by NAME, and which says what it drops.

mmdet's `CocoDataset` numbers the labels in the order of the json whatever the order of ``classes``, so a list in
another order, a typo or an extra name gives objects the names of others without a word. Here label i is the category
called ``classes[i]``; names that do not meet are refused; objects that cannot be used are reported in one table.
"""

import difflib
import logging
import os.path as osp
from collections import Counter
from collections.abc import Sequence

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmengine.logging import print_log
from rich.console import Console
from rich.table import Table

from ..registry import DATASETS
from .annotations import box_fault, indexed, read_coco
from .bad_images import NamedImages
from .masks import mask_fault

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
class CheckedCocoDataset(NamedImages, CocoDataset):
    """`CocoDataset` with labels by name.

    Where ``metainfo['classes']`` is not given, the classes are the json's categories in the order of their ids.
    Evaluate with `CheckedCocoMetric`, which finds the annotation file and the labels through this data set.

    Args:
        ignore_categories: categories of the json whose annotations are not wanted, by name; ``'*'`` for all that are
            not in ``classes``.
        allow_missing: classes that this json may lack, by name, so that their labels stay reserved; ``'*'`` for any.
        on_bad_image, max_bad_images: 'error', or 'skip' up to a number, see `NamedImages`.

    Raises:
        TypeError: ``classes`` is a bare string, as ``('car')`` is.
        ClassMismatch: a class has no category or an annotated category no class, unless it was said to be so.
        BadAnnotations: a field that is not what it should be, see `annotations.read_coco`.
    """

    METAINFO: dict = {}

    def __init__(self, *args, ignore_categories: Sequence[str] = (), allow_missing: Sequence[str] = (), **kwargs):
        if kwargs.get('proposal_file'):
            raise ValueError(
                f'proposal_file={kwargs["proposal_file"]!r}: mmdet unpickles it, which runs whatever its maker wrote; '
                'mmparts.ProposalFile reads proposals from JSON'
            )
        self.ignore_categories = as_names(ignore_categories, 'ignore_categories', star=True)
        self.allow_missing = as_names(allow_missing, 'allow_missing', star=True)
        self.dropped: dict[str, list[str]] = {}  # reason: file names, one for each object
        self.needs_masks = asks_for_masks(kwargs.get('pipeline', ()))
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
        coco = indexed(read_coco(ann_file, self.ann_file, self.needs_masks, optional=self.test_mode), OrderedCOCO)
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
        # Set even to None: mmdet's ConcatDataset wants the same keys of all.
        self._metainfo.setdefault('palette', palette(coco, self._metainfo['classes']))
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
        usable = []
        for annotation in annotations:
            if annotation['category_id'] not in self.cat2label:
                continue
            reason = self._fault(annotation, image)
            if reason:
                self.dropped.setdefault(reason, []).append(image['file_name'])
            else:
                annotation.setdefault('area', annotation['bbox'][2] * annotation['bbox'][3])
                usable.append(annotation)
        return super().parse_data_info(dict(raw_img_info=image, raw_ann_info=usable))

    def _fault(self, annotation: dict, image: dict) -> str | None:
        """Why an object cannot be used, if so."""
        if annotation.get('ignore'):
            return 'marked `ignore` in the file'
        fault = box_fault(annotation, image)
        if fault is None and self.needs_masks:
            fault = mask_fault(annotation.get('segmentation'), image['height'], image['width'])
        return fault

    def filter_data(self) -> list[dict]:
        """What ``filter_cfg`` leaves; the log says what it takes."""
        kept = super().filter_data()
        if len(kept) < len(self.data_list):
            print_log(
                f'{self.ann_file}: filter_cfg={self.filter_cfg} leaves {len(kept)} of {len(self.data_list)} images',
                'current',
            )
        if not kept:
            raise ValueError(
                f'{self.ann_file}: filter_cfg={self.filter_cfg} leaves no image of {len(self.data_list)}: none is '
                'large enough and has an object of the classes that can be used'
            )
        return kept

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


def asks_for_masks(pipeline: Sequence) -> bool:
    """Whether a step of a pipeline, or one within it, loads masks."""
    if isinstance(pipeline, dict):
        return bool(pipeline.get('with_mask')) or any(map(asks_for_masks, pipeline.values()))
    return isinstance(pipeline, (list, tuple)) and any(map(asks_for_masks, pipeline))


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
    """Counts of dropped objects by reason, with the first files."""
    total = sum(len(files) for files in dropped.values())
    table = Table('reason', 'objects', 'files')
    for reason, files in dropped.items():
        unique = list(dict.fromkeys(files))
        rest = f' and {len(unique) - MAX_NAMES} more' if len(unique) > MAX_NAMES else ''
        table.add_row(reason, str(len(files)), ', '.join(unique[:MAX_NAMES]) + rest)
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return f'{ann_file}: {total} objects dropped\n{capture.get()}'
