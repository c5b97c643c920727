"""A format of annotations a class: which files are its own, and what they say."""

import csv
import json
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import yaml

from ..annotations import read_coco
from .records import Annotated, AnnotatedImage, Images

NAME_FILES = ('classes.txt', 'obj.names', 'labels.txt', 'names.txt')


class BadSource(ValueError):
    """Annotations that cannot be read; the message says what was looked for."""


class Reader:
    """A format. ``files`` are the annotation files found; ``read`` yields images, and notes files that say nothing in
    ``dropped`` (reason -> names)."""

    name = ''

    def __init__(self, folder: Path, images: Images, classes: list[str] | None = None):
        self.folder, self.images, self.classes = folder, images, classes
        self.files = sorted(path for path in self.candidates(folder) if self.is_one(path))
        self.dropped: dict[str, list[str]] = {}

    def candidates(self, folder: Path) -> Iterator[Path]:
        """Files that may be annotations."""
        raise NotImplementedError

    def is_one(self, path: Path) -> bool:
        """Whether a file is an annotation file of this format."""
        raise NotImplementedError

    def read(self) -> Iterator[AnnotatedImage]:
        for path in self.files:
            try:
                yield from self.read_file(path)
            except (ValueError, KeyError, TypeError, AttributeError, ElementTree.ParseError) as error:
                if isinstance(error, BadSource):
                    raise
                self.drop(f'annotation file cannot be read ({type(error).__name__}: {error})'[:90], path)

    def read_file(self, path: Path) -> Iterator[AnnotatedImage]:
        raise NotImplementedError

    def drop(self, reason: str, path: Path | str) -> None:
        self.dropped.setdefault(reason, []).append(str(path))

    def image(self, name: str, source: Path, **known) -> AnnotatedImage | None:
        """The image that a file means; None, and a line among the dropped, where there is none."""
        found = self.images.find(name, source)
        if isinstance(found, str):
            self.drop(found, name)
            return None
        return AnnotatedImage(found, source, **known)


class Voc(Reader):
    """Pascal VOC: an XML file an image. Boxes are taken as they stand, from 0: what labelImg and most converters write
    (the first VOC sets count pixels from 1, half a pixel's matter). ``difficult`` objects become crowds."""

    name = 'voc'

    def candidates(self, folder: Path) -> Iterator[Path]:
        return folder.rglob('*.xml')

    def is_one(self, path: Path) -> bool:
        with open(path, 'rb') as file:
            return b'<annotation' in file.read(2000)

    def read_file(self, path: Path) -> Iterator[AnnotatedImage]:
        root = ElementTree.parse(path).getroot()
        sides = [int(float(root.findtext(f'size/{side}') or 0)) for side in ('width', 'height')]
        image = self.image(root.findtext('filename') or path.stem, path, size=tuple(sides) if all(sides) else None)
        if image is None:
            return
        for each in root.iter('object'):
            box = tuple(float(each.findtext(f'bndbox/{side}')) for side in ('xmin', 'ymin', 'xmax', 'ymax'))
            image.objects.append(
                Annotated(each.findtext('name').strip(), box, crowd=(each.findtext('difficult') or '0').strip() == '1')
            )
        yield image


class Yolo(Reader):
    """YOLO: a text file an image, `class cx cy w h` a line, or `class x1 y1 x2 y2 ...` for a polygon, in shares of the
    sides. Names of classes: `names:` of a YAML file, or classes.txt, obj.names."""

    name = 'yolo'

    def __init__(self, folder: Path, images: Images, classes: list[str] | None = None):
        super().__init__(folder, images, classes)
        if self.files and not self.classes:
            self.classes = next((names for place in (folder, folder.parent) if (names := names_in(place))), None)

    def candidates(self, folder: Path) -> Iterator[Path]:
        return (path for path in folder.rglob('*.txt') if path.name not in NAME_FILES)

    def is_one(self, path: Path) -> bool:
        with open(path, encoding='utf-8', errors='replace') as file:
            lines = [line.split() for line in file.read(20_000).splitlines()[:5] if line.strip()]
        # An empty one, for an image without objects, is named as an image.
        return all(map(is_yolo, lines)) if lines else isinstance(self.images.find(path.stem, path), Path)

    def read_file(self, path: Path) -> Iterator[AnnotatedImage]:
        image = self.image(path.stem, path, relative=True)
        if image is None:
            return
        for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
            words = line.split()
            if not words:
                continue
            if not is_yolo(words):
                self.drop('line that is no `class cx cy w h`', f'{path}:{number}')
                continue
            image.objects.append(self.object(int(float(words[0])), [float(word) for word in words[1:]]))
        yield image

    def object(self, label: int, numbers: list[float]) -> Annotated:
        if self.classes is not None and label >= len(self.classes):
            raise BadSource(f'class {label} has no name: there are {len(self.classes)}, {", ".join(self.classes[:8])}')
        name = str(label) if self.classes is None else self.classes[label]
        if len(numbers) == 4:
            cx, cy, w, h = numbers
            return Annotated(name, (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))
        return polygon(name, numbers)


