"""Sounds with texts or classes, read from WAV files."""

import csv
import os
import re
import struct
from collections.abc import Mapping, Sequence
from math import gcd
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from scipy.io import wavfile
from scipy.signal import resample_poly

from ..registry import DATASETS, TRANSFORMS
from .annotations import BadAnnotations
from .bad_images import NamedImages
from .paths import check_inside
from .questions import read_json


@DATASETS.register_module()
class SoundTexts(NamedImages, BaseDataset):
    """Sounds with their texts: ``ann_file`` is a JSON list of ``audio`` (a WAV file in ``data_prefix['audio']``) and
    ``text`` or ``texts``. An item has ``audio_path``, ``img_id``, the name of the file, and ``texts``.

    Raises:
        BadAnnotations: an entry lacks one of them, a text is empty, or a file comes twice.
    """

    def load_data_list(self) -> list[dict]:
        entries, items, seen = read_json(self.ann_file), [], set()
        if not isinstance(entries, list) or not entries:
            raise BadAnnotations(f'{self.ann_file} holds no list of sounds')
        for index, one in enumerate(entries):
            where = f'{self.ann_file}: [{index}]'
            if not isinstance(one, dict) or not isinstance(one.get('audio'), str):
                raise BadAnnotations(f"{where} has no 'audio', the name of a WAV file")
            texts = one.get('texts', [one.get('text')])
            if not texts or not all(isinstance(text, str) and any(map(str.isalnum, text)) for text in texts):
                raise BadAnnotations(f'{where}: the texts of {one["audio"]} are {texts!r}; each should have a word')
            if one['audio'] in seen:
                raise BadAnnotations(f'{where}: {one["audio"]} came before; a sound has one entry')
            seen.add(one['audio'])
            check_inside(one['audio'], where)
            path = os.path.join(self.data_prefix.get('audio') or self.data_root or '', one['audio'])
            items.append(dict(audio_path=path, img_id=one['audio'], texts=list(texts)))
        return items


@DATASETS.register_module()
class LabelledSounds(NamedImages, BaseDataset):
    """Sounds with a class each: ``ann_file`` is a table (CSV), the WAV files are in ``data_prefix['audio']``. An item
    has ``audio_path``, ``img_id``, the name of the file, and ``gt_label``.

    Classes are those of the whole table in the order of their names, underscores read as spaces, or
    ``metainfo=dict(classes=...)``.

    Args:
        columns: names of the columns; None: the first line has them.
        file: name of the file, with columns in braces.
        label: the column of the class.
        where: column -> values; rows with others are left out, as in ``dict(fold=['1', '2'])``.
        skip_missing: sounds that are not there are left out (of collections from video sites some always are).

    Raises:
        BadAnnotations: the table lacks a column, or no row is left; a class that is none of the given ones.
        FileNotFoundError: sounds are not there.
    """

    def __init__(
        self,
        *args,
        columns: Sequence[str] | None = None,
        file: str = '{filename}',
        label: str = 'category',
        where: Mapping[str, Sequence[str]] | None = None,
        skip_missing: bool = False,
        **kwargs,
    ):
        self.columns, self.file, self.label = columns, file, label
        self.where, self.skip_missing = dict(where or {}), skip_missing
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        rows = self.rows()
        names = sorted({name for _, name, _ in rows})
        classes = self._metainfo.setdefault('classes', tuple(names))
        strange = [name for name in names if name not in classes]
        if strange:
            raise BadAnnotations(f'{self.ann_file}: {strange[0]!r} is none of the {len(classes)} classes')
        folder = self.data_prefix.get('audio') or self.data_root or ''
        items = [
            dict(audio_path=os.path.join(folder, file), img_id=file, gt_label=classes.index(name))
            for file, name, chosen in rows
            if chosen
        ]
        if not items:
            raise BadAnnotations(f'{self.ann_file} has no row with {self.where}')
        there = [item for item in items if os.path.isfile(item['audio_path'])]
        if len(there) < len(items) and (not self.skip_missing or not there):
            first = next(item['audio_path'] for item in items if item not in there)
            raise FileNotFoundError(
                f'{self.ann_file} names sounds that are not there: {first}, {len(items) - len(there)} of {len(items)}; '
                'give their folder as data_prefix=dict(audio=...), or leave them out with skip_missing=True'
            )
        return there

    def rows(self) -> list[tuple[str, str, bool]]:
        """Name of the file, class, and whether it is in, of each row of the table."""
        try:
            with open(self.ann_file, newline='', encoding='utf-8-sig') as file:
                table = list(csv.DictReader(file, fieldnames=self.columns))
        except FileNotFoundError:
            raise FileNotFoundError(f'there is no annotation file {self.ann_file}') from None
        found = []
        for number, row in enumerate(table, start=1 if self.columns else 2):
            at, columns = f'{self.ann_file}:{number}', ', '.join(map(str, row))
            if any(value is None for value in row.values()):
                raise BadAnnotations(f'{at} has fewer columns than {columns}')
            try:
                chosen = all(row[key] in map(str, values) for key, values in self.where.items())
                name, label = self.file.format(**{str(key): value for key, value in row.items()}), row[self.label]
            except KeyError as error:
                raise BadAnnotations(f'{at} has no column {error}; there are {columns}') from error
            check_inside(name, at)
            found.append((name, label.replace('_', ' '), chosen))
        return found


