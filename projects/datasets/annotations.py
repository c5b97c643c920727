"""Reading COCO annotation files, and holding every field against what it should be, before anything else sees them.

What makes a file meaningless (a missing key, a string for a number, an id that nobody has) is refused with file, id and
what would be right. What makes a single object unusable (a box outside the image, two points for a polygon) is left to
the caller, who drops it and says so: :func:`box_fault`, `masks.mask_fault`.
"""

import contextlib
import io
import json
import math
import os.path as osp
from collections import Counter
from collections.abc import Callable

from mmdet.datasets.api_wrappers import COCO

from .masks import MaskForm, mask_fault
from .paths import check_inside

Form = tuple[Callable[[object], bool], str]  # whether a value is right, and what would be


def is_number(value) -> bool:
    return type(value) in (int, float)


def is_id(value) -> bool:
    return type(value) in (int, str) or (type(value) is float and value.is_integer())


FLAG: Form = (lambda value: value in (0, 1) and not isinstance(value, (str, float)), '0 or 1')
ID: Form = (is_id, 'a whole number or a name')
TEXT: Form = (lambda value: isinstance(value, str) and bool(value), 'a name')
SIDE: Form = (lambda value: is_number(value) and value > 0 and float(value).is_integer(), 'a whole number of pixels')
NUMBER: Form = (is_number, 'a number')
BOX: Form = (
    lambda value: isinstance(value, list) and len(value) == 4 and all(map(is_number, value)),
    'four numbers x, y, width, height',
)

# Key -> what is right; a star: the key may be absent.
IMAGE = {'id': ID, 'file_name': TEXT, 'width': SIDE, 'height': SIDE}
CATEGORY = {'id': ID, 'name': TEXT}
OBJECT = {'id': ID, 'image_id': ID, 'category_id': ID, 'bbox': BOX, 'area*': NUMBER, 'iscrowd*': FLAG, 'ignore*': FLAG}
SEGMENT = {
    'id': (lambda value: type(value) is int and 0 < value < 1 << 24, 'a number from 1 (0 is for pixels of no segment)'),
    'category_id': ID,
    'bbox': BOX,
    'area': NUMBER,
    'iscrowd*': FLAG,
}


class BadAnnotations(ValueError):
    """An annotation file that does not hold together."""


def read_coco(path: str, name: str | None = None, masks: bool = False, optional: bool = False) -> dict:
    """The content of a COCO file of objects, checked.

    Args:
        path: the file.
        name: what messages call it; its path.
        masks: hold the form of masks, too.
        optional: a file without ``annotations`` (of a test set) has none.

    Raises:
        BadAnnotations: naming file, id, what was got and what would be right.
    """
    name = name or path
    content = read_json(path, name)
    if optional:
        content.setdefault('annotations', [])
    check_lists(content, name)
    images, categories = check_heads(content, name)
    check_items(content['annotations'], 'annotation', OBJECT, name)
    check_unique(content['annotations'], 'annotations', name)
    for annotation in content['annotations']:
        check_reference(annotation, images, categories, name)
        if masks:
            check_mask_form(annotation, images[annotation['image_id']], name)
    if masks and content['annotations'] and not any(each.get('segmentation') for each in content['annotations']):
        raise BadAnnotations(
            f'{name}: none of its {len(content["annotations"])} annotations has a segmentation, but masks are asked '
            "for (with_mask=True in the pipeline, metric='segm'); take a file with masks, or a model of boxes"
        )
    return content


def read_panoptic(path: str, name: str | None = None) -> dict:
    """The content of a COCO panoptic file, checked in the same way."""
    name = name or path
    content = read_json(path, name)
    check_lists(content, name)
    images, categories = check_heads(content, name, dict(CATEGORY, isthing=FLAG))
    items = dict(
        image_id=ID, file_name=TEXT, segments_info=(lambda value: isinstance(value, list), 'a list of segments')
    )
    check_items(content['annotations'], 'annotation', items, name)
    for annotation in content['annotations']:
        image = annotation['image_id']
        if image not in images:
            raise BadAnnotations(f'{name}: a panoptic annotation belongs to image {image!r}, which is not in the file')
        check_inside(annotation['file_name'], name, 'map')
        check_items(annotation['segments_info'], f'segment of image {image!r}', SEGMENT, name)
        check_unique(annotation['segments_info'], f'segments of image {image!r}', name)
        for segment in annotation['segments_info']:
            if segment['category_id'] not in categories:
                raise BadAnnotations(
                    f'{name}: segment {segment["id"]} of image {image!r} has category_id {segment["category_id"]!r}; '
                    f'the file defines {some(categories)}'
                )
    return content