class LabelMe(Reader):
    """LabelMe: a JSON file an image, with shapes; polygons, rectangles and circles become objects."""

    name = 'labelme'

    def candidates(self, folder: Path) -> Iterator[Path]:
        return folder.rglob('*.json')

    def is_one(self, path: Path) -> bool:
        content = peek(path)
        return isinstance(content, dict) and 'shapes' in content and 'imagePath' in content

    def read_file(self, path: Path) -> Iterator[AnnotatedImage]:
        content = json.loads(path.read_text(encoding='utf-8-sig'))
        width, height = content.get('imageWidth'), content.get('imageHeight')
        image = self.image(content['imagePath'], path, size=(width, height) if width and height else None)
        if image is None:
            return
        for shape in content['shapes']:
            kind, points = shape.get('shape_type') or 'polygon', shape['points']
            if kind == 'circle' and len(points) == 2:
                (x, y), (a, b) = points
                radius = ((a - x) ** 2 + (b - y) ** 2) ** 0.5
                image.objects.append(Annotated(shape['label'], (x - radius, y - radius, x + radius, y + radius)))
            elif kind == 'rectangle' and len(points) >= 2:
                image.objects.append(Annotated(shape['label'], around(points)))
            elif kind == 'polygon' and len(points) >= 3:
                image.objects.append(polygon(shape['label'], [value for point in points for value in point]))
            else:
                self.drop(f'LabelMe shape of type {kind!r} with {len(points)} points', path)
        yield image


class Csv(Reader):
    """A table with a line an object: columns of an image's name, a class and a box, by the names in ``WORDS``; or,
    without a head, `image, x1, y1, x2, y2, class`."""

    name = 'csv'
    WORDS = {
        'image': ('filename', 'file_name', 'image', 'image_path', 'image_name', 'image_id', 'path', 'file', 'img'),
        'class': ('class', 'class_name', 'label', 'name', 'category', 'category_name'),
        'x1': ('xmin', 'x_min', 'x1', 'left'),
        'y1': ('ymin', 'y_min', 'y1', 'top'),
        'x2': ('xmax', 'x_max', 'x2', 'right'),
        'y2': ('ymax', 'y_max', 'y2', 'bottom'),
        'box': ('bbox', 'box'),
        'x': ('x', 'bbox_x'),
        'y': ('y', 'bbox_y'),
        'w': ('w', 'width_box', 'bbox_w', 'box_width', 'bbox_width'),
        'h': ('h', 'height_box', 'bbox_h', 'box_height', 'bbox_height'),
    }

    def candidates(self, folder: Path) -> Iterator[Path]:
        return folder.rglob('*.csv')

    def is_one(self, path: Path) -> bool:
        with open(path, encoding='utf-8-sig', newline='', errors='replace') as file:
            rows = list(csv.reader(line for line, _ in zip(file, range(2))))
        return bool(rows) and self.columns(rows[0]) is not None

    def columns(self, head: list[str]) -> dict[str, int] | None:
        """Which column holds what; None: no table of boxes."""
        words = [word.strip().lower() for word in head]
        found = {what: words.index(name) for what, names in self.WORDS.items() for name in names if name in words}
        boxes = [{'x1', 'y1', 'x2', 'y2'}, {'x', 'y', 'w', 'h'}, {'box'}]
        if 'image' in found and any(box <= found.keys() for box in boxes):
            return found
        if len(head) == 6 and all(map(is_float, head[1:5])) and not is_float(head[5]):
            return {'image': 0, 'x1': 1, 'y1': 2, 'x2': 3, 'y2': 4, 'class': 5}
        return None

    def read_file(self, path: Path) -> Iterator[AnnotatedImage]:
        with open(path, encoding='utf-8-sig', newline='') as file:
            rows = [row for row in csv.reader(file) if row]
        columns = self.columns(rows[0])
        images: dict[str, AnnotatedImage | None] = {}
        for row in rows if columns.get('x1') == 1 and is_float(rows[0][1]) else rows[1:]:
            name = row[columns['image']]
            if name not in images:
                images[name] = self.image(name, path)
            if images[name] is None or not row[columns.get('x1', columns.get('box', columns.get('x')))].strip():
                continue  # an image without objects
            label = row[columns['class']].strip() if 'class' in columns else 'object'
            images[name].objects.append(Annotated(label, self.box(row, columns)))
        yield from filter(None, images.values())

    def box(self, row: list[str], columns: dict[str, int]) -> tuple[float, ...]:
        if 'x1' in columns and 'x2' in columns:
            return tuple(float(row[columns[key]]) for key in ('x1', 'y1', 'x2', 'y2'))
        x, y, w, h = (
            map(float, literal_eval(row[columns['box']]))
            if 'box' in columns
            else (float(row[columns[key]]) for key in ('x', 'y', 'w', 'h'))
        )
        return x, y, x + w, y + h


