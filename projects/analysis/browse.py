"""Pictures of what a model is trained on: samples after the pipeline, drawn with their annotations, and statistics."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from PIL import Image
from rich.progress import track
from rich.table import Table

from ..datasets.members import classes_of, members
from ..registry import DATASETS
from ..tasks import Task, task_of, task_of_sample
from ..visualization.pictures import save

COLUMNS, ROWS, TILE = 4, 3, 320  # of the overview


def build_dataset(cfg: Config, split: str) -> BaseDataset:
    """The data set of ``{split}_dataloader``, fully loaded."""
    loader = cfg.get(f'{split}_dataloader')
    if not loader:
        raise ValueError(f'{cfg.filename} has no {split}_dataloader')
    dataset = DATASETS.build(loader['dataset'])
    dataset.full_init()
    return dataset


def task_of_data(cfg: Config, dataset: BaseDataset) -> Task:
    """The task of the config's model; without one, of what the samples hold."""
    if 'model' in cfg:
        return task_of(cfg)
    if not len(dataset):
        raise ValueError('the data set holds no image; see the filter_cfg and indices of its config')
    return task_of_sample(dataset[0]['data_samples'])


def draw_samples(dataset: BaseDataset, out: str | os.PathLike, num: int, task: Task) -> list[Path]:
    """Write ``num`` samples, evenly spread over the set, to ``out``: the image as the model sees it, beside it the
    same with its annotations. The first dozen stand together in ``overview.jpg``.

    Returns:
        The files written.
    """
    if not len(dataset):
        raise ValueError('the data set holds no image; see the filter_cfg and indices of its config')
    out = Path(out)
    classes = classes_of(dataset)
    paths, tiles = [], []
    indices = np.unique(np.linspace(0, len(dataset) - 1, num).round().astype(int)).tolist()
    for index in track(indices, description=f'drawing into {out}'):
        sample = dataset[index]
        image = task.image(sample['inputs'])
        plain = task.plain(image)
        drawn = [view for _, view in task.views(image, sample['data_samples'], 'gt', classes, 0.0)]
        name = f'{index:06d}_{Path(sample["data_samples"].img_path).stem}'
        paths.append(out / f'{name}.jpg')
        save(beside([plain, *drawn]), str(paths[-1]))
        tiles.append((drawn or [plain])[0])
    save(overview(tiles[: COLUMNS * ROWS]), str(out / 'overview.jpg'))
    return paths + [out / 'overview.jpg']


def beside(views: list[Image.Image]) -> Image.Image:
    """Pictures in a row."""
    made = Image.new('RGB', (sum(view.width for view in views), max(view.height for view in views)), 'white')
    for index, view in enumerate(views):
        made.paste(view, (sum(each.width for each in views[:index]), 0))
    return made


def overview(tiles: list[Image.Image]) -> Image.Image:
    """The pictures in a grid, each fitted into a square on white."""
    columns = min(COLUMNS, len(tiles))
    made = Image.new('RGB', (columns * TILE, -(-len(tiles) // columns) * TILE), 'white')
    for index, tile in enumerate(tiles):
        cell = tile.copy()
        cell.thumbnail((TILE - 8, TILE - 8))
        row, column = divmod(index, columns)
        made.paste(cell, (column * TILE + (TILE - cell.width) // 2, row * TILE + (TILE - cell.height) // 2))
    return made


def summary(dataset: BaseDataset, task: Task) -> list[Table]:
    """Annotations of each class, and their sizes, before the pipeline; crowds are not counted."""
    classes, sides = classes_of(dataset) or (), []
    objects, images, per_image = Counter(), Counter(), []
    load = loading(dataset)
    for index in range(len(dataset)):
        found = task.annotations(dataset.get_data_info(index), load)
        labels = [label for label, _ in found]
        objects.update(labels)
        images.update(set(labels))
        per_image.append(len(labels))
        sides += [side for _, side in found if side is not None]

    title = (
        f'{len(dataset)} images, {sum(per_image)} {task.annotation}, {per_image.count(0)} images without any, '
        f'at most {max(per_image, default=0)} in one'
    )
    by_class = Table('label', 'class', task.annotation, 'images', '', title=title, title_justify='left')
    for label, name in enumerate(classes):
        by_class.add_row(str(label), name, str(objects[label]), str(images[label]), _bar(objects[label], objects))
    octaves = Counter(int(np.floor(np.log2(max(side, 1)))) for side in sides)
    by_size = Table('side', task.annotation, '', title=task.side, title_justify='left')
    for octave in range(min(octaves, default=0), max(octaves, default=-1) + 1):
        by_size.add_row(f'{2**octave} to {2 ** (octave + 1)}', str(octaves[octave]), _bar(octaves[octave], octaves))
    return [by_class, by_size] if sides else [by_class]


def loading(dataset: BaseDataset) -> Callable[[dict], dict]:
    """The steps of a data set's pipeline that load, as one."""
    steps = [step for step in next(members(dataset)).pipeline.transforms if type(step).__name__.startswith('Load')]

    def load(info: dict) -> dict:
        for step in steps:
            info = step(info)
        return info

    return load


def _bar(count: int, counts: Counter, width: int = 30) -> str:
    return '#' * round(width * count / max(max(counts.values(), default=1), 1))
