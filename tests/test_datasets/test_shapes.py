import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmparts.datasets.shapes import CLASSES, STUFF_CLASSES, make_shapes
from mmparts.datasets.shapes.captions import relations
from mmparts.datasets.shapes.scene import COLOURS, MIN_PIXELS, MIN_VISIBLE, sample_scene, whole_area
from mmparts.evaluation.captions import objects_of, singular, words

TOOL = Path(__file__).parents[2] / 'tools' / 'make_shapes.py'
SMALL = dict(images=4, val_images=2, size=48)


def contents(folder: Path) -> dict:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.fixture(params=['train', 'val'])
def split(request, shapes):
    """The instances of a split, its panoptic annotation by image, and a reader of its maps (RGB or one channel)."""
    name = request.param
    panoptic = json.loads((shapes / f'annotations/panoptic_{name}.json').read_text())
    by_image = {entry['image_id']: entry for entry in panoptic['annotations']}

    def read(kind: str, image_id: int) -> np.ndarray:
        path = shapes / (f'{kind}_{name}' if kind else name) / by_image[image_id]['file_name']
        array = cv2.imread(str(path if kind else path.with_suffix('.jpg')), cv2.IMREAD_UNCHANGED)
        return array[..., ::-1].astype(int) if array.ndim == 3 else array

    return COCO(shapes / f'annotations/instances_{name}.json'), by_image, read


def test_same_bytes_in_every_run_and_process(tmp_path):
    make_shapes(tmp_path / 'one', **SMALL)
    make_shapes(tmp_path / 'pool', **SMALL, workers=2)
    subprocess.run(
        [sys.executable, TOOL, '--out', tmp_path / 'tool', '--images', '4', '--val-images', '2', '--size', '48'],
        check=True,
    )
    one = contents(tmp_path / 'one')
    assert one == contents(tmp_path / 'pool') == contents(tmp_path / 'tool')
    assert len(one) == 3 * (4 + 2) + 6 + 1


@pytest.mark.parametrize('threads', [2, 5])
def test_the_number_of_threads_does_not_matter(threads):
    """OpenCV's filters share an image out among threads, and some round differently at the seams."""
    before = cv2.getNumThreads()
    pictures = []
    for number in (1, threads):
        cv2.setNumThreads(number)
        pictures.append([sample_scene(np.random.default_rng(seed), 128, 100).image for seed in range(10)])
        assert cv2.getNumThreads() == number, 'the setting is handed back'
    cv2.setNumThreads(before)
    assert np.array_equal(*pictures)


def test_a_picture_depends_on_its_index_and_the_seed_only(tmp_path):
    make_shapes(tmp_path / 'few', **SMALL)
    make_shapes(tmp_path / 'more', **dict(SMALL, images=6))
    make_shapes(tmp_path / 'other', **SMALL, seed=1)
    few, more, other = (contents(tmp_path / name) for name in ('few', 'more', 'other'))
    pictures = [name for name in few if name.endswith('.jpg')]
    assert all(few[name] == more[name] for name in pictures)
    assert all(few[name] != other[name] for name in pictures)
    assert len({few[name] for name in pictures}) == len(pictures)


def test_a_finished_set_is_kept_and_never_mixed(tmp_path):
    assert make_shapes(tmp_path / 'set', **SMALL)
    before = contents(tmp_path / 'set')
    assert not make_shapes(tmp_path / 'set', **SMALL)
    with pytest.raises(FileExistsError, match='seed=0 instead of 7.*--overwrite'):
        make_shapes(tmp_path / 'set', **SMALL, seed=7)
    assert contents(tmp_path / 'set') == before

    assert make_shapes(tmp_path / 'set', **SMALL, seed=7, overwrite=True)
    assert contents(tmp_path / 'set') != before
    next((tmp_path / 'set/train').iterdir()).unlink()
    with pytest.raises(FileExistsError, match='3 files instead of 4'):
        make_shapes(tmp_path / 'set', **SMALL, seed=7)
    assert [path.name for path in tmp_path.iterdir()] == ['set'], 'nothing temporary is left'


def test_foreign_folders_are_never_replaced(tmp_path):
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(FileExistsError, match='not written by make_shapes'):
        make_shapes(tmp_path, **SMALL, overwrite=True)
    assert (tmp_path / 'thesis.tex').exists()


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def full_disk(*args, **kwargs):
        raise OSError('no space left')

    monkeypatch.setattr('mmparts.datasets.shapes.write.write_panoptic_map', full_disk)
    with pytest.raises(OSError):
        make_shapes(tmp_path / 'set', **SMALL)
    assert not list(tmp_path.iterdir())


