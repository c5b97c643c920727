"""Images with texts: COCO captions, Karpathy's splits of COCO and Flickr, folders. Every item is looked at before the
first step: an empty text, a missing image, an id that comes twice are refused with file and item."""

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset

from ..registry import DATASETS
from .annotations import BadAnnotations
from .bad_images import NamedImages
from .paths import check_inside
from .unlabelled import SUFFIXES

PER = ('image', 'text')
ON_EMPTY = ('refuse', 'skip')


class ImageTexts(NamedImages, BaseDataset):
    """Base of data sets of images with texts; takes the arguments of mmengine's ``BaseDataset``. An item has
    ``img_path, img_id``, ``texts`` and ``text_ids``.

    Args:
        per: 'image', an item is an image with all its texts (evaluation; a random one of them in training), or 'text',
            an image with one of its texts.
        on_empty: 'refuse' texts without a letter or digit, or 'skip' them, and images without any text.
        check_images: see that the files are there.
        on_bad_image, max_bad_images: see :class:`NamedImages`.

    Raises:
        BadAnnotations: an item is not what it should be; the message has file and item.
        FileNotFoundError: images, or the annotation file, are not there.
    """

    def __init__(self, *args, per: str = 'image', on_empty: str = 'refuse', check_images: bool = True, **kwargs):
        for name, value, choices in (('per', per, PER), ('on_empty', on_empty, ON_EMPTY)):
            if value not in choices:
                raise ValueError(f'{name}={value!r} is unknown; choose from {", ".join(map(repr, choices))}')
        self.per, self.on_empty, self.check_images = per, on_empty, check_images
        super().__init__(*args, **kwargs)

    def pairs(self) -> Iterator[tuple[str, object, str, str, list[tuple[object, str]]]]:
        """Where it stands (for messages), id, name and path of an image, and its texts with their ids."""
        raise NotImplementedError

    def load_data_list(self) -> list[dict]:
        items, seen, missing = [], {}, []
        for where, number, name, path, texts in self.pairs():
            if number in seen:
                raise BadAnnotations(f'{where}: the image id {number!r} was at {seen[number]} already; ids are unique')
            seen[number] = where
            texts = self._kept(where, name, texts)
            if not texts:
                continue
            if self.check_images and not os.path.isfile(path):
                missing.append(path)
            items.append(
                dict(img_path=path, img_id=number, texts=[text for _, text in texts], text_ids=[i for i, _ in texts])
            )
        if missing:
            more = f' and {len(missing) - 1} more' if len(missing) > 1 else ''
            raise FileNotFoundError(
                f'{self.source()} names images that are not there: {missing[0]}{more} of {len(items)}; give their '
                'folder as data_prefix=dict(img=...)'
            )
        if not items:
            raise BadAnnotations(f'{self.source()} holds no image with a text')
        if self.per == 'image':
            return items
        return [
            dict(item, texts=[text], text_ids=[number])
            for item in items
            for text, number in zip(item['texts'], item['text_ids'])
        ]

    def source(self) -> str:
        """The file, or the folder, that the items stand in."""
        return str(self.ann_file or self.data_prefix.get('img') or self.data_root)

    def _kept(self, where: str, name: str, texts: list[tuple[object, str]]) -> list[tuple[object, str]]:
        kept = []
        for number, text in texts:
            if not isinstance(text, str):
                raise BadAnnotations(f'{where}: text {number!r} of {name} is {text!r}, not a string')
            if any(letter.isalnum() for letter in text):
                kept.append((number, text))
            elif self.on_empty == 'refuse':
                raise BadAnnotations(
                    f"{where}: text {number!r} of {name} is empty ({text!r}); write one, or on_empty='skip'"
                )
        if not kept and self.on_empty == 'refuse':
            raise BadAnnotations(f"{where}: {name} has no text; write one, or on_empty='skip'")
        return kept

    def _image(self, where: str, name: object) -> str:
        """Path of an image that a file names."""
        if not isinstance(name, str) or not name:
            raise BadAnnotations(f'{where}: the name of the image is {name!r}; it should be a path')
        check_inside(name, where)
        return os.path.join(self.data_prefix.get('img') or self.data_root or '', name)

    def _json(self):
        try:
            return json.loads(Path(self.ann_file).read_text(encoding='utf-8-sig'))
        except FileNotFoundError:
            raise FileNotFoundError(f'there is no annotation file {self.ann_file}') from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise BadAnnotations(f'{self.ann_file} is no JSON: {error}') from error


