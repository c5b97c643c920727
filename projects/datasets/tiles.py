"""Cuts the images of a COCO data set into square tiles, for models that know small images with few objects."""

import math
import os
from pathlib import Path

import mmcv
import numpy as np
from mmdet.datasets.api_wrappers import COCO
from mmengine.logging import print_log
from rich.progress import track

from .annotations import BadAnnotations, indexed, read_coco
from .files import coco_mask, dump, refuse_inputs, save, whole_folder
from .loading import check_size
from .masks import mask_fault

MANIFEST = 'tiles.json'  # marks a folder that this wrote
MOST = 10_000  # tiles of an image


def cut_tiles(
    ann_file: str | os.PathLike,
    images: str | os.PathLike,
    out: str | os.PathLike,
    across: int = 3,
    overlap: float = 0.5,
    min_share: float = 0.2,
    val_every: int = 5,
    overwrite: bool = False,
) -> None:
    """Write ``out/images/*.png`` and ``out/instances_train.json``, ``out/instances_val.json``.

    Objects are known by their masks; boxes and areas are those of the part in the tile. Of objects cut off at its
    edge, those with too little left are marked as crowds, which neither training nor COCO's evaluation counts.

    Args:
        ann_file: COCO annotations of objects with masks.
        images: folder of the images.
        across: tiles along an image's shorter side, so that tiles of large images are large.
        overlap: of neighbouring tiles of training, in shares of their side, in [0, 1). Those of validation stand side
            by side; the last of a row moves inwards where they would leave the image.
        min_share: of an object's area that a tile has to hold.
        val_every: the first of every so many images, with all its tiles, validates.
        overwrite: replace a folder that this function wrote.

    Raises:
        FileExistsError: ``out`` holds something that is no tiles, or what the tiles are made of.
        ValueError: an argument is out of its range, an annotation is not what it should be, has no mask or one that
            cannot be used, or an image is of another size than its annotations say.
        OSError: an image cannot be read.
    """
    for name, value, right in (
        ('across', across, across >= 1),
        ('overlap', overlap, 0 <= overlap < 1),
        ('min_share', min_share, 0 < min_share <= 1),
        ('val_every', val_every, val_every >= 2),
    ):
        if not right:
            raise ValueError(
                f'{name}={value}: across is at least 1, overlap in [0, 1), min_share in (0, 1], val_every at least 2'
            )
    images, out = Path(images), Path(out).absolute()
    check_target(out, Path(ann_file), images, overwrite)
    coco = indexed(read_coco(str(ann_file), masks=True))
    for image in coco.dataset['images']:
        check_count(image, across, overlap)
    for annotation in coco.dataset['annotations']:
        check_object(annotation, coco.imgs[annotation['image_id']], str(ann_file))
    splits = {name: dict(images=[], annotations=[], categories=coco.dataset['categories']) for name in ('train', 'val')}
    with whole_folder(out) as folder:
        for index, image in enumerate(track(coco.dataset['images'], 'cutting')):
            split = 'train' if index % val_every else 'val'
            cut(
                image,
                coco,
                images,
                folder / 'images',
                splits[split],
                across,
                overlap if split == 'train' else 0.0,
                min_share,
            )
        for name, content in splits.items():
            dump(content, folder / f'instances_{name}.json')
        options = dict(across=across, overlap=overlap, min_share=min_share, val_every=val_every)
        dump(dict(made_by='tools/cut_tiles.py', source=str(Path(ann_file).absolute()), **options), folder / MANIFEST)
    counts = ', '.join(f'{len(content["images"])} {name}' for name, content in splits.items())
    print_log(f'{out}: wrote tiles ({counts})', 'current')


def check_target(out: Path, ann_file: Path, images: Path, overwrite: bool) -> None:
    """Tiles replace tiles only, and never what they are made of."""
    refuse_inputs(out, {'annotations': ann_file, 'images': images}, replaces=True)
    if out.is_file():
        raise FileExistsError(f'{out} is a file; give a folder for the tiles')
    if out.exists() and any(out.iterdir()) and not (overwrite and (out / MANIFEST).is_file()):
        way = f'which has no {MANIFEST}, so these are no tiles; ' if overwrite else ''
        raise FileExistsError(
            f'{out} holds files already, {way}choose another folder, or replace tiles with --overwrite'
        )


def check_count(image: dict, across: int, overlap: float) -> None:
    """Refuse an image of a million tiles before the first is written."""
    sides = image['height'], image['width']
    side = round(min(sides) / across)
    if across > min(sides):
        raise ValueError(f'across={across} is more than the {min(sides)} pixels of {image["file_name"]}')
    number = math.prod(steps(length, side, overlap) for length in sides)
    if number > MOST:
        raise ValueError(
            f'across={across} and overlap={overlap} make {number:,} tiles of {image["file_name"]} '
            f'({sides[1]}x{sides[0]}); {MOST:,} at most, so lower one of them'
        )


def check_object(annotation: dict, image: dict, ann_file: str) -> None:
    """Refuse an object whose part in a tile would mean nothing."""
    if not annotation.get('segmentation'):
        raise BadAnnotations(
            f'{ann_file}: annotation {annotation["id"]} has no segmentation, of which its part in a tile would be '
            'made; tiles are cut of data sets with masks'
        )
    fault = mask_fault(annotation['segmentation'], image['height'], image['width'])
    if fault:
        raise BadAnnotations(
            f'{ann_file}: annotation {annotation["id"]} of {image["file_name"]} has {fault}; correct or remove it'
        )


def cut(
    image: dict, coco: COCO, images: Path, folder: Path, content: dict, across: int, overlap: float, min_share: float
) -> None:
    """Write the tiles of one image, and add them and their objects to the annotation file's content."""
    path = images / image['file_name']
    pixels = mmcv.imread(path, flag='unchanged') if path.is_file() else None
    if pixels is None:
        raise OSError(f'cannot read {path}')
    height, width = pixels.shape[:2]
    check_size(str(path), (height, width), (image['height'], image['width']))
    annotations = coco.imgToAnns[image['id']]
    masks = [coco.annToMask(annotation) for annotation in annotations]
    side = round(min(height, width) / across)
    for y in starts(height, side, overlap):
        for x in starts(width, side, overlap):
            window = slice(y, y + side), slice(x, x + side)
            tile = dict(
                id=len(content['images']) + 1,
                width=side,
                height=side,
                file_name=f'{Path(image["file_name"]).with_suffix("")}_{x}_{y}.png',
            )
            (folder / tile['file_name']).parent.mkdir(parents=True, exist_ok=True)
            save(folder / tile['file_name'], pixels[window])
            content['images'].append(tile)
            for annotation, mask in zip(annotations, masks):
                if mask[window].any():
                    part = seen(annotation, mask, mask[window], min_share)
                    part.update(id=len(content['annotations']) + 1, image_id=tile['id'])
                    content['annotations'].append(part)


def steps(length: int, side: int, overlap: float) -> int:
    """Tiles along a line."""
    return math.ceil((length - side) / (side * (1 - overlap))) + 1


def starts(length: int, side: int, overlap: float) -> list[int]:
    """Where tiles begin along a line, evenly from its beginning to its end."""
    return [round(start) for start in np.linspace(0, length - side, steps(length, side, overlap))]


def seen(annotation: dict, whole: np.ndarray, part: np.ndarray, min_share: float) -> dict:
    """An object, or a crowd, of what a tile shows."""
    small = part.sum() < min_share * whole.sum()
    return dict(
        category_id=annotation['category_id'], iscrowd=int(small or annotation.get('iscrowd', 0)), **coco_mask(part)
    )