def test_pictures_have_the_sizes_their_annotations_say(split):
    coco, _, read = split
    sizes = set()
    for image in coco.dataset['images']:
        assert read('', image['id']).shape == (image['height'], image['width'], 3)
        assert max(image['height'], image['width']) == 64
        sizes.add((image['height'], image['width']))
    assert len(sizes) > 5


def test_boxes_are_tight_around_visible_pixels(split):
    coco, _, _ = split
    assert coco.anns
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation)
        y, x = np.nonzero(mask)
        assert annotation['bbox'] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
        assert annotation['area'] == mask.sum() >= MIN_PIXELS
        assert MIN_VISIBLE <= annotation['visible'] <= 1


def test_masks_panoptic_and_semantic_maps_agree(split):
    coco, panoptic, read = split
    for image_id, entry in panoptic.items():
        red, green, blue = np.moveaxis(read('panoptic', image_id), -1, 0)
        ids, semantic = red + 256 * green + 256**2 * blue, read('semantic', image_id)
        assert set(np.unique(ids)) == {segment['id'] for segment in entry['segments_info']}
        for segment in entry['segments_info']:
            inside = ids == segment['id']
            assert segment['area'] == inside.sum()
            assert (semantic[inside] == segment['category_id'] - 1).all()
            if segment['category_id'] <= len(CLASSES):
                assert (coco.annToMask(coco.anns[segment['id']]) == inside).all()
                assert coco.anns[segment['id']]['category_id'] == segment['category_id']
    assert {segment['id'] for entry in panoptic.values() for segment in entry['segments_info']} >= set(coco.anns)


def test_predictions_load_against_the_annotations(split):
    coco, _, _ = split
    perfect = [
        dict(image_id=a['image_id'], category_id=a['category_id'], segmentation=a['segmentation'], score=1.0)
        for a in coco.anns.values()
    ]
    assert len(coco.loadRes(perfect).anns) == len(coco.anns)


def test_some_pictures_are_empty_and_some_objects_hidden(split):
    coco, _, _ = split
    empty = [i for i in coco.imgs if not coco.getAnnIds(i)]
    assert 0 < len(empty) < len(coco.imgs) / 4
    assert any(annotation['visible'] < 0.9 for annotation in coco.anns.values())
    assert len({annotation['category_id'] for annotation in coco.anns.values()}) == len(CLASSES)


def test_captions_count_what_is_there(shapes, split):
    coco, _, _ = split
    name = 'val' if min(coco.imgs) > 1_000_000 else 'train'
    captions = COCO(shapes / f'annotations/captions_{name}.json')
    for image_id in coco.imgs:
        texts = [a['caption'] for a in captions.imgToAnns[image_id]]
        assert 2 <= len(texts) == len(set(texts)) <= 5
        assert all(text[0].isupper() and text.endswith('.') and '  ' not in text for text in texts)
        objects = coco.imgToAnns[image_id]
        for category in {a['category_id'] for a in objects}:
            assert CLASSES[category - 1] in texts[1].lower()
        if len(objects) > 1:
            assert texts[1].lower().startswith(('two', 'three', 'four', 'five', 'six'))
        assert objects or not any(kind in ' '.join(texts) for kind in CLASSES)


def test_relations_hold():
    """A sentence about "left of" must come with centres in that order."""
    checked = 0
    for seed in range(80):
        scene = sample_scene(np.random.default_rng(seed), 96, 80)
        where = {f'{shape.texture} {shape.colour} {shape.kind}'.replace('plain ', ''): shape for shape in scene.shapes}
        for sentence in filter(None, relations(scene)):
            for words, sign, axis in (
                (' is to the left of ', -1, 'x'),
                (' is to the right of ', 1, 'x'),
                (' is above ', -1, 'y'),
                (' is below ', 1, 'y'),
            ):
                if words in sentence:
                    first, second = (
                        next(shape for name, shape in where.items() if part.strip('.').endswith(name))
                        for part in sentence.split(words)
                    )
                    assert sign * (getattr(first, axis) - getattr(second, axis)) > 0, sentence
                    checked += 1
    assert checked > 20


