import json

import pytest

from mmparts.datasets import CheckedCocoDataset, ClassMismatch, LoadCheckedImage
from mmparts.datasets.annotations import box_fault
from mmparts.datasets.coco import drop_table

BOXES = [[('car', 1, 1, 10, 10), ('dog', 5, 5, 8, 8)], [('person', 2, 2, 6, 12)], []]


def load(root, **kwargs) -> CheckedCocoDataset:
    if 'classes' in kwargs:
        kwargs['metainfo'] = dict(classes=kwargs.pop('classes'))
    return CheckedCocoDataset(ann_file='ann.json', data_root=str(root), data_prefix=dict(img=''), **kwargs)


def names(dataset) -> list[list[str]]:
    """The class names that the labels of each image stand for."""
    return [
        [dataset.metainfo['classes'][item['bbox_label']] for item in dataset.get_data_info(i)['instances']]
        for i in range(len(dataset))
    ]


# holds: classes that are misspelt
@pytest.mark.parametrize(
    'classes', [None, ('car', 'person', 'dog'), ('dog', 'person', 'car'), ['person', 'car', 'dog']]
)
@pytest.mark.parametrize('ids', [(1, 2, 3), (7, 0, 90)])
def test_labels_follow_the_names_whatever_the_order(write_coco, classes, ids):
    dataset = load(write_coco(BOXES, ids=ids), classes=classes)
    assert names(dataset) == [['car', 'dog'], ['person'], []]
    assert dataset.metainfo['classes'] == tuple(
        classes or [name for _, name in sorted(zip(ids, ('car', 'person', 'dog')))]
    )


# holds: classes that are misspelt
@pytest.mark.parametrize(
    ('classes', 'words'),
    [
        (('Car', 'person', 'dog'), ["'Car' is in classes", "did you mean 'car'?", "'car' has 1 annotations"]),
        (('car', 'persn', 'dog'), ["did you mean 'person'?", "did you mean 'persn'?", "allow_missing=('persn',)"]),
        (('car', 'bus', 'person', 'dog'), ["'bus' is in classes but not a category", "allow_missing=('bus',)"]),
        (
            ('car', 'person'),
            ["'dog' has 1 annotations in the file but is not in classes", "ignore_categories=('dog',)"],
        ),
        (('car', 'car', 'person', 'dog'), ["['car'] more than once"]),
    ],
)
def test_names_that_do_not_meet_are_refused(write_coco, classes, words):
    with pytest.raises(ClassMismatch) as error:
        load(write_coco(BOXES), classes=classes)
    assert all(word in str(error.value) for word in words)


def test_a_category_without_annotations_may_be_left_out(write_coco):
    root = write_coco(BOXES, categories=('everything', 'car', 'person', 'dog'))
    dataset = load(root, classes=('car', 'person', 'dog'))
    assert names(dataset) == [['car', 'dog'], ['person'], []]


@pytest.mark.parametrize('ignore', [('dog', 'car'), '*'])
def test_a_subset_is_trained_on_when_said_so(write_coco, ignore):
    dataset = load(write_coco(BOXES), classes=('person',), ignore_categories=ignore)
    assert names(dataset) == [[], ['person'], []]
    assert not dataset.dropped, 'what was asked for is no fault'


def test_categories_can_be_ignored_without_listing_the_rest(write_coco):
    dataset = load(write_coco(BOXES), ignore_categories=('car',))
    assert dataset.metainfo['classes'] == ('person', 'dog')
    with pytest.raises(ClassMismatch, match="'cra' is in ignore_categories.*did you mean 'car'"):
        load(write_coco(BOXES), ignore_categories=('cra',))


@pytest.mark.parametrize('allow', [('bus', 'tram'), '*'])
def test_a_class_that_the_file_lacks_keeps_its_label(write_coco, allow):
    dataset = load(
        write_coco(BOXES),
        classes=('bus', 'dog', 'tram', 'person', 'car'),
        allow_missing=allow,
        filter_cfg=dict(filter_empty_gt=True),
    )
    assert names(dataset) == [['car', 'dog'], ['person']]
    assert [item['bbox_label'] for item in dataset.get_data_info(0)['instances']] == [4, 1]


@pytest.mark.parametrize('option', ['classes', 'ignore_categories', 'allow_missing'])
def test_a_bare_string_is_refused(write_coco, option):
    with pytest.raises(TypeError, match=r"\('car', \) with a comma"):
        load(write_coco(BOXES), **{option: ('car')})


def test_classes_may_come_from_a_file(write_coco):
    root = write_coco(BOXES)
    (root / 'names.txt').write_text('dog\nperson\ncar\n')
    assert load(root, classes=str(root / 'names.txt')).metainfo['classes'] == ('dog', 'person', 'car')


FAULTS = [
    ((1, 1, -5, 5), 'no or negative size'),
    ((1, 1, 5, 0), 'no or negative size'),
    ((50, 1, 5, 5), 'outside the image'),
    ((1, -9, 5, 5), 'outside the image'),
    ((float('nan'), 1, 5, 5), 'NaN or infinite'),
    ((1, 1, float('inf'), 5), 'NaN or infinite'),
    ((1, 1, 0.5, 5), 'thinner than a pixel'),
]


