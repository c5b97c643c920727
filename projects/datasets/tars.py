"""Image-text pairs in tar files, as WebDataset and img2dataset write them: `000123.jpg` and `000123.txt` in one tar.

Files are found once, by their headers, and read where they stand, so items come in any order: samplers, seeds and
resumes work as with any other data set. Compressed tars are refused, for they
cannot be read in the middle.
"""

import glob
import json
import os
import tarfile
from pathlib import Path

from mmengine.dataset import BaseDataset

from ..registry import DATASETS, TRANSFORMS
from .annotations import BadAnnotations
from .bad_images import NamedImages
from .loading import LoadCheckedImage
from .unlabelled import SUFFIXES

TEXTS = ('.txt', '.json')


@DATASETS.register_module()
class TarPairs(NamedImages, BaseDataset):
    """Pairs of all tars that ``data_prefix['img']`` names: a file, a folder, or a pattern (``cc3m/{00000..00331}.tar``,
    ``cc3m/*.tar``). Load images with `LoadTarImage`.

    Args:
        text_key: the entry of a `.json` that holds the text, where there is no `.txt`.
        on_empty: 'skip' pairs whose text has no letter or digit, or 'refuse' them. Texts are read when an item is asked
            for; what is skipped then is followed by another item, as a bad image is (`on_bad_image='skip'`).

    Raises:
        FileNotFoundError: no tar there.
        BadAnnotations: a tar that is compressed or damaged; an image without a text.
    """

    def __init__(self, *args, text_key: str = 'caption', **kwargs):
        self.text_key = text_key
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        pattern = self.data_prefix.get('img') or self.data_root
        paths = tars_of(pattern)
        if not paths:
            raise FileNotFoundError(f'no .tar at {pattern}; give a file, a folder or a pattern as data_prefix')
        return [pair for path in paths for pair in pairs_of(path)]

    def get_data_info(self, index: int) -> dict:
        info = super().get_data_info(index)
        with open(info['tar'], 'rb') as file:
            raw = read_at(file, *info['text_at'])
            info['img_bytes'] = read_at(file, *info['image_at'])
        text = self._text(raw, info)
        if not any(letter.isalnum() for letter in text):
            raise BadAnnotations(f'{info["img_path"]}: its text is empty ({text!r})')
        return dict(info, texts=[text], text_ids=[info['img_id']])

    def _text(self, raw: bytes, info: dict) -> str:
        try:
            text = raw.decode()
            if info['text_name'].endswith('.json'):
                text = json.loads(text)[self.text_key]
        except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise BadAnnotations(
                f'{info["tar"]}, {info["text_name"]} holds no text under {self.text_key!r}: {type(error).__name__} '
                f'{error}'
            ) from error
        return text.strip() if isinstance(text, str) else ''


def tars_of(pattern: str) -> list[str]:
    """Paths of tars: of a folder, of ``*`` and ``?``, of ranges ``{000..012}``."""
    if os.path.isdir(pattern):
        return sorted(glob.glob(os.path.join(glob.escape(pattern), '*.tar')))
    before, brace, rest = pattern.partition('{')
    span, _, after = rest.partition('}')
    first, dots, last = span.partition('..')
    if brace and dots and first.isdigit() and last.isdigit():
        numbers = [f'{number:0{len(first)}d}' for number in range(int(first), int(last) + 1)]
        paths = [path for number in numbers for path in tars_of(f'{before}{number}{after}')]
        absent = [number for number in numbers if not tars_of(f'{before}{number}{after}')]
        if absent and paths:
            raise FileNotFoundError(
                f'{pattern}: no {before}{absent[0]}{after} ({len(absent)} of {len(numbers)} absent)'
            )
        return paths
    return [pattern] if os.path.isfile(pattern) else sorted(glob.glob(pattern))


def pairs_of(path: str) -> list[dict]:
    """Where images and texts of a tar stand; only headers are read."""
    images, texts, order = {}, {}, {}
    try:
        with tarfile.open(path, 'r:') as tar:
            for member in tar:
                base, suffix = split_name(member.name)
                if not member.isfile() or suffix not in (*SUFFIXES, *TEXTS):
                    continue
                place = (member.offset_data, member.size)
                if suffix in TEXTS and suffix != '.txt' and base in texts:
                    continue  # the .txt is the text
                found = images if suffix in SUFFIXES else texts
                if base in found and (suffix in SUFFIXES or found[base][0].endswith('.txt')):
                    raise BadAnnotations(f'{path} holds {member.name} twice; names are unique within a tar')
                found[base] = (member.name, place)
                order.setdefault(base, len(order))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadAnnotations(
            f'{path} is no plain tar, or damaged: {error}; a compressed one must be unpacked'
        ) from error
    lonely = sorted(set(images) - set(texts), key=order.get)
    if lonely:
        raise BadAnnotations(f'{path}: {images[lonely[0]][0]} has no text beside it ({len(lonely)} such images)')
    return [
        dict(
            tar=path,
            img_path=f'{path}/{images[base][0]}',
            img_id=f'{Path(path).name}/{base}',
            image_at=images[base][1],
            text_name=texts[base][0],
            text_at=texts[base][1],
        )
        for base in images
    ]


def split_name(name: str) -> tuple[str, str]:
    """WebDataset's: what stands before the first dot of the file's name, and what from the last one on."""
    folder, _, file = name.rpartition('/')
    base, _, rest = file.partition('.')
    return f'{folder}/{base}' if folder else base, f'.{rest.rpartition(".")[2].lower()}' if rest else ''


def read_at(file, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


@TRANSFORMS.register_module()
class LoadTarImage(LoadCheckedImage):
    """`LoadCheckedImage` of the bytes that a data set of tars brings."""

    def transform(self, results: dict) -> dict | None:
        self._content = results.pop('img_bytes')
        return super().transform(results)

    def _bytes(self, path: str) -> bytes:
        return self._content
