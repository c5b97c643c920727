"""Regions of the images of a folder, found by a detector of ours and kept on disk: what VisualBERT reads."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ..datasets.region_files import file_of
from .detector import Detector, Failure
from .search import images_in, stamp

HEAD = 'detector.json'


class RegionDetector(Detector):
    """A detector whose results are the queries that detect best, see `QueryDetector.best_queries`.

    Args:
        most: regions of an image.

    Raises:
        TypeError: the model has no queries to read.
    """

    most = 36

    @torch.no_grad()
    def predict_batch(self, batch: list[dict]) -> list[dict]:
        if not hasattr(self.model, 'best_queries'):
            raise TypeError(
                f'{type(self.model).__name__} has no queries; regions are read of a model of the DETR family'
            )
        data = dict(inputs=[item['inputs'] for item in batch], data_samples=[item['data_samples'] for item in batch])
        data = self.model.data_preprocessor(data, False)
        return self.model.best_queries(data['inputs'], data['data_samples'], self.most)


def write_regions(
    detector: RegionDetector, folder: str, out: str, model: str, batch_size: int = 1
) -> Iterator[tuple[str, str | None]]:
    """Name of each image as its file is there, and why it is not where it could not be read. Files of an earlier call
    stay if neither the image nor the model has changed.

    Args:
        model: tells apart the models and numbers of regions of which files are made.

    Raises:
        ValueError: ``out`` holds regions of another model.
    """
    target = Path(out)
    target.mkdir(parents=True, exist_ok=True)
    head = target / HEAD
    known = json.loads(head.read_text(encoding='utf-8')) if head.is_file() else dict(model=model)
    if known != dict(model=model):
        raise ValueError(f'{out} holds regions of another detector, or another number of them; name another folder')
    head.write_text(json.dumps(dict(model=model)) + '\n', encoding='utf-8')

    names = images_in(folder)
    fresh = [name for name in names if not up_to_date(file_of(out, name), Path(folder, name))]
    for name in set(names) - set(fresh):
        yield name, None
    results = detector([str(Path(folder, name)) for name in fresh], batch_size)
    for name, result in zip(fresh, results):
        if isinstance(result, Failure):
            yield name, result.reason
            continue
        write(file_of(out, name), {key: each.float().cpu().numpy() for key, each in result.items()}, Path(folder, name))
        yield name, None


def up_to_date(path: Path, image: Path) -> bool:
    """Whether a file was made of the image as it is now."""
    if not path.is_file():
        return False
    with np.load(path, allow_pickle=False) as content:
        return 'image' in content and str(content['image']) == stamp(image)


def write(path: Path, arrays: dict[str, np.ndarray], image: Path) -> None:
    """A file that is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix('.partial')
    with partial.open('wb') as file:
        np.savez(file, image=stamp(image), **arrays)
    os.replace(partial, path)