@pytest.mark.parametrize(('box', 'reason'), FAULTS)
def test_unusable_boxes_are_reported(write_coco, box, reason):
    root = write_coco([[('car', 1, 1, 10, 10)], [('dog', *box), ('car', 2, 2, 6, 6)]])
    dataset = load(root)
    assert dataset.dropped == {reason: ['1.png']}
    assert names(dataset) == [['car'], ['car']], 'its neighbours stay'


@pytest.fixture
def log(monkeypatch):
    """The lines that the data set logs."""
    lines = []
    monkeypatch.setattr('mmparts.datasets.coco.print_log', lambda line, *args: lines.append(line))
    return lines


def test_the_log_tells_what_is_odd_and_nothing_else(write_coco, log):
    load(write_coco(BOXES), classes=('car', 'person', 'dog'))
    assert not log
    load(write_coco(BOXES), classes=('dog', 'person', 'car'))
    assert 'another order' in log.pop()
    load(write_coco([[('car', 1, 1, 5, 5), ('dog', 1, 1, -5, 5)]]), classes=('car', 'person', 'dog'))
    assert 'no object of person;' in log[0] and '1 objects dropped' in log[1]
    load(write_coco(BOXES))
    assert 'car, person, dog' in log[2]


def test_the_report_counts_by_reason_and_names_files(write_coco):
    dataset = load(write_coco([[('dog', 1, 1, -2, 5), ('dog', 50, 1, 5, 5)]] * 14))
    table = drop_table('ann.json', dataset.dropped)
    assert '28 objects dropped' in table and '0.png, 1.png' in table and 'and 4 more' in table
    assert '13.png' not in table


def change_first(kind: str, **values):
    return lambda content: content[kind][0].update(values)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (change_first('annotations', category_id=42), 'annotation 1 has category_id 42'),
        (change_first('annotations', image_id=42), 'annotation 1 belongs to image 42'),
        (change_first('annotations', bbox=[1, 2, 3]), r'annotation 1 has bbox \[1, 2, 3\]'),
        (change_first('annotations', bbox=['1', '2', '3', '4']), 'four numbers'),
        (change_first('annotations', id=2), 'ids of annotations are used more than once'),
        (change_first('images', id=1), 'ids of images are used more than once'),
        (change_first('categories', id=2), 'ids of categories are used more than once'),
        (change_first('categories', name='dog'), 'more than once'),
        (change_first('images', width=None), 'has no width'),
        (change_first('images', file_name='../secret.png'), 'leaves the folder'),
        (change_first('images', file_name='/etc/secret.png'), 'leaves the folder'),
        (lambda content: content.pop('categories'), "has no list 'categories'"),
    ],
)
def test_a_file_that_does_not_hold_together_is_refused(write_coco, change, words):
    root = write_coco(BOXES)
    content = json.loads((root / 'ann.json').read_text())
    change(content)
    (root / 'ann.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=words):
        load(root)


def test_a_missing_file_names_the_way_out(tmp_path):
    with pytest.raises(FileNotFoundError, match='ann.json.*data_root=FOLDER'):
        load(tmp_path)


def test_area_may_be_missing(write_coco):
    root = write_coco(BOXES, change=lambda content: [a.pop('area') for a in content['annotations']])
    assert names(load(root)) == [['car', 'dog'], ['person'], []]


def test_crowds_are_kept_apart(write_coco):
    dataset = load(write_coco(BOXES, change=change_first('annotations', iscrowd=1)))
    assert [item['ignore_flag'] for item in dataset.get_data_info(0)['instances']] == [1, 0]


@pytest.mark.parametrize('damage', ['missing', 'empty', 'truncated', 'text'])
def test_an_unreadable_image_is_named(write_coco, damage):
    path = write_coco(BOXES) / '0.png'
    whole = path.read_bytes()
    path.unlink()
    if damage != 'missing':
        path.write_bytes(dict(empty=b'', truncated=whole[:40], text=b'<html>not found</html>')[damage])
    dataset = load(path.parent, pipeline=[dict(type=LoadCheckedImage)])
    with pytest.raises(OSError, match=f'cannot load the image {path}'):
        dataset[0]
    assert dataset[1]['img'].shape == (30, 40, 3)


# holds: an image of another size
def test_a_picture_of_another_size_is_refused(write_coco):
    root = write_coco(BOXES, change=change_first('images', width=30, height=40))
    with pytest.raises(ValueError, match='40x30 pixels, but its annotations say 30x40'):
        load(root, pipeline=[dict(type=LoadCheckedImage)])[0]


@pytest.mark.parametrize(('width', 'height'), [(30, 50), (50, 30)])
def test_a_box_is_held_against_its_own_side(width, height):
    """Portrait and landscape, so that no side passes for the other."""
    image = dict(width=width, height=height)
    for box in ([width - 5, height - 5, 5, 5], [0, 0, width, height], [-4, -4, 5, 5]):
        assert box_fault(dict(bbox=box), image) is None
    for box in ([width, 0, 5, 5], [0, height, 5, 5], [-5, 0, 5, 5], [0, -5, 5, 5]):
        assert box_fault(dict(bbox=box), image) == 'outside the image'