@DATASETS.register_module()
class CocoCaptions(ImageTexts):
    """COCO's caption files: ``images`` with ``id, file_name`` and ``annotations`` with ``id, image_id, caption``."""

    def pairs(self):
        content = self._json()
        for key, words in (('images', ('id', 'file_name')), ('annotations', ('id', 'image_id', 'caption'))):
            entries = content.get(key) if isinstance(content, dict) else None
            if not isinstance(entries, list):
                raise BadAnnotations(
                    f'{self.ann_file}: no list {key!r}; a caption file of COCO has images, annotations'
                )
            for index, entry in enumerate(entries):
                lacking = [word for word in words if not isinstance(entry, dict) or word not in entry]
                if lacking:
                    raise BadAnnotations(f'{self.ann_file}: {key}[{index}] has no {lacking[0]!r}')
        texts: dict[object, list] = {image['id']: [] for image in content['images']}
        twice = Counter(one['id'] for one in content['annotations'])
        for index, one in enumerate(content['annotations']):
            where = f'{self.ann_file}: annotations[{index}]'
            if one['image_id'] not in texts:
                raise BadAnnotations(f'{where} is of image {one["image_id"]!r}, which is not in images')
            if twice[one['id']] > 1:
                raise BadAnnotations(f'{where} has the id {one["id"]!r}, as {twice[one["id"]] - 1} other has')
            texts[one['image_id']].append((one['id'], one['caption']))
        for index, image in enumerate(content['images']):
            where = f'{self.ann_file}: images[{index}]'
            path = self._image(where, image['file_name'])
            yield where, image['id'], image['file_name'], path, texts[image['id']]


@DATASETS.register_module()
class CaptionPairs(CocoCaptions):
    """Two captions in one text, ``first [SEP] second``: the first is of the image, the second another one of it
    (``gt_label`` 1) or, every second time, one of another image (0). VisualBERT's pre-training.

    With ``test_mode`` an item is always the same.

    Args:
        between: what stands between them.

    Raises:
        BadAnnotations: an image has a single caption, or there is a single image.
    """

    def __init__(self, *args, between: str = ' [SEP] ', **kwargs):
        self.between = between
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        items = super().load_data_list()
        for item in items:
            if len(item['texts']) < 2 or len(items) < 2:
                raise BadAnnotations(
                    f'{self.ann_file}: image {item["img_id"]!r} has {len(item["texts"])} captions, the file '
                    f'{len(items)} images; two of each are needed to tell a caption of an image from one of another'
                )
        return items

    def get_data_info(self, idx: int) -> dict:
        item, draw = super().get_data_info(idx), np.random.RandomState(idx) if self.test_mode else np.random
        first, second = (item['texts'][number] for number in draw.permutation(len(item['texts']))[:2])
        matches = int(draw.randint(2))
        if not matches:
            other = super().get_data_info((idx + draw.randint(1, len(self))) % len(self))
            second = other['texts'][draw.randint(len(other['texts']))]
        return dict(item, texts=[f'{first}{self.between}{second}'], gt_label=matches)


@DATASETS.register_module()
class KarpathyCaptions(ImageTexts):
    """Karpathy's ``dataset_coco.json`` and ``dataset_flickr30k.json``: one file with all splits.

    Args:
        split: 'train', 'restval', 'val' or 'test', or several; the usual training set of COCO is train and restval.

    Raises:
        BadAnnotations: the file has no such split.
    """

    def __init__(self, *args, split: str | Sequence[str] = 'test', **kwargs):
        self.splits = (split,) if isinstance(split, str) else tuple(split)
        super().__init__(*args, **kwargs)

    def pairs(self):
        content = self._json()
        images = content.get('images') if isinstance(content, dict) else None
        if not isinstance(images, list):
            raise BadAnnotations(f"{self.ann_file}: no list 'images'; Karpathy's files have one")
        found = {image.get('split') for image in images}
        strange = [split for split in self.splits if split not in found]
        if strange:
            raise BadAnnotations(
                f'{self.ann_file} has no split {strange[0]!r}; there are {", ".join(sorted(map(str, found)))}'
            )
        for index, image in enumerate(images):
            if image['split'] not in self.splits:
                continue
            where = f'{self.ann_file}: images[{index}]'
            name = os.path.join(image.get('filepath') or '', image.get('filename') or '')
            texts = [(sentence.get('sentid'), sentence.get('raw')) for sentence in image.get('sentences', ())]
            yield where, image.get('cocoid', image.get('imgid')), name, self._image(where, name), texts


