"""`mmparts data convert`: every format read alike, what is dropped with its reason, splits, and a config."""

import json
import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmparts.analysis.small_first import Measured, plan
from mmparts.commands import data_convert
from mmparts.datasets.convert import FORMATS, BadSource, convert
from mmparts.datasets.convert.split import stratified

REAL = Path(os.environ.get('MMPARTS_DATA', Path(__file__).resolve().parents[3] / 'shared' / 'data'))
# file -> (width, height), objects (name, x1, y1, x2, y2)
SCENES = {
    'a.png': ((40, 30), [('cat', 4, 6, 20, 16), ('dog', 10, 10, 38, 28)]),
    'b.png': ((32, 48), [('cat', 1, 2, 30, 40)]),
    'c.png': ((40, 30), []),
    'd.png': ((30, 30), [('dog', 2, 2, 12, 22)]),
}
NAMES = ['dog', 'cat']  # in no alphabetical order


def draw(folder: Path, names=SCENES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        (width, height), _ = SCENES[name]
        image = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
        cv2.imwrite(str(folder / name), image)


def write_voc(folder: Path) -> None:
    for name, ((w, h), objects) in SCENES.items():
        boxes = ''.join(
            f'<object><name>{label}</name><difficult>0</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>'
            f'<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>'
            for label, x1, y1, x2, y2 in objects
        )
        size = f'<size><width>{w}</width><height>{h}</height><depth>3</depth></size>'
        text = f'<annotation><filename>{name}</filename>{size}{boxes}</annotation>'
        (folder / f'{name[:-4]}.xml').write_text(text)


def write_yolo(folder: Path) -> None:
    (folder / 'data.yaml').write_text(f'names: {NAMES}\n')
    for name, ((w, h), objects) in SCENES.items():
        lines = [
            f'{NAMES.index(label)} {(x1 + x2) / 2 / w} {(y1 + y2) / 2 / h} {(x2 - x1) / w} {(y2 - y1) / h}'
            for label, x1, y1, x2, y2 in objects
        ]
        (folder / f'{name[:-4]}.txt').write_text('\n'.join(lines))


def write_labelme(folder: Path) -> None:
    for name, ((w, h), objects) in SCENES.items():
        shapes = [
            dict(label=label, shape_type='polygon', points=[[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
            if label == 'cat'
            else dict(label=label, shape_type='rectangle', points=[[x2, y2], [x1, y1]])
            for label, x1, y1, x2, y2 in objects
        ]
        content = dict(shapes=shapes, imagePath=name, imageWidth=w, imageHeight=h, imageData=None)
        (folder / f'{name[:-4]}.json').write_text(json.dumps(content))


def write_csv(folder: Path, head: bool = True) -> None:
    rows = ['filename,width,height,class,xmin,ymin,xmax,ymax'] if head else []
    for name, ((w, h), objects) in SCENES.items():
        for label, *box in objects:
            middle = f'{name},{w},{h},{label}' if head else name
            rows.append(','.join([middle, *map(str, box), *([] if head else [label])]))
        if not objects and head:
            rows.append(f'{name},{w},{h},,,,,')
    (folder / 'boxes.csv').write_text('\n'.join(rows) + '\n')


def write_coco(folder: Path) -> None:
    images = [dict(id=i, file_name=name, width=w, height=h) for i, (name, ((w, h), _)) in enumerate(SCENES.items())]
    annotations = [
        dict(image_id=i, category_id=NAMES.index(label), bbox=[x1, y1, x2 - x1, y2 - y1], iscrowd=0)
        for i, (_, objects) in enumerate(SCENES.values())
        for label, x1, y1, x2, y2 in objects
    ]
    annotations = [dict(each, id=number) for number, each in enumerate(annotations)]
    categories = [dict(id=i, name=name) for i, name in enumerate(NAMES)]
    (folder / 'all.json').write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))


WRITE = dict(voc=write_voc, yolo=write_yolo, labelme=write_labelme, csv=write_csv, coco=write_coco)


def found(made) -> dict:
    """name -> (size, objects) of all COCO files that were written."""
    result = {}
    for path in made.files.values():
        content = json.loads(Path(path).read_text())
        names = {each['id']: each['name'] for each in content['categories']}
        for image in content['images']:
            objects = []
            for each in content['annotations']:
                if each['image_id'] == image['id']:
                    x, y, w, h = each['bbox']
                    objects.append((names[each['category_id']], *(round(v, 1) for v in (x, y, x + w, y + h))))
            result[image['file_name']] = ((image['width'], image['height']), objects)
    return result


@pytest.mark.parametrize('form', FORMATS)
def test_every_format_is_recognised_and_read_alike(tmp_path, form):
    draw(tmp_path / 'in')
    WRITE[form](tmp_path / 'in')
    made = convert(tmp_path / 'in', tmp_path / 'out', val=0.25)
    assert made.form == form and not made.dropped
    assert found(made) == SCENES
    assert made.classes == (NAMES if form in ('yolo', 'coco') else ['cat', 'dog'])
    assert len(made.images['val']) == 1 and len(made.images['train']) == 3


def test_images_beside_the_annotations_and_a_table_without_a_head(tmp_path):
    draw(tmp_path / 'set' / 'images')
    (tmp_path / 'set' / 'labels').mkdir()
    write_csv(tmp_path / 'set' / 'labels', head=False)
    made = convert(tmp_path / 'set' / 'labels', tmp_path / 'out', background=True)
    assert found(made) == SCENES and made.root.name == 'images'
    assert len(convert(tmp_path / 'set' / 'labels', tmp_path / 'out2').images['train']) == 2  # c has no line


def test_polygons_become_masks(tmp_path):
    draw(tmp_path)
    write_labelme(tmp_path)
    made = convert(tmp_path, tmp_path.parent / f'{tmp_path.name}_out', val=0.5)
    content = [json.loads(path.read_text()) for path in made.files.values()]
    masks = [each.get('segmentation') for file in content for each in file['annotations']]
    assert sum(mask is not None for mask in masks) == 2 and [[4, 6, 20, 6, 20, 16, 4, 16]] in masks


def test_what_is_dropped_is_said_with_its_reason(tmp_path):
    draw(tmp_path)
    write_voc(tmp_path)
    corners = ''.join(f'<{side}>{{}}</{side}>' for side in ('xmin', 'ymin', 'xmax', 'ymax'))
    box = f'<object><name>cat</name><bndbox>{corners}</bndbox></object>'
    bad = [(5, 5, 5, 9), (50, 5, 60, 9), (4, 6, 20, 16), (9, 9, 9.5, 20), ('nan', 1, 2, 3)]
    text = (tmp_path / 'a.xml').read_text()
    (tmp_path / 'a.xml').write_text(
        text.replace('</annotation>', ''.join(box.format(*b) for b in bad) + '</annotation>')
    )
    (tmp_path / 'b.png').write_bytes((tmp_path / 'b.png').read_bytes()[:200])
    (tmp_path / 'c.png').unlink()
    (tmp_path / 'd.xml').write_text((tmp_path / 'd.xml').read_text().replace('<width>30', '<width>31'))
    (tmp_path / 'e.xml').write_text('<annotation><size>')
    made = convert(tmp_path, tmp_path.parent / f'{tmp_path.name}_out', val=0.0)
    reasons = {reason: len(names) for reason, names in made.dropped.items()}
    assert reasons.pop('annotation file cannot be read (ParseError: no element found: line 1, column 18)'[:90]) == 1
    assert reasons.pop(next(reason for reason in reasons if reason.startswith('image cannot be read'))) == 1
    assert reasons == {
        'no image of this name': 1,
        'image is of another size than its annotations say': 1,
        'object: no or negative size': 1,
        'object: outside the image': 1,
        'object: thinner than a pixel': 1,
        'object: NaN or infinite': 1,
        'object: the same box and class twice in an image': 1,
    }
    assert found(made) == {'a.png': SCENES['a.png']}


def test_boxes_are_cut_at_the_border_and_difficult_ones_are_crowds(tmp_path):
    draw(tmp_path, ['d.png'])
    box = '<bndbox><xmin>-5</xmin><ymin>3</ymin><xmax>12</xmax><ymax>99</ymax></bndbox>'
    text = f'<annotation><object><name>x</name><difficult>1</difficult>{box}</object></annotation>'
    (tmp_path / 'd.xml').write_text(text)
    made = convert(tmp_path, tmp_path.parent / f'{tmp_path.name}_out')
    (each,) = json.loads(Path(made.files['train']).read_text())['annotations']
    assert each['bbox'] == [0, 3, 12, 27] and each['iscrowd'] == 1
    assert '1 objects are crowds' in made.notes[0]


def test_nothing_and_several_formats_are_refused(tmp_path):
    draw(tmp_path / 'none')
    with pytest.raises(BadSource, match='no annotations of a known format: looked for Pascal VOC'):
        convert(tmp_path / 'none', tmp_path / 'out')
    draw(tmp_path / 'both')
    write_voc(tmp_path / 'both')
    write_csv(tmp_path / 'both')
    with pytest.raises(BadSource, match='4 files of voc, 1 files of csv; choose one with --format'):
        convert(tmp_path / 'both', tmp_path / 'out')
    assert convert(tmp_path / 'both', tmp_path / 'out', 'csv').form == 'csv'
    with pytest.raises(BadSource, match='class 1 has no name'):
        write_yolo(tmp_path / 'none')
        convert(tmp_path / 'none', tmp_path / 'out', classes=['dog'])
    assert not (tmp_path / 'out' / 'nothing').exists()


def test_a_split_that_folders_make_is_kept_and_doubles_in_it_are_said(tmp_path):
    for part, names in (('train2017', ['a.png', 'b.png', 'c.png']), ('val2017', ['d.png'])):
        draw(tmp_path / part, names)
    write_yolo(tmp_path)
    for name in ('a', 'b', 'c', 'd'):
        (tmp_path / f'{name}.txt').rename(tmp_path / ('val2017' if name == 'd' else 'train2017') / f'{name}.txt')
    (tmp_path / 'val2017' / 'e.png').write_bytes((tmp_path / 'train2017' / 'c.png').read_bytes())
    (tmp_path / 'val2017' / 'e.txt').write_text('')
    made = convert(tmp_path, tmp_path.parent / f'{tmp_path.name}_out')
    assert [path.path.name for path in made.images['val']] == ['d.png', 'e.png']
    assert any('1 images with equal content lie in two parts' in line for line in made.notes)
    # A new split keeps equal images together, whatever the seed.
    for seed in range(6):
        made = convert(tmp_path, tmp_path.parent / f'{tmp_path.name}_out', val=0.4, seed=seed)
        sides = {image.path.name: part for part, images in made.images.items() for image in images}
        assert sides['c.png'] == sides['e.png']


def test_splits_are_seeded_stratified_and_keep_groups():
    rng = np.random.default_rng(0)
    groups = [
        Counter({None: 1, 'common': int(rng.integers(1, 9)), 'rare': int(rng.random() < 0.1)}) for _ in range(200)
    ]
    first, again, other = (stratified(groups, 0.25, seed) for seed in (0, 0, 1))
    assert first == again != other
    for chosen in (first, other):
        val = sum((group for group, is_val in zip(groups, chosen) if is_val), Counter())
        total = sum(groups, Counter())
        for key in total:
            assert val[key] == pytest.approx(0.25 * total[key], abs=max(1, 0.03 * total[key])), key
    assert sorted(stratified([Counter({None: 1}), Counter({None: 1})], 0.2)) == [False, True]


def test_groups_by_name_are_not_split(tmp_path):
    names = [f'p{patient}_{i}.png' for patient in range(5) for i in range(4)]
    rows = ['filename,class,xmin,ymin,xmax,ymax']
    for seed, name in enumerate(names):
        cv2.imwrite(str(tmp_path / name), np.random.default_rng(seed).integers(0, 255, (20, 20, 3), np.uint8))
        rows.append(f'{name},x,2,2,9,9')
    (tmp_path / 'boxes.csv').write_text('\n'.join(rows))
    made = convert(tmp_path, tmp_path.parent / f'{tmp_path.name}_out', val=0.4, group=r'p\d+')
    patients = {part: {image.path.name[:2] for image in images} for part, images in made.images.items()}
    assert len(patients['val']) == 2 and not patients['val'] & patients['train']
    with pytest.raises(BadSource, match="--group 'q' does not match the name p0_0.png"):
        convert(tmp_path, tmp_path.parent / f'{tmp_path.name}_out', group='q')


def test_the_config_fits_the_data_and_can_move_with_copied_images(tmp_path, monkeypatch, capsys):
    draw(tmp_path / 'in')
    write_voc(tmp_path / 'in')
    args = data_convert.parser().parse_args(
        [str(tmp_path / 'in'), '--out', str(tmp_path / 'out'), '--copy', '--val', '0.25']
    )
    data_convert.main(args)
    shown = capsys.readouterr().out
    assert 'voc: objects' in shown and 'Next: mmparts data check' in shown
    (config,) = (tmp_path / 'out').glob('*.py')
    cfg = Config.fromfile(config)
    assert cfg.model.num_classes == 2 and cfg.val_dataloader.batch_size == 1
    assert cfg.train_dataloader.dataset.metainfo.classes == ('cat', 'dog')
    assert cfg.train_dataloader.dataset.data_prefix.img == 'images/'
    assert {path.name for path in (tmp_path / 'out' / 'images').iterdir()} == set(SCENES)


def test_plans_follow_the_data():
    data = Measured(205, ['RBC', 'WBC'], Counter(RBC=2000, WBC=200), 28, (640, 480), dict(RBC=100.0, WBC=40.0))
    chosen = plan(data)
    assert chosen.scale == (224, 160) and chosen.num_queries == 50 and chosen.epochs == 24
    crowded = Measured(5000, ['x'], Counter(x=9), 280, (2000, 1000), dict(x=10.0))
    assert plan(crowded).scale == (640, 320) and plan(crowded).num_queries == 300 and plan(crowded).epochs == 6
    few = Measured(3, ['x'], Counter(), 0, (100, 100), {})
    assert plan(few).scale == (160, 160) and plan(few).batch_size == 3 and plan(few).epochs == 150


@pytest.mark.skipif(not REAL.is_dir(), reason='no real data beside the checkout')
@pytest.mark.parametrize(
    ('folder', 'form', 'images', 'objects'),
    [
        ('bccd_blood_cells/voc_xml', 'voc', (205, 87), 3941),
        ('bccd_blood_cells/annotations', 'coco', (205, 87), 3941),
        ('coco_mini_panoptic/labels_yolo', 'yolo', (25, 9), 227),
    ],
)
def test_real_data(tmp_path, folder, form, images, objects):
    if not (REAL / folder).is_dir():
        pytest.skip(f'no {folder}')
    made = convert(REAL / folder, tmp_path)
    assert made.form == form and tuple(len(made.images[part]) for part in ('train', 'val')) == images
    assert sum(len(image.objects) for part in made.images.values() for image in part) == objects
