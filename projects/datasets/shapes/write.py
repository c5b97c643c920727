"""Writes the data set "shapes" in the formats of COCO and mmseg. No network, the same bytes on every run.

    {train,val}/*.jpg                           images of unequal sizes
    annotations/instances_{train,val}.json      COCO: tight boxes of the visible pixels, masks as RLE
    annotations/panoptic_{train,val}.json       COCO panoptic; a thing's segment id is its id in instances_*.json
    panoptic_{train,val}/*.png                  id = R + 256 G + 256^2 B
    semantic_{train,val}/*.png                  one byte a pixel, the index in CLASSES + STUFF_CLASSES
    annotations/captions_{train,val}.json       COCO captions
    annotations/combinations_{train,val,unseen}.json    COCO, categories like "red circle"; with ``unseen`` names only
    shapes.json                                 what it was made with

An image depends on (VERSION, seed, split, index) alone: neither on how many are made nor on the number of processes.
"""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from mmengine.logging import print_log
from pycocotools import mask as rle

from ..files import coco_mask, dump, save, whole_folder
from .captions import STYLES
from .scene import LARGEST, MAX_OBJECTS, OUTLINES, SMALLEST, Rules, Scene, combinations, sample_scene
from .texture import STUFF

VERSION = 1  # raise it whenever an image or an annotation changes
MANIFEST = 'shapes.json'
SPLITS = ('train', 'val', 'unseen')
ID_OFFSETS = (0, 1_000_000, 2_000_000)  # image ids of the splits never meet
EMPTY_EVERY = 20  # one image in so many shows no object
SHORTEST = 0.6  # shorter side / longer side, at least
JPEG_QUALITY = 95

CLASSES = tuple(OUTLINES)
STUFF_CLASSES = tuple(STUFF)
COLOURS = (
    (220, 20, 60),
    (0, 110, 220),
    (250, 170, 30),
    (160, 60, 220),
    (30, 170, 90),
    (230, 80, 170),
    (120, 180, 230),
    (110, 150, 70),
    (150, 90, 80),
    (210, 190, 140),
    (60, 100, 140),
)
CATEGORIES = [
    dict(
        id=i + 1,
        name=name,
        supercategory='shape' if name in CLASSES else 'stuff',
        isthing=int(name in CLASSES),
        color=list(COLOURS[i]),
    )
    for i, name in enumerate(CLASSES + STUFF_CLASSES)
]


@dataclass(frozen=True)
class Manifest:
    """What decides every byte of the data set."""

    images: int
    val_images: int
    size: int
    seed: int
    version: int = VERSION
    name: str = 'shapes'
    objects: int = MAX_OBJECTS
    unseen: tuple[str, ...] = ()
    captions: str = 'sentences'
    smallest: float = SMALLEST

    def said(self) -> dict:
        """As it is written: what was added later, where it is not the default."""
        plain = asdict(self)
        later = dict(objects=MAX_OBJECTS, unseen=(), captions='sentences', smallest=SMALLEST)
        return {key: value for key, value in plain.items() if key not in later or value != later[key]}

    @property
    def splits(self) -> tuple[str, ...]:
        return SPLITS if self.unseen else SPLITS[:2]

    def count(self, split: str) -> int:
        """Images of a split."""
        return self.images if split == 'train' else self.val_images

    def rules(self, split: str) -> Rules:
        if split == 'unseen':
            return Rules(self.objects, self.smallest, only=self.unseen)
        return Rules(self.objects, self.smallest, never=self.unseen)


