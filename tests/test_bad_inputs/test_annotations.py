"""Annotation files that are not what they should be: one message with file, id and what would be right."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from damaged import CONTENT, HEIGHT, WIDTH, put
from mmdet.datasets import ConcatDataset
from mmdet.datasets.transforms import LoadAnnotations
from pycocotools import mask as rle

from mmparts.datasets import BadAnnotations, CheckedCocoDataset, ClassMismatch, LoadCheckedImage, cut_tiles
from mmparts.datasets.annotations import read_coco
from mmparts.datasets.masks import unpacked
from mmparts.datasets.members import classes_of, members, pipeline_of
from mmparts.evaluation import CheckedCocoMetric

NAN, INF = float('nan'), float('inf')
MASKED = [dict(type=LoadCheckedImage), dict(type=LoadAnnotations, with_bbox=True, with_mask=True)]


def load(folder, **kwargs) -> CheckedCocoDataset:
    kwargs = dict(ann_file='ann.json', data_root=str(folder), data_prefix=dict(img=''), pipeline=MASKED) | kwargs
    return CheckedCocoDataset(**kwargs)


FIELDS = [
    (put('images', id=...), 'image number 0 .* has no id'),
    (put('images', id=True), 'has id True; a whole number or a name'),
    (put('images', id=1.5), 'has id 1.5; a whole number or a name'),
    (put('images', id=2), '1 ids of images are used more than once'),
    (put('images', file_name=...), 'image 1 has no file_name'),
    (put('images', file_name=7), 'image 1 has file_name 7; a name'),
    (put('images', file_name=''), "image 1 has file_name ''"),
    (put('images', file_name='../1.png'), 'leaves the folder'),
    (put('images', file_name='a/../../1.png'), 'leaves the folder'),
    (put('images', file_name='..\\1.png'), 'leaves the folder'),
    (put('images', file_name='/etc/passwd'), 'leaves the folder'),
    (put('images', file_name='.'), 'leaves the folder'),
    (put('images', file_name='http://example.com/1.png'), 'a URL or drive'),
    (put('images', file_name='s3://bucket/1.png'), 'a URL or drive'),
    (put('images', file_name='C:\\1.png'), 'a URL or drive'),
    (put('images', file_name='1.png\0.txt'), 'a file name in its folder is needed'),
    (put('images', width=...), 'image 1 has no width'),
    (put('images', width=None), 'image 1 has no width'),
    (put('images', width='40'), "image 1 has width '40', a string; a whole number of pixels"),
    (put('images', width=0), 'image 1 has width 0; a whole number of pixels'),
    (put('images', height=-60), 'image 1 has height -60; a whole number'),
    (put('images', height=59.5), 'image 1 has height 59.5; a whole number'),
    (put('images', height=INF), 'image 1 has height inf'),
    (put('categories', id=...), 'category number 0 .* has no id'),
    (put('categories', name=...), 'category 1 has no name'),
    (put('categories', name=3), 'category 1 has name 3; a name'),
    (put('categories', id=2), 'ids of categories are used more than once'),
    (put('annotations', id=...), 'annotation number 0 .* has no id'),
    (put('annotations', id=2), 'ids of annotations are used more than once'),
    (put('annotations', id=[1]), r'has id \[1\]; a whole number or a name'),
    (put('annotations', image_id=...), 'annotation 1 has no image_id'),
    (put('annotations', image_id=42), 'annotation 1 belongs to image 42, which is not in the file'),
    (put('annotations', image_id='1'), "annotation 1 belongs to image '1', which is not"),
    (put('annotations', category_id=...), 'annotation 1 has no category_id'),
    (put('annotations', category_id=0), "annotation 1 has category_id 0; the file defines {1: 'cell', 2: 'dog'}"),
    (put('annotations', bbox=...), 'annotation 1 has no bbox; four numbers'),
    (put('annotations', bbox=None), 'annotation 1 has no bbox'),
    (put('annotations', bbox=[1, 2, 3]), r'annotation 1 has bbox \[1, 2, 3\]; four numbers'),
    (put('annotations', bbox=['1', '2', '3', '4']), 'four numbers x, y, width, height are needed'),
    (put('annotations', bbox=dict(x=1)), 'four numbers'),
    (put('annotations', bbox=[True, 1, 2, 3]), 'four numbers'),
    (put('annotations', area=None), 'annotation 1 has area None; a number is needed, or leave it out'),
    (put('annotations', area='500'), "annotation 1 has area '500', a string"),
    (put('annotations', iscrowd='0'), "annotation 1 has iscrowd '0', a string; 0 or 1 is needed"),
    (put('annotations', iscrowd=2), 'annotation 1 has iscrowd 2; 0 or 1'),
    (put('annotations', iscrowd=None), 'annotation 1 has iscrowd None'),
    (put('annotations', ignore='no'), "annotation 1 has ignore 'no'"),
    (lambda content: content['annotations'].append(7), r'annotation number 3 \(from 0\) is 7; an object is needed'),
    (lambda content: content['images'].append('3.png'), r"image number 2 \(from 0\) is '3.png'"),
    (lambda content: content.pop('annotations'), "has no list 'annotations'"),
    (lambda content: content.pop('images'), "has no list 'images'"),
    (lambda content: content.update(images={}), "has no list 'images'"),
    (lambda content: content.update(images=[], annotations=[]), 'its list of images is empty'),
    (lambda content: content.update(categories=[], annotations=[]), 'its list of categories is empty'),
    # Masks of a form that there is not.
    (put('annotations', segmentation='polygon'), 'the segmentation of annotation 1 is str; polygons'),
    (put('annotations', segmentation=[4, 30, 24, 30, 24, 55]), r'annotation 1 is a list of int; polygons \[\['),
    (put('annotations', segmentation=[['4', '30', '24', '30', '24', '55']]), 'something that is no number'),
    (put('annotations', segmentation=[[[4, 30], [24, 30], [24, 55]]]), 'something that is no number'),
    (put('annotations', segmentation=[[4, None, 24, 30, 24, 55]]), 'something that is no number'),
    (put('annotations', segmentation=dict(counts=[1])), 'run lengths are a dict with `size`'),
    (put('annotations', segmentation=dict(size=[60, 40])), 'run lengths are a dict with `size`'),
    (put('annotations', segmentation=dict(size=[60, 40], counts=[2400.0])), 'run lengths that are no whole numbers'),
    (
        lambda content: [each.pop('segmentation') for each in content['annotations']],
        'none of its 3 annotations has a segmentation, but masks are asked for',
    ),
]


# holds: a field that is missing
@pytest.mark.parametrize(('change', 'words'), FIELDS)
def test_a_field_that_is_not_what_it_should_be(write, change, words):
    folder = write(change)
    with pytest.raises(ValueError, match=words) as error:
        load(folder)
    assert str(folder / 'ann.json') in str(error.value), 'the file is named'
    if 'annotation 1' in words or 'image 1' in words:
        with pytest.raises(ValueError, match=words):  # and by whoever else reads such files
            cut_tiles(folder / 'ann.json', folder, folder.parent / f'{folder.name}_tiles')


FILES = [
    (b'', r'\(0 bytes\) is empty'),
    (b'  \n', 'is empty'),
    (json.dumps(CONTENT).encode()[:-40], 'damaged or no JSON'),
    (b'<html>404</html>', 'damaged or no JSON'),
    (b'\x89PNG\r\n\x1a\n', 'no text in UTF-8'),
    (json.dumps(CONTENT).encode('utf-16'), 'no text in UTF-8'),
    (b'[{"image_id": 1}]', r'holds a list; an annotation file is an object'),
    (b'7', 'holds a int'),
    (b'{}', "has no list 'images'"),
]


# holds: a file that is missing, empty, cut off
@pytest.mark.parametrize(('raw', 'words'), FILES, ids=[words[:20] for _, words in FILES])
def test_a_file_that_is_no_annotation_file(write, raw, words):
    folder = write(raw=raw)
    with pytest.raises(BadAnnotations, match=words) as error:
        load(folder)
    assert 'ann.json' in str(error.value)


def test_a_byte_order_mark_is_no_matter(write):
    assert len(load(write(raw=b'\xef\xbb\xbf' + json.dumps(CONTENT).encode()))) == 2


def packed(mask: np.ndarray) -> str:
    return rle.encode(np.asfortranarray(mask.astype(np.uint8)))['counts'].decode()


def runs(*counts, size=(HEIGHT, WIDTH)) -> dict:
    return dict(size=list(size), counts=list(counts))


WHOLE = np.pad(np.ones((25, 20)), ((30, 5), (4, 16)))
assert WHOLE.shape == (HEIGHT, WIDTH)
UNUSABLE = [
    (dict(segmentation=...), 'no mask'),
    (dict(segmentation=[]), 'no mask'),
    (dict(segmentation=None), 'no mask'),
    (dict(segmentation=[[4, 30, 24, 30]]), 'a polygon of fewer than three points'),
    (dict(segmentation=[[]]), 'a polygon of fewer than three points'),
    (dict(segmentation=[[4, 30, 24, 30, 24, 55], [1, 1]]), 'a polygon of fewer than three points'),
    (dict(segmentation=[[4, 30, 24, 30, 24, 55, 4]]), 'a polygon with an odd number of values'),
    (dict(segmentation=[[4, NAN, 24, 30, 24, 55]]), 'NaN or infinite in a polygon'),
    (dict(segmentation=[[4, INF, 24, 30, 24, 55]]), 'NaN or infinite in a polygon'),
    (dict(segmentation=[[41, 1, 45, 1, 45, 9]]), 'a mask outside the image'),
    (dict(segmentation=[[1, 60, 5, 60, 5, 70]]), 'a mask outside the image'),
    (dict(segmentation=[[-9, 1, -5, 1, -5, 9]]), 'a mask outside the image'),
    (dict(segmentation=runs(100, 200)), 'run lengths that do not fill the image'),
    (dict(segmentation=runs(2400, 100)), 'run lengths that do not fill the image'),
    (dict(segmentation=runs(2500, -100)), 'run lengths that do not fill the image'),
    (dict(segmentation=runs()), 'run lengths that do not fill the image'),
    (dict(segmentation=runs(2400)), 'a mask without a pixel'),
    (dict(segmentation=runs(100, 2300, size=(WIDTH, HEIGHT))), 'run lengths of another size than the image'),
    (dict(segmentation=dict(size=[HEIGHT, WIDTH], counts=packed(WHOLE[:50]))), 'that do not fill the image'),
    (dict(segmentation=dict(size=[HEIGHT, WIDTH], counts='')), 'run lengths that are no valid string'),
    (dict(segmentation=dict(size=[HEIGHT, WIDTH], counts='°°')), 'run lengths that are no valid string'),
    (dict(segmentation=dict(size=[HEIGHT, WIDTH], counts='oooooooooo')), 'run lengths that are no valid string'),
    (dict(segmentation=dict(size=[HEIGHT, WIDTH], counts=packed(0 * WHOLE))), 'a mask without a pixel'),
    (dict(bbox=[NAN, 1, 5, 5]), 'NaN or infinite'),
    (dict(bbox=[1, 1, -5, 5]), 'no or negative size'),
    (dict(bbox=[45, 1, 5, 5]), 'outside the image'),  # 45 is within the height, not the width
    (dict(bbox=[1, 61, 5, 5]), 'outside the image'),
    (dict(bbox=[1, 1, 5, 0.5]), 'thinner than a pixel'),
    (dict(area=0), 'area 0'),
    (dict(area=-3), 'area 0'),
    (dict(ignore=1), 'marked `ignore` in the file'),
]


# holds: boxes and masks that cannot be used
@pytest.mark.parametrize(('values', 'reason'), UNUSABLE)
def test_an_object_that_cannot_be_used_is_in_the_table(write, values, reason):
    dataset = load(write(put('annotations', **values)))
    ((found, files),) = dataset.dropped.items()
    assert reason in found and files == ['1.png']
    assert [len(dataset.get_data_info(i)['instances']) for i in (0, 1)] == [1, 1], 'its neighbours stay'
    masks = dataset[0]['gt_masks'].masks
    assert masks.shape == (1, HEIGHT, WIDTH) and masks.sum() == 20 * 25


# holds: boxes and masks that cannot be used
@pytest.mark.parametrize(('values', 'reason'), [each for each in UNUSABLE if 'segmentation' in each[0]])
def test_a_mask_that_cannot_be_evaluated_is_refused_before_the_first_step(write, values, reason):
    folder = write(put('annotations', **values))
    with pytest.raises(BadAnnotations, match=f'annotation 1 of image 1 has .*{reason}'):
        CheckedCocoMetric(ann_file=str(folder / 'ann.json'), metric='segm')
    with pytest.raises(BadAnnotations, match='annotation 1 .*(has no segmentation|correct or remove it)'):
        cut_tiles(folder / 'ann.json', folder, folder.parent / f'{folder.name}_tiles')
    assert CheckedCocoMetric(ann_file=str(folder / 'ann.json')), 'boxes can be'


def test_boxes_alone_ask_nothing_of_masks(write):
    dataset = load(write(put('annotations', segmentation=[[1, 2]])), pipeline=[])
    assert not dataset.dropped and len(dataset.get_data_info(0)['instances']) == 2


@pytest.mark.parametrize('form', ['polygon', 'runs', 'string', 'bytes'])
def test_every_form_of_a_whole_mask_is_the_same_mask(write, form):
    """Portrait and landscape: a mask knows which axis comes first."""
    code = rle.encode(np.asfortranarray(WHOLE.astype(np.uint8)))
    counts = unpacked(code['counts']).tolist()
    assert sum(counts[1::2]) == 500 and sum(counts) == HEIGHT * WIDTH
    forms = dict(
        polygon=[[4, 30, 24, 30, 24, 55, 4, 55]],
        runs=runs(*counts),
        string=dict(size=[HEIGHT, WIDTH], counts=code['counts'].decode()),
    )
    if form == 'bytes':
        assert unpacked(code['counts'].decode()).tolist() == counts
        return
    dataset = load(write(put('annotations', segmentation=forms[form])))
    assert not dataset.dropped
    np.testing.assert_array_equal(dataset[0]['gt_masks'].masks[0], WHOLE)


@pytest.mark.parametrize('seed', range(20))
def test_strings_of_run_lengths_are_read_as_pycocotools_reads_them(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((int(rng.integers(1, 300)), int(rng.integers(1, 300)))) < rng.random()
    flat = mask.flatten(order='F')
    edges = np.flatnonzero(np.diff(flat)) + 1
    expected = np.diff([0, *edges, flat.size]).tolist()
    expected = [0, *expected] if flat[0] else expected
    assert unpacked(packed(mask)).tolist() == expected


# holds: a test set without annotations
def test_a_test_set_needs_no_annotations(write):
    folder = write(lambda content: content.pop('annotations'))
    dataset = load(folder, test_mode=True, pipeline=[])
    assert len(dataset) == 2 and dataset.get_data_info(0)['instances'] == []
    metric = CheckedCocoMetric()
    metric.dataset_meta = dataset.metainfo
    assert metric.names() == []
    with pytest.raises(BadAnnotations, match="has no list 'annotations'"):
        load(folder)


def test_a_filter_that_leaves_nothing_says_so(write):
    with pytest.raises(ValueError, match='min_size.* leaves no image of 2'):
        load(write(), filter_cfg=dict(min_size=50))
    assert len(load(write(), filter_cfg=dict(min_size=40))) == 2


# Data sets put together.


def part(folder, classes, **kwargs) -> dict:
    options = dict(ignore_categories='*', pipeline=[dict(type=LoadCheckedImage)]) | kwargs
    names = dict(metainfo=dict(classes=classes)) if classes else {}
    return dict(
        type=CheckedCocoDataset, ann_file=str(folder / 'ann.json'), data_prefix=dict(img=''), **options, **names
    )


# holds: several files put together
def test_parts_with_other_classes_are_refused_by_name(write):
    folder = write()
    parts = [part(folder, ('cell',)), part(folder, ('dog',))]
    for dataset in (dict(type='ConcatDataset', datasets=parts), ConcatDataset(parts)):
        with pytest.raises(ValueError, match=r"have different classes.*\('cell',\) and \('dog',\)"):
            classes_of(dataset)


def test_parts_are_found_in_any_wrapper(write):
    folder = write()
    inner = dict(type='ConcatDataset', datasets=[part(folder, ('cell',)), part(folder, ('cell',))])
    wrapped = dict(type='RepeatDataset', times=2, dataset=dict(type='ClassBalancedDataset', dataset=inner))
    assert len([*members(wrapped)]) == 2 and len([*members(ConcatDataset(inner['datasets']))]) == 2
    assert classes_of(wrapped) == classes_of(ConcatDataset(inner['datasets'])) == ('cell',)
    assert pipeline_of(wrapped) == [dict(type=LoadCheckedImage)]
    with pytest.raises(ValueError, match='has no pipeline'):
        pipeline_of(part(folder, ('cell',), pipeline=[]))


# holds: several files put together
def test_several_files_are_not_evaluated_as_one(write):
    folder = write()
    (folder / 'more.json').write_bytes((folder / 'ann.json').read_bytes())
    parts = [part(folder, ('cell', 'dog'), test_mode=True), part(folder, ('cell', 'dog'), test_mode=True)]
    parts[1]['ann_file'] = str(folder / 'more.json')
    metric = CheckedCocoMetric()
    with pytest.raises(ValueError, match='one id may name several images'):
        metric.dataset_meta = ConcatDataset(parts).metainfo


# Tiles.


# holds: boxes and masks that cannot be used
@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(across=0), 'across=0'),
        (dict(across=2, overlap=1), 'overlap=1'),
        (dict(overlap=-0.1), r'overlap in \[0, 1\)'),
        (dict(overlap=NAN), r'overlap in \[0, 1\)'),
        (dict(min_share=0), r'min_share in \(0, 1\]'),
        (dict(val_every=1), 'val_every at least 2'),
        (dict(across=50), 'across=50 is more than the 40 pixels of 1.png'),
        (dict(overlap=0.999), 'make .* tiles of 1.png .*; 10,000 at most'),
    ],
)
def test_tiles_that_mean_nothing_are_refused_before_the_first(write, options, words):
    folder = write()
    out = folder.parent / f'{folder.name}_tiles'
    with pytest.raises(ValueError, match=words):
        cut_tiles(folder / 'ann.json', folder, out, **options)
    assert not out.exists()


def test_tiles_of_a_picture_of_another_size_are_refused(write):
    folder = write(lambda content: [each.update(width=HEIGHT, height=WIDTH) for each in content['images']])
    with pytest.raises(ValueError, match='is 40x60 pixels, but its annotations say 60x40'):
        cut_tiles(folder / 'ann.json', folder, folder.parent / f'{folder.name}_tiles', across=2, overlap=0)


# holds: names of files that leave
@pytest.mark.parametrize('place', ['.', 'tiles', '..', 'ann.json'])
def test_tiles_are_not_written_over_or_into_what_they_are_made_of(write, place):
    folder = write()
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(FileExistsError, match='choose another place to write to'):
        cut_tiles(folder / 'ann.json', folder, folder / place, overwrite=True)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_only_tiles_are_replaced_by_tiles(write, tmp_path_factory):
    folder, out = write(), tmp_path_factory.mktemp('notes')
    (out / 'instances_val.json').write_text('mine')
    with pytest.raises(FileExistsError, match='has no tiles.json, so these are no tiles'):
        cut_tiles(folder / 'ann.json', folder, out, overwrite=True)
    assert (out / 'instances_val.json').read_text() == 'mine'


def test_the_tool_ends_with_one_line(write):
    folder = write(put('images', file_name='../../evil.png'))
    tool = Path(__file__).parents[2] / 'tools' / 'cut_tiles.py'
    out = folder.parent / f'{folder.name}_tiles'
    found = subprocess.run([sys.executable, tool, folder / 'ann.json', folder, out], capture_output=True, text=True)
    assert found.returncode == 1 and not out.exists()
    assert found.stderr.strip().startswith('error: ') and 'Traceback' not in found.stderr


# holds: classes that are misspelt
def test_classes_that_do_not_meet_are_refused(write):
    with pytest.raises(ClassMismatch, match="did you mean 'cell'"):
        load(write(), metainfo=dict(classes=('cel', 'dog')))


def test_reading_alone_checks_too(write):
    assert len(read_coco(str(write() / 'ann.json'), masks=True)['annotations']) == 3
