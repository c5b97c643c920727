"""COCO panoptic data that is checked as boxes are, with labels by name."""

import posixpath

from mmdet.datasets import CocoPanopticDataset
from mmdet.datasets.api_wrappers import COCOPanoptic

from ..registry import DATASETS
from .annotations import indexed, read_panoptic
from .bad_images import NamedImages
from .coco import ClassMismatch, as_names, hint


class OrderedPanoptic(COCOPanoptic):
    """The index, which answers a list of names in its order."""

    def get_cat_ids(self, cat_names=(), **kwargs) -> list:
        by_name = {category['name']: number for number, category in self.cats.items()}
        return [by_name[name] for name in cat_names] if len(cat_names) else super().get_cat_ids(**kwargs)


@DATASETS.register_module()
class CheckedPanopticDataset(NamedImages, CocoPanopticDataset):
    """mmdet's `CocoPanopticDataset`, whose labels follow ``classes`` instead of the order of the json.

    The map of an image has its name with the ending .png, whatever the ending of the image. (There, only .jpg is
    replaced.)

    Raises:
        BadAnnotations: a field that is not what it should be; among them segments with id 0, which COCO keeps for
            pixels of no segment, and categories without ``isthing``.
        ClassMismatch: names of classes and categories do not meet.
    """

    def COCOAPI(self, ann_file: str) -> COCOPanoptic:
        """Index the json, and hold the classes against its categories."""
        coco = indexed(read_panoptic(ann_file, self.ann_file), OrderedPanoptic)
        classes = as_names(self.metainfo['classes'], 'classes')
        names = [category['name'] for category in coco.cats.values()]
        for name in classes:
            if name not in names:
                raise ClassMismatch(f'{self.ann_file}: {name!r} is in classes but not a category{hint(name, names)}')
        for name in names:
            if name not in classes:
                raise ClassMismatch(f'{self.ann_file}: category {name!r} is not in classes{hint(name, classes)}')
        things = set(self.metainfo.get('thing_classes') or ())
        for category in coco.cats.values():
            if things and bool(category['isthing']) != (category['name'] in things):
                raise ClassMismatch(
                    f'{self.ann_file}: category {category["name"]!r} has isthing={category["isthing"]}, but '
                    f'thing_classes {"has" if category["name"] in things else "lacks"} it'
                )
        return coco

    def parse_data_info(self, raw_data_info: dict) -> dict:
        info = super().parse_data_info(raw_data_info)
        if info['seg_map_path'] is not None:
            name = posixpath.splitext(raw_data_info['raw_img_info']['file_name'])[0] + '.png'
            info['seg_map_path'] = posixpath.join(self.data_prefix['seg'], name)
        return info