def make_shapes(
    out: str | os.PathLike,
    images: int = 800,
    size: int = 128,
    seed: int = 0,
    val_images: int = 200,
    overwrite: bool = False,
    workers: int = 1,
    objects: int = MAX_OBJECTS,
    unseen: Sequence[str] = (),
    captions: str = 'sentences',
    smallest: float = SMALLEST,
) -> bool:
    """Write the data set into the folder ``out``; do nothing when the same one is there.

    Args:
        images: training images.
        size: longer side of every image, in pixels; the shorter one is 0.6 to 1 times that.
        val_images: images of the split ``val``.
        overwrite: replace a data set made with other parameters. Folders that this function did not write are never
            replaced.
        workers: processes that draw; the result does not depend on it.
        objects: most of them in an image.
        unseen: names like ``red circle`` that no object of ``train`` and ``val`` has; a third split, ``unseen``, as
            large as ``val``, has no others.
        captions: 'sentences', which also say where and beside what, or 'names', which say what is shown alone.
        smallest: least diameter of an object, a share of the side of the image, up to 0.7.

    Returns:
        True if it was written, False if it was there already.

    Raises:
        FileExistsError: ``out`` holds something else, or an incomplete set.
    """
    numbers = (('images', images, 1), ('val_images', val_images, 1), ('size', size, 32), ('objects', objects, 1))
    for name, value, least in numbers:
        if value < least:
            raise ValueError(f'{name}={value}: must be at least {least}')
    strange = [name for name in unseen if name not in combinations()]
    if strange:
        raise ValueError(f'unseen: {strange[0]!r} is none of the names, which are like {combinations()[0]!r}')
    if len(set(unseen)) == len(combinations()):
        raise ValueError('unseen: all names are, and none is left to train on')
    if captions not in STYLES:
        raise ValueError(f'captions={captions!r} is unknown; choose from {", ".join(map(repr, STYLES))}')
    if not 0.1 <= smallest <= LARGEST:
        raise ValueError(f'smallest={smallest} must lie between 0.1 and {LARGEST}')
    said = dict(objects=objects, unseen=tuple(unseen), captions=captions, smallest=smallest)
    manifest = Manifest(images, val_images, size, seed, **said)
    out = Path(out).absolute()
    if is_there(out, manifest, overwrite):
        print_log(f'{out}: shapes version {VERSION} with {images} + {val_images} images is there already', 'current')
        return False

    with whole_folder(out) as folder:
        for split in manifest.splits:
            write_split(folder, split, manifest, workers)
        dump(manifest.said(), folder / MANIFEST)
    print_log(f'{out}: wrote {images} + {val_images} images of up to {size} px', 'current')
    return True