@DATASETS.register_module()
class ImageTextFolder(ImageTexts):
    """Images of a folder with texts, each beside its image or all in one file.

    Without ``ann_file``, ``dog.txt`` beside ``dog.jpg`` in ``data_prefix['img']`` holds its texts, one a line. Else it
    is a ``.jsonl`` with ``image`` and ``text`` or ``texts`` in each line, or a ``.csv`` or ``.tsv`` with columns of the
    names ``image`` and ``text``. Lines of one image belong together.
    """

    def pairs(self):
        if not self.ann_file:
            yield from self._beside()
            return
        names: dict[str, list] = {}
        places: dict[str, str] = {}
        for where, name, texts in self._lines():
            path = self._image(where, name)
            places.setdefault(path, where)
            known = names.setdefault(path, [])
            known += [(f'{name}#{len(known) + index}', text) for index, text in enumerate(texts)]
        for path, texts in names.items():
            name = os.path.relpath(path, self.data_prefix.get('img') or self.data_root or '.')
            yield places[path], name, name, path, texts

    def _beside(self):
        root = Path(self.data_prefix.get('img') or self.data_root or '.')
        if not root.is_dir():
            raise FileNotFoundError(f'{root} is no folder; give the one with the images as data_root')
        paths = sorted(path for path in root.rglob('*') if path.name.lower().endswith(SUFFIXES))
        if not paths:
            raise FileNotFoundError(f'no image ({", ".join(SUFFIXES)}) in {root} or below')
        for path in paths:
            name, beside = str(path.relative_to(root)), path.with_suffix('.txt')
            lines = beside.read_text(encoding='utf-8').splitlines() if beside.is_file() else []
            texts = [(f'{name}#{index}', line.strip()) for index, line in enumerate(lines) if line.strip()]
            yield str(beside), name, name, str(path), texts

    def _lines(self) -> Iterator[tuple[str, object, list]]:
        path = Path(self.ann_file)
        if not path.is_file():
            raise FileNotFoundError(f'there is no annotation file {path}')
        if path.suffix == '.jsonl':
            for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), start=1):
                if not line.strip():
                    continue
                try:
                    entry = json.loads(line)
                    texts = entry['texts'] if 'texts' in entry else [entry['text']]
                    yield f'{path}:{number}', entry['image'], texts
                except (json.JSONDecodeError, KeyError, TypeError) as error:
                    raise BadAnnotations(
                        f'{path}:{number} is not {{"image": ..., "text": ...}}: {type(error).__name__} {error}'
                    ) from error
        elif path.suffix in ('.csv', '.tsv'):
            with path.open(newline='', encoding='utf-8-sig') as file:
                reader = csv.DictReader(file, delimiter='\t' if path.suffix == '.tsv' else ',')
                if not {'image', 'text'} <= set(reader.fieldnames or ()):
                    raise BadAnnotations(f'{path}:1 names the columns {reader.fieldnames}; image and text are needed')
                for number, row in enumerate(reader, start=2):
                    yield f'{path}:{number}', row['image'], [row['text']]
        else:
            raise BadAnnotations(f'{path} is no .jsonl, .csv or .tsv file')


@DATASETS.register_module()
class LargestObject(NamedImages, BaseDataset):
    """Images of a COCO file of objects, each with the class of its largest object as ``gt_label``; images without one
    are left out. For the classification of images that show one thing.

    ``metainfo=dict(classes=...)`` orders the classes by name; default: the categories of the file.
    """

    def load_data_list(self) -> list[dict]:
        from .annotations import read_coco

        content = read_coco(self.ann_file)
        names = {category['id']: category['name'] for category in content['categories']}
        classes = self._metainfo.get('classes')
        if classes is None:
            classes = self._metainfo['classes'] = tuple(names.values())
        largest: dict[object, dict] = {}
        for one in content['annotations']:
            area = one.get('area', one['bbox'][2] * one['bbox'][3])
            if area > largest.get(one['image_id'], dict(area=-1))['area']:
                largest[one['image_id']] = dict(area=area, name=names[one['category_id']])
        found = {each['name'] for each in largest.values()}
        if not found & set(classes):
            raise BadAnnotations(
                f'{self.ann_file} has {", ".join(sorted(found))}, none of the classes {", ".join(classes)}'
            )
        return [
            dict(
                img_path=os.path.join(self.data_prefix.get('img') or '', image['file_name']),
                img_id=image['id'],
                gt_label=classes.index(largest[image['id']]['name']),
            )
            for image in content['images']
            if image['id'] in largest and largest[image['id']]['name'] in classes
        ]
