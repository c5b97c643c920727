"""Pictures of what a model is trained on: samples after the pipeline, drawn with their annotations, and statistics."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import mmcv
import numpy as np
from mmdet.structures.bbox import get_box_tensor
from mmdet.visualization import get_palette
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.visualization import Visualizer
from rich.progress import track
from rich.table import Table

from ..registry import DATASETS

LEGIBLE = 480  # smaller pictures are enlarged to this longer side, or class names would hide them
FONT = 12
COLUMNS, ROWS, TILE = 4, 3, 320  # of the overview


def build_dataset(cfg: Config, split: str) -> BaseDataset:
    """The data set of ``{split}_dataloader``, fully loaded."""
    loader = cfg.get(f'{split}_dataloader')
    if not loader:
        raise ValueError(f'{cfg.filename} has no {split}_dataloader')
    dataset = DATASETS.build(loader['dataset'])
    dataset.full_init()
    return dataset


def draw_samples(dataset: BaseDataset, out: str | os.PathLike, num: int) -> list[Path]:
    """Write ``num`` samples, evenly spread over the set, to ``out``: the picture as the model sees it, beside it the
    same with boxes, masks and names. The first dozen stand together in ``overview.jpg``.

    Returns:
        The files written.
    """
    if not len(dataset):
        raise ValueError('the data set holds no image; see the filter_cfg and indices of its config')
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    painter = Visualizer()
    painter.dataset_meta = dataset.metainfo

    paths, tiles = [], []
    indices = np.unique(np.linspace(0, len(dataset) - 1, num).round().astype(int)).tolist()
    for index in track(indices, description=f'drawing into {out}'):
        sample = dataset[index]
        name = f'{index:06d}_{Path(sample["data_samples"].img_path).stem}'
        plain, drawn = draw(painter, sample)
        paths.append(out / f'{name}.jpg')
        mmcv.imwrite(np.concatenate([plain, drawn], 1), str(paths[-1]))
        tiles.append(drawn)
    mmcv.imwrite(overview(tiles[: COLUMNS * ROWS]), str(out / 'overview.jpg'))
    return paths + [out / 'overview.jpg']


def draw(painter: Visualizer, sample: dict) -> tuple[np.ndarray, np.ndarray]:
    """The sample's picture without and with its annotations, BGR, enlarged where it is small."""
    image = np.ascontiguousarray(sample['inputs'].permute(1, 2, 0).numpy())
    factor = max(1.0, LEGIBLE / max(image.shape[:2]))
    height, width = (round(side * factor) for side in image.shape[:2])
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)

    truth = sample['data_samples'].gt_instances
    classes = painter.dataset_meta['classes']
    colours = get_palette(painter.dataset_meta.get('palette'), len(classes))
    colours = [tuple(colours[label]) for label in truth.labels.tolist()]
    boxes = get_box_tensor(truth.bboxes) * factor
    boxes[:, 0::2].clamp_(0, width - 1)  # mmengine warns about lines on the very edge
    boxes[:, 1::2].clamp_(0, height - 1)
    painter.set_image(image[..., ::-1])
    if len(boxes):
        if 'masks' in truth:
            masks = truth.masks.resize((height, width)).to_ndarray().astype(bool)
            painter.draw_binary_masks(masks, colors=colours, alphas=0.5)
        painter.draw_bboxes(boxes, edge_colors=colours, line_widths=2)
        painter.draw_texts(
            [classes[label] for label in truth.labels.tolist()],
            boxes[:, :2] + 3,
            font_sizes=FONT,
            colors='white',
            bboxes=[dict(facecolor=[value / 255 for value in colour], pad=1.5, edgecolor='none') for colour in colours],
        )
    return image, painter.get_image()[..., ::-1]


def overview(tiles: list[np.ndarray]) -> np.ndarray:
    """The pictures in a grid, each fitted into a square on white."""
    cells = []
    for tile in tiles:
        cell = np.full((TILE, TILE, 3), 255, np.uint8)
        tile = mmcv.imrescale(tile, (TILE - 8, TILE - 8))
        top, left = (TILE - tile.shape[0]) // 2, (TILE - tile.shape[1]) // 2
        cell[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        cells.append(cell)
    columns = min(COLUMNS, len(cells))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    return np.concatenate([np.concatenate(cells[i : i + columns], 1) for i in range(0, len(cells), columns)])


def summary(dataset: BaseDataset) -> list[Table]:
    """Objects per class and boxes per size, before the pipeline; crowds are not counted."""
    classes, side_of = dataset.metainfo['classes'], []
    objects, images, per_image = Counter(), Counter(), []
    for labels, sides in _annotations(dataset):
        objects.update(labels)
        images.update(set(labels))
        per_image.append(len(labels))
        side_of += sides

    title = (
        f'{len(dataset)} images, {sum(per_image)} objects, {per_image.count(0)} images without any, '
        f'at most {max(per_image, default=0)} in one'
    )
    by_class = Table('label', 'class', 'objects', 'images', '', title=title, title_justify='left')
    for label, name in enumerate(classes):
        by_class.add_row(str(label), name, str(objects[label]), str(images[label]), _bar(objects[label], objects))
    octaves = Counter(int(np.floor(np.log2(max(side, 1)))) for side in side_of)
    by_size = Table(
        'side of the box', 'boxes', '', title='sqrt(width x height) in pixels of the files', title_justify='left'
    )
    for octave in range(min(octaves, default=0), max(octaves, default=-1) + 1):
        by_size.add_row(f'{2**octave} to {2 ** (octave + 1)}', str(octaves[octave]), _bar(octaves[octave], octaves))
    return [by_class, by_size]


def _annotations(dataset: BaseDataset) -> Iterator[tuple[list[int], list[float]]]:
    for index in range(len(dataset)):
        instances = [item for item in dataset.get_data_info(index)['instances'] if not item['ignore_flag']]
        boxes = [item['bbox'] for item in instances]
        yield (
            [item['bbox_label'] for item in instances],
            [float(np.sqrt((x2 - x1) * (y2 - y1))) for x1, y1, x2, y2 in boxes],
        )


def _bar(count: int, counts: Counter, width: int = 30) -> str:
    return '#' * round(width * count / max(max(counts.values(), default=1), 1))