def is_there(out: Path, manifest: Manifest, overwrite: bool) -> bool:
    """Whether ``out`` holds exactly this set; raises where it holds anything that may not be replaced."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if not (out / MANIFEST).is_file():
        raise FileExistsError(
            f'{out} exists and was not written by make_shapes (no {MANIFEST} in it); choose another folder'
        )
    if overwrite:
        return False
    found, wanted = json.loads((out / MANIFEST).read_text()), json.loads(json.dumps(manifest.said()))
    if found != wanted:
        differing = ', '.join(
            f'{key}={found.get(key)} instead of {wanted.get(key)}'
            for key in {**wanted, **found}
            if found.get(key) != wanted.get(key)
        )
        raise FileExistsError(
            f'{out} holds a different set: {differing}. '
            'Choose another folder, or replace it with --overwrite (overwrite=True)'
        )
    for split in manifest.splits:
        count = manifest.count(split)
        for folder in (split, f'panoptic_{split}', f'semantic_{split}'):
            have = len(os.listdir(out / folder)) if (out / folder).is_dir() else 0
            if have != count:
                raise FileExistsError(
                    f'{out / folder} has {have} files instead of {count}: somebody changed the set. '
                    'Write it anew with --overwrite (overwrite=True)'
                )
    return True


def write_split(root: Path, split: str, manifest: Manifest, workers: int):
    """Draw one split and write its images, maps and annotation files."""
    for folder in (split, f'panoptic_{split}', f'semantic_{split}', 'annotations'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    count = manifest.count(split)
    job = partial(write_picture, root, split, manifest)
    with ProcessPoolExecutor(workers) if workers > 1 else nullcontext() as pool:
        records = list(pool.map(job, range(count), chunksize=8) if pool else map(job, range(count)))

    info = dict(description=f'shapes, generated by mmparts ({split})', **manifest.said())
    images = [record['image'] for record in records]
    instances, panoptic, captions = number(records)
    things = [
        {key: category[key] for key in ('id', 'name', 'supercategory', 'color')}
        for category in CATEGORIES
        if category['isthing']
    ]
    common = dict(info=info, licenses=[], images=images)
    dump(dict(common, annotations=instances, categories=things), root / f'annotations/instances_{split}.json')
    dump(dict(common, annotations=panoptic, categories=CATEGORIES), root / f'annotations/panoptic_{split}.json')
    dump(dict(common, annotations=captions), root / f'annotations/captions_{split}.json')
    if manifest.unseen:
        named = [dict(one, category_id=combinations().index(one['combination']) + 1) for one in instances]
        categories = [dict(id=i + 1, name=name, supercategory='shape') for i, name in enumerate(combinations())]
        dump(dict(common, annotations=named, categories=categories), root / f'annotations/combinations_{split}.json')
    for record, entry in zip(records, panoptic):
        write_panoptic_map(root / f'panoptic_{split}' / entry['file_name'], record, entry)


def write_picture(root: Path, split: str, manifest: Manifest, index: int) -> dict:
    """Draw an image, write it and its semantic map, and return its annotations (segments still without ids)."""
    rng = np.random.default_rng([VERSION, manifest.seed, SPLITS.index(split), index])
    long, short = manifest.size, round(manifest.size * rng.uniform(SHORTEST, 1))
    width, height = (long, short) if rng.random() < 0.6 else (short, long)
    empty = index % EMPTY_EVERY == EMPTY_EVERY // 2
    scene = sample_scene(rng, width, height, empty, manifest.rules(split))

    image_id = index + 1 + ID_OFFSETS[SPLITS.index(split)]
    name = f'{image_id:012d}'
    save(root / split / f'{name}.jpg', scene.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    save(root / f'semantic_{split}' / f'{name}.png', semantic_map(scene))
    return dict(
        image=dict(id=image_id, file_name=f'{name}.jpg', width=width, height=height),
        segments=segments(scene, named=bool(manifest.unseen)),
        captions=STYLES[manifest.captions](scene, rng),
    )


def semantic_map(scene: Scene) -> np.ndarray:
    """H W, uint8: indices into CLASSES + STUFF_CLASSES."""
    stuff = np.uint8([len(CLASSES) + STUFF_CLASSES.index(name) for name in scene.stuff])
    things = np.uint8([CLASSES.index(shape.kind) for shape in scene.shapes] + [0])  # the last one answers owner -1
    return np.where(scene.owner >= 0, things[scene.owner], stuff[scene.ground])


def segments(scene: Scene, named: bool = False) -> list[dict]:
    """Everything that shows: objects first, then stuff. Keys as in COCO, the mask as compressed RLE; ``named``: objects
    also with colour and kind."""
    labels = semantic_map(scene)
    masks = [
        (CLASSES.index(shape.kind), scene.owner == i, dict(visible=round(scene.visible[i], 3)))
        for i, shape in enumerate(scene.shapes)
    ]
    if named:
        for shape, (_, _, extra) in zip(scene.shapes, masks):
            extra['combination'] = f'{shape.colour} {shape.kind}'
    masks += [(int(label), labels == label, {}) for label in np.unique(labels) if label >= len(CLASSES)]
    found = []
    for label, mask, extra in masks:
        found.append(dict(category_id=label + 1, iscrowd=0, **coco_mask(mask), **extra))
    return found


def number(records: list[dict]) -> tuple[list[dict], list[dict], list[dict]]:
    """Give segments and captions their ids (from 1, unique in the split): instances, panoptic, captions."""
    instances, panoptic, captions, next_id = [], [], [], 1
    for record in records:
        image_id = record['image']['id']
        infos = []
        for segment in record['segments']:
            infos.append(dict(id=next_id, **{key: segment[key] for key in ('category_id', 'bbox', 'area', 'iscrowd')}))
            if segment['category_id'] <= len(CLASSES):
                instances.append(dict(id=next_id, image_id=image_id, **segment))
            next_id += 1
        file_name = record['image']['file_name'].replace('.jpg', '.png')
        panoptic.append(dict(image_id=image_id, file_name=file_name, segments_info=infos))
        captions += [
            dict(id=len(captions) + i + 1, image_id=image_id, caption=text) for i, text in enumerate(record['captions'])
        ]
    return instances, panoptic, captions


def write_panoptic_map(path: Path, record: dict, entry: dict):
    """The segments' ids as colours: id = R + 256 G + 256^2 B."""
    ids = np.zeros((record['image']['height'], record['image']['width']), np.int64)
    for segment, info in zip(record['segments'], entry['segments_info']):
        ids[rle.decode(segment['segmentation']) > 0] = info['id']
    save(path, np.stack([ids >> 16, ids >> 8 & 255, ids & 255], -1).astype(np.uint8))  # OpenCV writes BGR