def indexed(content: dict, kind: type[COCO] = COCO) -> COCO:
    """pycocotools' index of what was read, without a word."""
    coco = kind()
    coco.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    coco.img_ann_map, coco.cat_img_map = coco.imgToAnns, coco.catToImgs  # which mmdet would take before
    return coco


def read_json(path: str, name: str) -> dict:
    """An object from a JSON file; a byte order mark is no matter."""
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'there is no annotation file {name}; give the folder that holds the data '
            'with --cfg-options data_root=FOLDER'
        )
    try:
        with open(path, encoding='utf-8-sig') as file:
            text = file.read()
        content = json.loads(text)
    except UnicodeDecodeError as error:
        raise BadAnnotations(f'{name} is no text in UTF-8 ({error.reason} at byte {error.start})') from error
    except json.JSONDecodeError as error:
        state = 'is empty' if not text.strip() else f'is damaged or no JSON: {error}'
        raise BadAnnotations(f'{name} ({osp.getsize(path)} bytes) {state}. Fetch or write it again') from error
    if not isinstance(content, dict):
        raise BadAnnotations(
            f'{name} holds a {type(content).__name__}; an annotation file is an object with images, annotations and '
            'categories (a list is what results look like)'
        )
    return content


def check_lists(content: dict, name: str) -> None:
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(key), list):
            raise BadAnnotations(
                f"{name} has no list {key!r}; a COCO file has 'images', 'annotations' and 'categories', this one has "
                f'{sorted(content)}'
            )
    for key in ('images', 'categories'):
        if not content[key]:
            raise BadAnnotations(f'{name}: its list of {key} is empty')


def check_heads(content: dict, name: str, category: dict[str, Form] = CATEGORY) -> tuple[dict, dict]:
    """Images and categories by their ids."""
    check_items(content['images'], 'image', IMAGE, name)
    check_items(content['categories'], 'category', category, name)
    for key in ('images', 'categories'):
        check_unique(content[key], key, name)
    for image in content['images']:
        check_inside(image['file_name'], name)
    return tuple({item['id']: item for item in content[key]} for key in ('images', 'categories'))


def check_items(items: list, what: str, forms: dict[str, Form], name: str) -> None:
    """Every item of a list is an object whose fields are right."""
    fields = [(key.rstrip('*'), key.endswith('*'), *form) for key, form in forms.items()]
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise BadAnnotations(f'{name}: {what} number {number} (from 0) is {item!r:.60}; an object is needed')
        for key, optional, right, needed in fields:
            value = item.get(key, fields)  # any value that no file has
            if value is fields or (value is None and not optional):
                if not optional:
                    raise BadAnnotations(f'{name}: {named(what, item, number)} has no {key}; {needed} is needed')
            elif not right(value):
                kind = ', a string' if isinstance(value, str) else ''
                way = f'{needed} are needed' if key == 'bbox' else f'{needed} is needed'
                way += ', or leave it out' if optional else ''
                raise BadAnnotations(f'{name}: {named(what, item, number)} has {key} {value!r:.80}{kind}; {way}')


def named(what: str, item: dict, number: int) -> str:
    return f'{what} {item["id"]!r}' if item.get('id') is not None else f'{what} number {number} (from 0)'


def check_unique(items: list[dict], what: str, name: str) -> None:
    counts = Counter(item['id'] for item in items)
    if len(counts) < len(items):
        twice = [i for i, count in counts.items() if count > 1]
        raise BadAnnotations(f'{name}: {len(twice)} ids of {what} are used more than once, e.g. {twice[:5]}')


def check_reference(annotation: dict, images: dict, categories: dict, name: str) -> None:
    if annotation['image_id'] not in images:
        raise BadAnnotations(
            f'{name}: annotation {annotation["id"]} belongs to image {annotation["image_id"]!r}, which is not in the '
            'file'
        )
    if annotation['category_id'] not in categories:
        raise BadAnnotations(
            f'{name}: annotation {annotation["id"]} has category_id {annotation["category_id"]!r}; the file defines '
            f'{some(categories)}'
        )


def some(categories: dict, most: int = 10) -> str:
    shown = {number: each['name'] for number, each in [*categories.items()][:most]}
    return str(shown) + (f' and {len(categories) - most} more' if len(categories) > most else '')


def check_mask_form(annotation: dict, image: dict, name: str) -> None:
    try:
        mask_fault(annotation.get('segmentation'), image['height'], image['width'])
    except MaskForm as error:
        raise BadAnnotations(f'{name}: the segmentation of annotation {annotation["id"]} {error}') from error


def box_fault(annotation: dict, image: dict) -> str | None:
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
    if not annotation.get('area', 1) > 0:
        return 'area 0'
    return None