def test_hidden_objects_are_not_in_the_picture():
    """What is left out is not drawn: every visible pixel belongs to somebody."""
    for seed in range(20):
        scene = sample_scene(np.random.default_rng(seed), 80, 64)
        assert set(np.unique(scene.owner)) - {-1} == set(range(len(scene.shapes)))
        for index, shape in enumerate(scene.shapes):
            assert (scene.owner == index).sum() >= MIN_VISIBLE * whole_area(shape)


def test_stuff_and_things_share_no_name():
    assert not set(CLASSES) & set(STUFF_CLASSES)


@pytest.mark.parametrize('wrong', [dict(images=0), dict(val_images=0), dict(size=8)])
def test_senseless_sizes_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_shapes(tmp_path / 'set', **dict(SMALL, **wrong))


def test_names_kept_for_the_unseen_split(tmp_path):
    from mmparts.datasets.shapes.scene import combinations

    kept = ('red circle', 'blue star')
    make_shapes(tmp_path / 'a', images=30, val_images=10, size=48, objects=2, unseen=kept)
    for split, count in (('train', 30), ('val', 10), ('unseen', 10)):
        content = json.loads((tmp_path / 'a' / f'annotations/combinations_{split}.json').read_text())
        assert len(content['images']) == count and [each['name'] for each in content['categories']] == combinations()
        names = {content['categories'][one['category_id'] - 1]['name'] for one in content['annotations']}
        assert names and all((name in kept) == (split == 'unseen') for name in names)
        per_image = Counter(one['image_id'] for one in content['annotations'])
        assert max(per_image.values()) <= 2
    assert not make_shapes(tmp_path / 'a', images=30, val_images=10, size=48, objects=2, unseen=kept)
    with pytest.raises(FileExistsError, match='objects=2 instead of None'):
        make_shapes(tmp_path / 'a', images=30, val_images=10, size=48, unseen=kept)
    with pytest.raises(ValueError, match="unseen: 'red dog' is none of the names"):
        make_shapes(tmp_path / 'b', unseen=('red dog',))


def alone(content: dict):
    """Objects that nothing stands before or beside, each with its image."""
    images = {image['id']: image for image in content['images']}
    counts = Counter(one['image_id'] for one in content['annotations'])
    for one in content['annotations']:
        if counts[one['image_id']] == 1 and one['visible'] > 0.95:
            yield one, images[one['image_id']]


def test_captions_that_name_alone(tmp_path):
    """The same images; what is there by colour and kind, with textures, and by kind, without a place."""
    for captions in ('names', 'sentences'):
        few = dict(smallest=0.5, images=40, val_images=2, size=48, objects=2, unseen=('red circle',))
        make_shapes(tmp_path / captions, captions=captions, **few)
    read = {one: (tmp_path / one / 'annotations/captions_train.json').read_text() for one in ('names', 'sentences')}
    named = json.loads((tmp_path / 'names/annotations/combinations_train.json').read_text())
    shown = {image['id']: Counter() for image in named['images']}
    for one in named['annotations']:
        shown[one['image_id']][tuple(one['combination'].split())] += 1
    first, kinds = {}, {number: Counter() for number in shown}
    by_kind = []
    for number, names in shown.items():
        for (_, kind), count in names.items():
            kinds[number][kind] += count
    for one in json.loads(read['names'])['annotations']:
        first.setdefault(one['image_id'], one['caption'])
        said = words(one['caption'])
        if set(said) & set(COLOURS) or not shown[one['image_id']]:
            assert objects_of(one['caption']) == shown[one['image_id']]
        else:  # of kinds alone
            assert {singular(word) for word in said} & set(CLASSES) == set(kinds[one['image_id']])
            by_kind.append(one['caption'])
        assert not {'on', 'in', 'under', 'between', 'against', 'the'} & set(one['caption'].lower().split())
    assert len(by_kind) > 30 and first.keys() == shown.keys() and 'No shapes.' in first.values()
    for image in sorted((tmp_path / 'names/train').iterdir())[:3]:
        assert image.read_bytes() == (tmp_path / 'sentences/train' / image.name).read_bytes()
    widths = [max(one['bbox'][2:]) / (image['width'] * image['height']) ** 0.5 for one, image in alone(named)]
    assert len(widths) > 10 and min(widths) > 0.3
    with pytest.raises(ValueError, match='smallest=0.8 must lie'):
        make_shapes(tmp_path / 'b', smallest=0.8)
    with pytest.raises(ValueError, match="captions='long' is unknown"):
        make_shapes(tmp_path / 'b', captions='long')
