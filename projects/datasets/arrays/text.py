"""Texts as bytes: ids 0 to 5 are PAD BOS EOS MASK CLS SEP, a byte is its value + 6 (Perceiver IO, appendix F.2); and
the gaps that are put into them."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.dataset import BaseDataset

from ...registry import DATASETS, TRANSFORMS
from ...structures import TextSample

PAD, BOS, EOS, MASK, CLS, SEP = SPECIAL = range(6)
OFFSET = len(SPECIAL)
GAP = '[MASK]'  # in a text to predict, stands for one byte


def encode(text: str | bytes) -> list[int]:
    """Ids of the bytes (of UTF-8), no special ones around; ``[MASK]`` becomes one id of a gap."""
    data = text.encode() if isinstance(text, str) else text
    ids: list[int] = []
    for number, part in enumerate(data.split(GAP.encode())):
        ids += [MASK] * (number > 0) + [byte + OFFSET for byte in part]
    return ids


def decode(ids: Iterable[int]) -> str:
    """The text of ids, without the special ones; what is no UTF-8 becomes a question mark in a diamond."""
    return bytes(each - OFFSET for each in ids if each >= OFFSET).decode(errors='replace')


@DATASETS.register_module()
class TextFiles(BaseDataset):
    """Texts (``.txt``) of a folder, or one file, in pieces of ``max_length`` bytes that do not overlap.

    Takes the arguments of mmengine's ``BaseDataset``; the file or folder is ``data_prefix['text']`` in ``data_root``.

    Args:
        max_length: bytes of a piece.

    Raises:
        FileNotFoundError: no text there.
        ValueError: texts without a byte.
    """

    suffixes = ('.txt',)

    def __init__(self, *args, max_length: int = 2048, **kwargs):
        self.max_length = max_length
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        place = Path(self.data_prefix.get('text') or self.data_root)
        paths = sorted(place.rglob('*.txt')) if place.is_dir() else [place]
        if not paths or not paths[0].is_file():
            raise FileNotFoundError(f'no text (.txt) at {place}; give data_root')
        pieces = [
            dict(img_path=str(path), img_id=f'{path.name}:{start}', start=start)
            for path in paths
            for start in range(0, os.path.getsize(path), self.max_length)
        ]
        if not pieces:
            raise ValueError(f'the texts at {place} are empty')
        return pieces


@TRANSFORMS.register_module()
class LoadText(BaseTransform):
    """The bytes of a file from ``start`` on, as ``ids``.

    Args:
        max_length: most ids; what is beyond is left out.
    """

    def __init__(self, max_length: int = 2048):
        self.max_length = max_length

    def transform(self, results: dict) -> dict:
        with open(results['img_path'], 'rb') as file:
            file.seek(results.get('start', 0))
            ids = encode(file.read(self.max_length if 'start' in results else -1))
        if not ids:
            raise ValueError(f'{results["img_path"]} is empty; give a text of at least one byte')
        results['ids'] = np.array(ids[: self.max_length])
        return results


@TRANSFORMS.register_module()
class MaskBytes(BaseTransform):
    """Gaps: a share of the bytes, or of the words, becomes MASK. A text that has gaps already keeps to them.

    Args:
        rate: share that is masked.
        words: whole words (runs of letters between spaces) instead of single bytes.
        seed: the same gaps for the same piece of text, for validation; None: drawn anew.
    """

    def __init__(self, rate: float = 0.15, words: bool = False, seed: int | None = None):
        if not 0 < rate < 1:
            raise ValueError(f'rate={rate} is no share between 0 and 1')
        self.rate, self.words, self.seed = rate, words, seed

    @cache_randomness
    def draw(self, count: int) -> np.ndarray:
        return np.random.rand(count)

    def transform(self, results: dict) -> dict:
        ids = results['ids']
        asked = ids == MASK
        if not asked.any():
            results['gt_ids'] = ids.copy()
            runs = self._runs(ids)
            lot = self.draw(len(runs)) if self.seed is None else self._fixed(results, len(runs))
            chosen = lot < self.rate
            chosen[np.argmin(lot)] = True  # never none
            for (first, last), each in zip(runs, chosen):
                asked[first:last] = each
        results['asked'] = asked
        results['ids'] = np.where(asked, MASK, ids)
        return results

    def _fixed(self, results: dict, count: int) -> np.ndarray:
        return np.random.default_rng([self.seed, results.get('start', 0), len(results['ids'])]).random(count)

    def _runs(self, ids: np.ndarray) -> list[tuple[int, int]]:
        if not self.words:
            return [(place, place + 1) for place in range(len(ids))]
        data = bytes(max(int(each) - OFFSET, 32) for each in ids)
        return [match.span() for match in re.finditer(rb'\S+', data)] or [(0, len(ids))]


@TRANSFORMS.register_module()
class PackText(BaseTransform):
    """``inputs``: ids, T; a `TextSample` with ``asked``, and ``gt_ids`` if they are known."""

    def transform(self, results: dict) -> dict:
        length = len(results['ids'])
        meta = {key: results[key] for key in ('img_id', 'img_path', 'start') if key in results}
        sample = TextSample(metainfo=dict(meta, ori_shape=(1, length), img_shape=(1, length)))
        sample.asked = torch.from_numpy(results['asked'])
        if 'gt_ids' in results:
            sample.gt_ids = torch.from_numpy(results['gt_ids'])
        return dict(inputs=torch.from_numpy(results['ids']), data_samples=sample)