DIGITS = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')


@DATASETS.register_module()
class SpokenDigits(NamedImages, BaseDataset):
    """The Free Spoken Digit Dataset, files ``DIGIT_SPEAKER_TAKE.wav`` in ``data_root``. An item has ``audio_path``,
    ``digit``, its name in ``texts``; its ``img_id`` is the digit, so retrieval is right when it finds the digit.

    Args:
        takes: numbers of the recordings that are in; each speaker has said each digit so often.

    Raises:
        FileNotFoundError: none of them is there.
    """

    def __init__(self, *args, takes: Sequence[int], **kwargs):
        self.takes = tuple(takes)
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        items = []
        for path in sorted(Path(self.data_root).glob('*.wav')):
            match = re.fullmatch(r'([0-9])_([^_]+)_([0-9]+)', path.stem)
            if match and int(match[3]) in self.takes:
                digit = int(match[1])
                item = dict(audio_path=str(path), img_id=digit, digit=digit, gt_label=digit)
                items.append(dict(item, texts=[DIGITS[digit]]))
        if not items:
            raise FileNotFoundError(
                f'no recording of takes {", ".join(map(str, self.takes))} (DIGIT_SPEAKER_TAKE.wav) in '
                f'{self.data_root}; give the folder of the Free Spoken Digit Dataset as data_root'
            )
        return items


@TRANSFORMS.register_module()
class LoadSound(BaseTransform):
    """``audio``: samples of ``audio_path`` in -1..1, float32, of several channels their mean.

    Args:
        rate: samples a second that the model takes.
        resample: bring sounds of other rates to it; else they are refused.
        most: seconds; longer sounds are cut at the end.

    Raises:
        ValueError: no WAV file, none that scipy reads, or one of another rate; the message names it.
    """

    def __init__(self, rate: int = 16000, resample: bool = False, most: float = 15.0):
        self.rate, self.resample, self.most = rate, resample, most

    def transform(self, results: dict) -> dict:
        path = results['audio_path']
        try:
            rate, samples = wavfile.read(path)
        except FileNotFoundError:
            raise FileNotFoundError(f'there is no sound at {path}') from None
        except (ValueError, EOFError, OSError, struct.error) as error:
            raise ValueError(f'{path} is no WAV file that can be read: {error}') from error
        samples = as_share(samples)
        if rate != self.rate:
            if not self.resample:
                raise ValueError(
                    f'{path} has {rate} samples a second, the model takes {self.rate}; convert it, or write '
                    'LoadSound(resample=True)'
                )
            common = gcd(rate, self.rate)
            samples = resample_poly(samples, self.rate // common, rate // common).astype(np.float32)
        results['audio'] = samples[: int(self.most * self.rate)]
        return results


def as_share(samples: np.ndarray) -> np.ndarray:
    """Samples of any type as float32 in -1..1, several channels as their mean."""
    if samples.dtype.kind == 'u':
        samples = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == 'i':
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    samples = samples.astype(np.float32)
    return samples if samples.ndim == 1 else samples.mean(1)


@TRANSFORMS.register_module()
class DrawDigit(BaseTransform):
    """``img``: the ``digit`` of an item as an image, H W 3, of changing font, size, place and colours.

    Args:
        size: of its sides.
        fixed: the same image for a digit each time, for evaluation.
    """

    def __init__(self, size: int = 64, fixed: bool = False):
        self.size, self.fixed = size, fixed

    def transform(self, results: dict) -> dict:
        draw = np.random.RandomState(results['digit']) if self.fixed else np.random
        back, front = draw.randint(0, 90, 3).tolist(), draw.randint(150, 256, 3).tolist()
        image = np.full((self.size, self.size, 3), back, np.uint8)
        font = int(draw.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
        scale, thick = float(draw.uniform(0.8, 1.2)) * self.size / 32, max(1, self.size // 24)
        (width, height), _ = cv2.getTextSize(str(results['digit']), font, scale, thick)
        left = draw.randint(1, max(2, self.size - width))
        bottom = draw.randint(min(height, self.size - 2), self.size - 1)
        results['img'] = cv2.putText(image, str(results['digit']), (left, bottom), font, scale, front, thick)
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results
