"""A small DINO for data of one's own: sizes, queries and schedule read off the annotations, written as a config.

It is meant to show on a laptop, within minutes, what can be learned; the configs with pre-trained backbones come after.
"""

import json
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SMALLEST_SIDE = 14  # pixels that an object of the smallest class shall have: about two cells of the finest level
SIDES = (160, 640)  # of the longer side of images
SAMPLES = 5000  # images that a training sees, from scratch
EPOCHS = (6, 150)


@dataclass
class Plan:
    """Numbers of a config. scale: longest and shortest side; why: a sentence each."""

    scale: tuple[int, int]
    num_queries: int
    epochs: int
    batch_size: int
    why: list[str]


@dataclass
class Measured:
    """What annotations say: images, classes in their order, the objects of each, most objects in an image, median size
    of the images (width, height), median side of the objects of each class."""

    images: int
    classes: list[str]
    objects: Counter
    most: int
    size: tuple[int, int]
    sides: dict[str, float]

    @classmethod
    def of(cls, path: str | Path) -> 'Measured':
        """Of a COCO file."""
        content = json.loads(Path(path).read_text(encoding='utf-8'))
        names = {each['id']: each['name'] for each in content['categories']}
        sides, in_image = defaultdict(list), Counter()
        for each in content['annotations']:
            if not each.get('iscrowd'):
                sides[names[each['category_id']]].append(math.sqrt(each['bbox'][2] * each['bbox'][3]))
                in_image[each['image_id']] += 1
        size = [int(np.median([image[side] for image in content['images']])) for side in ('width', 'height')]
        return cls(
            len(content['images']),
            list(names.values()),
            Counter({name: len(values) for name, values in sides.items()}),
            max(in_image.values(), default=0),
            tuple(size),
            {name: float(np.median(values)) for name, values in sides.items()},
        )


def plan(data: Measured, epochs: int | None = None) -> Plan:
    """Numbers for these data."""
    longest, shortest = max(data.size), min(data.size)
    name = min(data.sides, key=data.sides.get, default=None)
    wanted = longest * SMALLEST_SIDE / max(data.sides[name], 1) if name else longest
    side = int(min(max(wanted, SIDES[0]), SIDES[1], 2 * longest))
    side = max(32, round(side / 32) * 32)
    scale = (side, max(32, round(side * shortest / longest / 16) * 16))
    queries = min(max(30, math.ceil(1.5 * data.most / 10) * 10), 300)
    if epochs is None:
        epochs = min(max(round(SAMPLES / max(data.images, 1)), EPOCHS[0]), EPOCHS[1])
    batch = min(8, data.images)
    why = [
        f'images {data.size[0]}x{data.size[1]} -> at most {scale[0]}x{scale[1]}'
        + (f': {name}, the smallest, then has {data.sides[name] * side / longest:.0f} px a side' if name else ''),
        f'{queries} queries: at most {data.most} objects in an image',
        f'{epochs} epochs of {data.images} images, {batch} a step',
    ]
    return Plan(scale, queries, epochs, batch, why)


def config_text(name: str, plan: Plan, data: Measured, root: str, images: str, files: dict[str, str]) -> str:
    """A config as one would write it.

    Args:
        root: `data_root`; files: annotation files of train and val below it; images: folder of the images, below it or
            absolute.
    """
    every = max(1, math.ceil(plan.epochs / 5))
    crop = "dict(type='RandomCrop', crop_type='relative_range', crop_size=(0.6, 0.6), allow_negative_crop=True)"
    return f"""# DINO, small, from scratch on {name}; written by `mmparts data convert`, its numbers from the data.
_base_ = [
    'mmparts::_base_/models/dino_small.py',
    'mmparts::_base_/datasets/coco_style.py',
    'mmparts::_base_/schedules/schedule_small.py',
    'mmparts::_base_/detection_runtime.py',
]
data_root = {root!r}
images = {images!r}
metainfo = dict(classes={tuple(data.classes)!r})  # matched to the names in the annotations, in this order

model = dict(
    num_classes={len(data.classes)},
    num_queries={plan.num_queries},  # at most {data.most} objects in an image
    groups=[dict(type='mmparts.Denoising', num=50)],
    # From scratch, telling the classes apart is what takes time: the class loss weighs five times the paper's.
    head=dict(
        terms=[
            dict(type='mmparts.FocalTerm', weight=5.0),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
        ]
    ),
)

resize = dict(type='Resize', scale={plan.scale!r}, keep_ratio=True)  # most images have {data.size[0]}x{data.size[1]}
train_pipeline = [
    _base_.load_image,
    _base_.load_boxes,
    _base_.flip,
    resize,
    {crop},
    dict(type='PhotoMetricDistortion'),
    _base_.pack,
]
test_pipeline = [_base_.load_image, resize, _base_.load_boxes, _base_.pack_test]

dataset = dict(data_root=data_root, metainfo=metainfo, data_prefix=dict(img=images))
train_dataloader = dict(
    batch_size={plan.batch_size},
    num_workers=1,
    dataset=dict(ann_file={files['train']!r}, pipeline=train_pipeline, **dataset),
)
val_dataloader = dict(
    num_workers=1, dataset=dict(ann_file={files['val']!r}, pipeline=test_pipeline, **dataset)
)
test_dataloader = val_dataloader

train_cfg = dict(max_epochs={plan.epochs}, val_interval={every})
optim_wrapper = dict(optimizer=dict(lr=2e-3))
default_hooks = dict(live_bar=dict(type='mmparts.LiveBarHook'), logger=dict(interval=25))
"""