class Coco(Reader):
    """COCO's object files, checked as in training."""

    name = 'coco'

    def candidates(self, folder: Path) -> Iterator[Path]:
        return folder.rglob('*.json') if folder.is_dir() else iter([folder])

    def is_one(self, path: Path) -> bool:
        content = peek(path)
        if not (isinstance(content, dict) and {'images', 'annotations', 'categories'} <= content.keys()):
            return False
        return not any('segments_info' in each for each in content['annotations'][:1])

    def read_file(self, path: Path) -> Iterator[AnnotatedImage]:
        content = read_coco(str(path))
        names = {each['id']: each['name'] for each in content['categories']}
        if self.classes is None:
            self.classes = []
        self.classes += [name for name in names.values() if name not in self.classes]
        images = {}
        for each in content['images']:
            size = (int(each['width']), int(each['height']))
            images[each['id']] = self.image(each['file_name'], path, size=size)
        for each in content['annotations']:
            image = images[each['image_id']]
            if image is None:
                continue
            x, y, w, h = each['bbox']
            crowd, mask = bool(each.get('iscrowd')), each.get('segmentation') or None
            image.objects.append(Annotated(names[each['category_id']], (x, y, x + w, y + h), mask, crowd))
        yield from filter(None, images.values())


FORMATS = {reader.name: reader for reader in (Voc, Yolo, LabelMe, Csv, Coco)}


def reader_of(folder: Path, images: Images, form: str | None, classes: list[str] | None) -> Reader:
    """The reader for a folder, chosen by what lies there.

    Raises:
        BadSource: nothing is recognised, or several formats are and none was chosen.
    """
    kinds = [FORMATS[form]] if form else FORMATS.values()
    found = [reader for reader in (kind(folder, images, classes) for kind in kinds) if reader.files]
    if len(found) == 1:
        return found[0]
    if not found:
        raise BadSource(
            f'{folder} has no annotations of {form or "a known format"}: looked for Pascal VOC (.xml), YOLO (.txt with '
            '`class cx cy w h`), LabelMe (.json with shapes), COCO (.json with images, annotations and categories), '
            'CSV (a head with filename, class, xmin, ymin, xmax, ymax)'
        )
    counts = ', '.join(f'{len(reader.files)} files of {reader.name}' for reader in found)
    raise BadSource(f'{folder} has annotations of several formats: {counts}; choose one with --format')


def names_in(folder: Path) -> list[str] | None:
    """Names of YOLO's classes, in their order."""
    for path in sorted([*folder.glob('*.yaml'), *folder.glob('*.yml')]):
        try:
            content = yaml.safe_load(path.read_text(encoding='utf-8'))
        except yaml.YAMLError:
            continue
        names = content.get('names') if isinstance(content, dict) else None
        if isinstance(names, dict):
            names = [names[key] for key in sorted(names)]
        if names:
            return [str(name) for name in names]
    for name in NAME_FILES:
        if (folder / name).is_file():
            return [line.strip() for line in (folder / name).read_text(encoding='utf-8').splitlines() if line.strip()]
    return None


def peek(path: Path):
    """The content of a JSON file; None where there is none."""
    try:
        return json.loads(path.read_text(encoding='utf-8-sig'))
    except (ValueError, OSError):
        return None


def is_yolo(words: list[str]) -> bool:
    """Whether a line is a class and a box or polygon."""
    count = len(words) - 1
    if not (count == 4 or (count >= 6 and count % 2 == 0)) or not all(map(is_float, words)):
        return False
    return float(words[0]).is_integer() and float(words[0]) >= 0 and max(map(float, words[1:])) <= 2


def is_float(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def polygon(name: str, numbers: list[float]) -> Annotated:
    """An object from x, y, x, y ..."""
    return Annotated(name, around(list(zip(numbers[0::2], numbers[1::2]))), [list(numbers)])


def around(points: list) -> tuple[float, float, float, float]:
    """The box around points."""
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    return min(xs), min(ys), max(xs), max(ys)
