import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmparts.datasets import CheckedCocoDataset, cut_tiles
from mmparts.datasets.tiles import starts

TOOL = Path(__file__).parents[2] / 'tools' / 'cut_tiles.py'
CATEGORIES = [dict(id=7, name='cell')]


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Six images of 60x90; in each a square of 20 pixels at (25, 5), which the first two tiles share 5 to 15."""
    (tmp_path / 'all' / 'one').mkdir(parents=True)
    images, annotations = [], []
    rng = np.random.default_rng(0)
    for index in range(6):
        name = f'one/{index}.png'
        cv2.imwrite(str(tmp_path / 'all' / name), rng.integers(256, size=(60, 90, 3), dtype=np.uint8))
        images.append(dict(id=index + 1, file_name=name, width=90, height=60))
        annotations.append(
            dict(
                id=index + 1,
                image_id=index + 1,
                category_id=7,
                iscrowd=0,
                area=400,
                bbox=[25, 5, 20, 20],
                segmentation=[[25, 5, 45, 5, 45, 25, 25, 25]],
            )
        )
    content = dict(images=images, annotations=annotations, categories=CATEGORIES)
    (tmp_path / 'all.json').write_text(json.dumps(content))
    return tmp_path


def cut(folder: Path, **options) -> tuple[COCO, COCO]:
    cut_tiles(folder / 'all.json', folder / 'all', folder / 'tiles', across=2, **options)
    return tuple(COCO(folder / 'tiles' / f'instances_{split}.json') for split in ('train', 'val'))


@pytest.mark.parametrize(
    ('length', 'side', 'overlap', 'want'),
    [(90, 30, 0, [0, 30, 60]), (90, 30, 0.5, [0, 15, 30, 45, 60]), (30, 30, 0.5, [0]), (100, 30, 0, [0, 23, 47, 70])],
)
def test_tiles_cover_a_line_evenly(length, side, overlap, want):
    assert starts(length, side, overlap) == want


def test_tiles_are_the_picture_and_its_masks(pictures):
    train, val = cut(pictures)
    assert len(val.imgs) == 2 * 2 * 3 and len(train.imgs) == 4 * 3 * 5  # 30 pixels wide; of training every 15
    whole = COCO(pictures / 'all.json')
    for tiles in (train, val):
        for tile in tiles.imgs.values():
            stem, x, y = tile['file_name'].removesuffix('.png').split('_')
            x, y = int(x), int(y)
            source = cv2.imread(str(pictures / 'all' / f'{stem}.png'))
            pixels = cv2.imread(str(pictures / 'tiles' / 'images' / tile['file_name']))
            assert np.array_equal(pixels, source[y : y + 30, x : x + 30])
            index = int(stem.removeprefix('one/')) + 1
            mask = whole.annToMask(whole.imgToAnns[index][0])[y : y + 30, x : x + 30]
            found = tiles.imgToAnns[tile['id']]
            assert len(found) == mask.any()
            for annotation in found:
                assert np.array_equal(tiles.annToMask(annotation), mask) and annotation['area'] == mask.sum()
                left, top, width, height = map(int, annotation['bbox'])
                assert mask[top : top + height, left : left + width].sum() == mask.sum()
                assert annotation['iscrowd'] == (mask.sum() < 0.2 * 400)


def test_slivers_are_crowds_and_are_not_trained(pictures):
    train, val = cut(pictures, min_share=0.3)
    left, right = (
        next(a for a in val.anns.values() if val.imgs[a['image_id']]['file_name'] == f'one/0_{x}_0.png')
        for x in (0, 30)
    )
    assert (left['area'], left['iscrowd'], right['area'], right['iscrowd']) == (100, 1, 300, 0)

    data = CheckedCocoDataset(
        data_root=str(pictures / 'tiles'), ann_file='instances_train.json', data_prefix=dict(img='images'), pipeline=[]
    )
    objects = [each for index in range(len(data)) for each in data.get_data_info(index)['instances']]
    flags = [each['ignore_flag'] for each in objects]
    assert 0 < sum(flags) < len(flags)
    assert sum(flags) == sum(annotation['iscrowd'] for annotation in train.anns.values())


def test_every_so_many_pictures_validate(pictures):
    train, val = cut(pictures, val_every=3)
    names = [{tile['file_name'].split('_')[0] for tile in tiles.imgs.values()} for tiles in (train, val)]
    assert names == [{f'one/{index}' for index in (1, 2, 4, 5)}, {'one/0', 'one/3'}]


def test_nothing_is_overwritten_unasked(pictures):
    cut(pictures)
    with pytest.raises(FileExistsError, match='--overwrite'):
        cut(pictures)
    cut(pictures, overwrite=True)
    other = pictures / 'mine'
    other.mkdir()
    (other / 'notes.txt').write_text('x')
    with pytest.raises(FileExistsError):
        cut_tiles(pictures / 'all.json', pictures / 'all', other, overwrite=True)
    assert not list(pictures.glob('.*'))


def test_what_cannot_be_cut(pictures):
    for options in (dict(overlap=1), dict(min_share=0), dict(val_every=1)):
        with pytest.raises(ValueError, match='='.join(map(str, *options.items()))):
            cut(pictures, **options)
    (pictures / 'all' / 'one' / '3.png').unlink()
    run = subprocess.run(
        [sys.executable, TOOL, pictures / 'all.json', pictures / 'all', pictures / 'tiles'],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1 and 'one/3.png' in run.stderr and 'Traceback' not in run.stderr
    assert not (pictures / 'tiles').exists() and not list(pictures.glob('.*'))

    content = json.loads((pictures / 'all.json').read_text())
    del content['annotations'][0]['segmentation']
    (pictures / 'all.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match='annotation 1 has no segmentation'):
        cut(pictures)
